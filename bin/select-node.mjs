// Plain JavaScript without dependencies: it runs on the Node.js that the machine has, to find the one that Firebreak needs.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** Type stripping without a flag or a warning, and what vitest and others need. */
const NODE_AT_LEAST = 24;
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * The path of a Node.js that is new enough: the one that is running, or the one that npm installed for this platform
 * (optional dependency node-<platform>-<arch>). Throws with what to do where there is none.
 */
export function selectNode(fromUrl) {
  if (Number(process.versions.node.split('.')[0]) >= NODE_AT_LEAST) return process.execPath;
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  try {
    const manifest = createRequire(fromUrl).resolve(`${name}/package.json`);
    const executable = join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    if (existsSync(executable)) return executable;
  } catch {
    // Not installed, or there is no such package for this platform: told below.
  }
  throw new Error(
    `Firebreak needs Node.js ${NODE_AT_LEAST} or newer; this is ${process.version}, and the package ${name}, ` +
      `which brings one, is not installed. Install Node.js ${NODE_AT_LEAST} (https://nodejs.org), or, where the ` +
      'package exists for your platform, install again without --omit=optional.',
  );
}

/**
 * Runs a program under the given Node.js in place of this process: standard streams, signals and the way it ends are
 * passed on. `binFolder` (or undefined) comes first on its PATH.
 */
export function runInstead(node, args, binFolder) {
  const path = [dirname(node), ...(binFolder ? [binFolder] : []), process.env.PATH ?? ''].join(delimiter);
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, PATH: path } });
  for (const signal of FORWARDED_SIGNALS) {
    process.on(signal, () => {
      // The terminal sends Ctrl-C to the child too: twice would read as "do not wait for an orderly end".
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`${node} could not be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // As a shell would say it, should our own end by the same signal be refused.
    process.exitCode = 128 + (constants.signals[signal] ?? 0);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
