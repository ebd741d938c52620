import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, inject, it } from 'vitest';
import { neverSeen, parityPage } from './parity/report.ts';
import { compareAll, problemsOf, seedsUpTo } from './parity/run.ts';
import '../setup/provided.ts';

const HISTORIES = 200;
const PAGE = 'docs/rollback-parity.md';
const PROGRESS_EVERY = 20;
/** `PARITY_SEEDS=35,68 npm run test:full` looks at these alone, and writes no page. */
const ONLY = process.env.PARITY_SEEDS?.split(',').map(Number);

it('leaves after a rollback what `kubectl rollout undo` leaves, on 200 generated histories', async () => {
  const { kube } = inject('stack');
  let count = 0;
  const comparisons = await compareAll(kube, ONLY ?? seedsUpTo(HISTORIES), () => {
    count += 1;
    if (count % PROGRESS_EVERY === 0) process.stderr.write(`${count} of ${HISTORIES} histories\n`);
  });
  expect(problemsOf(comparisons)).toEqual([]);
  if (ONLY !== undefined) return;
  const at = ['--kubeconfig', kube.kubeconfigPath];
  const { stdout } = await promisify(execFile)(kube.kubectlPath, ['version', '--output=json', ...at]);
  const { clientVersion, serverVersion } = JSON.parse(stdout);
  expect(neverSeen(comparisons)).toEqual([]);
  // Only a run without a problem is a result.
  const versions = { kubectl: clientVersion.gitVersion, server: serverVersion.gitVersion };
  await writeFile(PAGE, parityPage(comparisons, versions));
  // As `npm run check` wants it.
  await promisify(execFile)('node_modules/.bin/biome', ['format', '--write', PAGE]);
});
