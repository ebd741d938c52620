import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { pollUntil } from '../../demo/stack/poll.ts';
import { freePorts } from '../../demo/stack/start-server.ts';

const run = promisify(execFile);

/** Where Debian and its relatives install servers: not on PATH, since several versions stand side by side. */
const DEBIAN_ROOT = '/usr/lib/postgresql';
/** PostgreSQL refuses to run as root; this user and group exist everywhere. */
const NOBODY = 65_534;
const READY_TIMEOUT_MS = 20_000;

export interface Postgres {
  url: string;
  stop(): Promise<void>;
}

async function findServer(): Promise<string | undefined> {
  const versions = await readdir(DEBIAN_ROOT).catch(() => [] as string[]);
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest) return path.join(DEBIAN_ROOT, newest, 'bin');
  const asked = await run('pg_config', ['--bindir']).catch(() => undefined);
  return asked?.stdout.trim();
}

/** A PostgreSQL server of the run's own, where one is installed; undefined: the tests that need it say that they skip. */
export async function startPostgres(): Promise<Postgres | undefined> {
  const bin = await findServer();
  if (bin === undefined) return undefined;
  const root = process.getuid?.() === 0;
  const as = root ? { uid: NOBODY, gid: NOBODY } : {};
  const dir = await mkdtemp(path.join(tmpdir(), 'firebreak-postgres-'));
  if (root) await chown(dir, NOBODY, NOBODY);
  const data = path.join(dir, 'data');
  await run(path.join(bin, 'initdb'), ['-D', data, '-U', 'firebreak', '-A', 'trust', '--no-sync'], {
    ...as,
    cwd: dir,
  });
  const [port = 0] = await freePorts(1);
  const server = spawn(
    path.join(bin, 'postgres'),
    ['-D', data, '-p', String(port), '-k', dir, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'],
    { ...as, cwd: dir, stdio: 'ignore' },
  );
  const exited = once(server, 'exit');
  await pollUntil('PostgreSQL being ready', READY_TIMEOUT_MS, async () => {
    await run(path.join(bin, 'pg_isready'), ['-h', '127.0.0.1', '-p', String(port)]);
    return true;
  });
  return {
    url: `postgresql://firebreak@127.0.0.1:${port}/postgres`,
    async stop() {
      // Fast shutdown: clients that are still connected are cut.
      server.kill('SIGINT');
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}
