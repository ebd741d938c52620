/** `npm run build`: the package's files in dist/: compiled code and what it reads beside it. */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** Read at run time, by paths relative to the code. */
const BESIDE_THE_CODE = ['runbooks/library', 'deploy', 'demo/kube', 'demo/loki'];

rmSync(path.join(root, 'dist'), { recursive: true, force: true });
const compiled = spawnSync(path.join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (compiled.status === 0) {
  for (const folder of BESIDE_THE_CODE) {
    cpSync(path.join(root, folder), path.join(root, 'dist', folder), { recursive: true });
  }
  // Of the compiled files: nobody who installs the package waits for it to be built.
  const { workflowBundle } = await import(path.join(root, 'dist/worker/bundle.js'));
  await workflowBundle();
}
process.exitCode = compiled.status ?? 1;
