/** `npm run check`: types, lint and format, import direction, unused code. Runs all, reports all. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const bin = path.join(root, 'node_modules', '.bin');

const CHECKS: [name: string, command: string, args: string[]][] = [
  ['types', 'tsc', ['-p', '.']],
  ['lint and format', 'biome', ['check', '--error-on-warnings', '.']],
  ['import direction', 'depcruise', ['--config', '.dependency-cruiser.mjs', '--output-type', 'err', '.']],
  ['unused code', 'knip', ['--no-progress']],
];

let failed = 0;
for (const [name, command, args] of CHECKS) {
  const startedMs = Date.now();
  const run = spawnSync(path.join(bin, command), args, { cwd: root, encoding: 'utf8' });
  const ok = run.status === 0;
  if (!ok) failed++;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - startedMs) / 1_000).toFixed(1)} s)`);
  if (!ok) console.log(`${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}`.trimEnd());
}
process.exitCode = failed === 0 ? 0 : 1;
