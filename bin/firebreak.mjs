#!/usr/bin/env node
// The `firebreak` command: finds Node.js 24 and runs the command line there.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runInstead, selectNode } from './select-node.mjs';

const compiled = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const source = fileURLToPath(new URL('../cli/main.ts', import.meta.url));
// Node.js does not strip types below node_modules: an installed package runs what was compiled. A checkout runs its
// source, also where a dist/ of some earlier build lies beside it.
const installed = /[\\/]node_modules[\\/]/.test(source);
const program = installed || !existsSync(source) ? compiled : source;

try {
  if (!existsSync(program))
    throw new Error(`${program} is missing: the package is not complete, install it again`);
  const dependencies = fileURLToPath(new URL('../node_modules', import.meta.url));
  if (!installed && !existsSync(dependencies)) throw new Error('run `npm ci` in the checkout first');
  runInstead(selectNode(import.meta.url), [program, ...process.argv.slice(2)]);
} catch (error) {
  process.stderr.write(`firebreak: ${error.message}\n`);
  process.exitCode = 1;
}
