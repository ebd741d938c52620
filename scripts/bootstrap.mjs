// node scripts/bootstrap.mjs <script.ts | bin:COMMAND> [arguments]
//
// Installs the packages where they are missing or stale, then runs a script of this checkout, or a command of an
// installed package, under Node.js 24. Plain JavaScript without dependencies: in a fresh clone there is nothing else.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runInstead, selectNode } from '../bin/select-node.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const marker = join(modules, '.firebreak-installed');
const stateDir = join(root, '.firebreak');
const lockFile = join(stateDir, 'install.lock');
const logFile = join(stateDir, 'install.log');

/** The holder of the lock touches it while it installs; after this silence it is dead. */
const LOCK_HEARTBEAT_MS = 2_000;
const LOCK_STALE_AFTER_MS = 15_000;
const LOCK_RETRY_MS = 200;
/** npm says what is wrong first, and ends with its help text. */
const LOG_ERROR_LINES = 12;
const NOT_IN_SYNC = /npm (error|ERR!) code EUSAGE[\s\S]*in sync/;

try {
  await main();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

async function main() {
  const [program, ...args] = process.argv.slice(2);
  if (!program) throw new Error('usage: node scripts/bootstrap.mjs <script.ts | bin:COMMAND> [arguments]');
  if (!isInstalled()) await install();
  const node = selectNode(import.meta.url);
  const binFolder = join(modules, '.bin');
  const script = program.startsWith('bin:')
    ? realpathSync(join(binFolder, program.slice('bin:'.length)))
    : resolve(root, program);
  runInstead(node, [script, ...args], binFolder);
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** What node_modules should be the result of. */
function wantedState() {
  const hash = createHash('sha256');
  for (const name of ['package.json', 'package-lock.json'])
    hash.update(read(join(root, name)) ?? '').update('\0');
  return hash.digest('hex');
}

function isInstalled() {
  const wanted = wantedState();
  if (read(marker) === wanted) return true;
  if (!matchesLockfile()) return false;
  // Installed by hand and up to date: nothing to do, and not to be compared again next time.
  writeFileSync(marker, wanted);
  return true;
}

/**
 * Whether node_modules has what package-lock.json says, by npm's own record of what it installed. Packages that are
 * optional (those of other platforms) may be missing.
 */
function matchesLockfile() {
  const lock = JSON.parse(read(join(root, 'package-lock.json')) ?? 'null');
  const installed = JSON.parse(read(join(modules, '.package-lock.json')) ?? 'null');
  const manifest = JSON.parse(read(join(root, 'package.json')) ?? 'null');
  if (!lock || !installed || !manifest) return false;
  for (const group of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    if (canonical(manifest[group]) !== canonical(lock.packages[''][group])) return false;
  }
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (path === '') return true;
    const have = installed.packages[path];
    return have ? have.version === wanted.version : wanted.optional === true;
  });
}

function canonical(group) {
  return JSON.stringify(Object.entries(group ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function install() {
  mkdirSync(stateDir, { recursive: true });
  await lock();
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimesSync(lockFile, now, now);
  }, LOCK_HEARTBEAT_MS);
  const unlock = () => rmSync(lockFile, { force: true });
  process.once('exit', unlock);
  try {
    if (isInstalled()) return;
    const startedAt = Date.now();
    process.stderr.write('Installing packages with npm, log in .firebreak/install.log\n');
    await installPackages();
    // npm install may have written the lock file: the state is read again.
    writeFileSync(marker, wantedState());
    process.stderr.write(`Packages installed in ${((Date.now() - startedAt) / 1000).toFixed(0)} s\n`);
  } finally {
    clearInterval(heartbeat);
    process.removeListener('exit', unlock);
    unlock();
  }
}

async function installPackages() {
  if (!existsSync(join(root, 'package-lock.json'))) return npm(['install']);
  try {
    await npm(['ci']);
  } catch (error) {
    // Also where the lock file was made with a registry that lacks packages of other platforms: npm install keeps to
    // the versions that it has all the same.
    if (!NOT_IN_SYNC.test(error.message)) throw error;
    process.stderr.write('package-lock.json does not match package.json: npm install in place of npm ci\n');
    await npm(['install', '--no-save']);
  }
}

async function lock() {
  let told = false;
  for (;;) {
    try {
      closeSync(openSync(lockFile, 'wx'));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const age = Date.now() - (statSync(lockFile, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > LOCK_STALE_AFTER_MS) {
      rmSync(lockFile, { force: true });
      continue;
    }
    if (!told) process.stderr.write('Another process is installing the packages: waiting\n');
    told = true;
    await delay(LOCK_RETRY_MS);
  }
}

function npm(command) {
  // npm ci removes node_modules, and with it the Node.js that `npm run` put first on PATH.
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => resolve(folder) !== join(modules, '.bin'));
  // Whatever NODE_ENV or the user's npm configuration leave out, a checkout needs.
  const args = [...command, '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const log = openSync(logFile, 'w');
  const child = spawn('npm', args, {
    cwd: root,
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: path.join(delimiter) },
    shell: process.platform === 'win32',
  });
  closeSync(log);
  return new Promise((done, fail) => {
    const interrupt = (signal) => child.kill(signal);
    process.once('SIGINT', interrupt);
    process.once('SIGTERM', interrupt);
    child.on('error', (error) =>
      fail(new Error(`npm could not be started: ${error.message}. Install Node.js with npm.`)),
    );
    child.on('exit', (code, signal) => {
      process.removeListener('SIGINT', interrupt);
      process.removeListener('SIGTERM', interrupt);
      if (code === 0) return done();
      const lines = (read(logFile) ?? '').split('\n').filter((line) => /^npm (error|ERR!) ./.test(line));
      const why = lines.slice(0, LOG_ERROR_LINES).join('\n');
      fail(
        new Error(
          `npm ${command.join(' ')} ended with ${signal ?? code}; the whole log is ${logFile}\n${why}`,
        ),
      );
    });
  });
}
