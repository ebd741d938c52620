import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RunbooksRefused } from '../runbooks/live.ts';
import { smallRunbook } from '../runbooks/test-support/runbook-files.ts';
import type { RunbookWatch } from '../runbooks/watch.ts';
import { parseConfig } from './config/load.ts';
import { openRunbooks } from './runbooks.ts';

interface Line {
  level: number;
  msg: string;
  [field: string]: unknown;
}
const SETTLE_MS = 20;
const [INFO, WARN, ERROR] = [30, 40, 50];

let folder: string;
let lines: Line[];
let watch: RunbookWatch | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-serve-'));
  lines = [];
});
afterEach(async () => {
  await watch?.stop();
  watch = undefined;
  await rm(folder, { recursive: true, force: true });
});

const write = (text: string) => writeFile(join(folder, 'a.yaml'), text);
const WEBHOOK = '{ channels: [{ type: webhook, url: http://127.0.0.1:1 }] }';

/** Not watched by itself: the test asks for each look. */
async function open(roles: string, takesAlerts = true): Promise<RunbookWatch> {
  const text = `
runbooks: { paths: [.], reload: false }
paging: { roles: { ${roles} } }
tickets: { github: { token: 'env:T', repository: o/r } }`;
  watch = await openRunbooks(parseConfig(text, { file: 'firebreak.yaml', folder }), {
    takesAlerts,
    configFile: 'firebreak.yaml',
    settleMs: SETTLE_MS,
    logger: pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });
  return watch;
}

it('logs what is loaded, then a line for each change, and a warning for a version that was not raised', async () => {
  await write(smallRunbook('a', 1));
  const watching = await open(`ml-oncall: ${WEBHOOK}`);
  const first = watching.current();
  await write(smallRunbook('a', 1).replace('1h', '2h'));
  await watching.reload();
  const second = watching.current();
  expect(lines.map(({ level, msg }) => [level, msg.split(':')[0]])).toEqual([
    [INFO, 'runbooks loaded'],
    [INFO, 'runbooks replaced'],
    [WARN, 'runbooks changed under the same version'],
  ]);
  expect(lines[0]).toMatchObject({
    generation: 1,
    hash: first.hash,
    runbooks: ['a v1', 'default v1', 'manual-rollback v1'],
  });
  expect(lines[1]).toMatchObject({
    generation: 2,
    hash: second.hash,
    changes: [`a v1 ${first.runbooks[0]?.hash} -> v1 ${second.runbooks[0]?.hash}`],
  });
  expect(lines[2]).toMatchObject({ runbooks: ['a'] });
});

it('logs one error for a broken edit, with places and without what the file says beside them', async () => {
  await write(smallRunbook('a', 1));
  const watching = await open(`ml-oncall: ${WEBHOOK}`);
  await write(smallRunbook('a', 2).replace('uses: ticket', 'uses: tikcet, with: { x: hunter2 }'));
  await watching.reload();
  await watching.reload();
  await write(smallRunbook('a', 2));
  await watching.reload();
  expect(lines.map(({ level }) => level)).toEqual([INFO, ERROR, INFO]);
  expect(lines[1]).toMatchObject({
    generation: 1,
    problemCount: 1,
    problems: [
      `${join(folder, 'a.yaml')}:10:27 unknown step type tikcet; did you mean ticket? [steps/unknown-type]`,
    ],
  });
  expect(JSON.stringify(lines)).not.toContain('hunter2');
});

it('checks names against the configuration where alerts are taken, at the start and later', async () => {
  await write(smallRunbook('a', 1));
  await expect(open(`commander: ${WEBHOOK}`)).rejects.toThrow(RunbooksRefused);
  const watching = await open(`ml-oncall: ${WEBHOOK}`);
  await write(smallRunbook('a', 2).replace('[ml-oncall]', '[ml-oncal]'));
  await watching.reload();
  expect(watching.current().runbooks[0]?.version).toBe(1);
  expect(watching.status().problems.map(({ rule }) => rule)).toContain('config/role');
});

it('lets the worker of a cluster start with other names, and with none that can be used', async () => {
  await write(smallRunbook('a', 1));
  const watching = await open(`commander: ${WEBHOOK}`, false);
  expect(watching.current().runbooks[0]?.name).toBe('a');
  await watching.stop();
  await write('a: [');
  const without = await open(`commander: ${WEBHOOK}`, false);
  expect(without.current().runbooks).toEqual([]);
  expect(lines.at(-1)?.level).toBe(ERROR);
});
