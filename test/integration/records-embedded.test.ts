/** What only the embedded records have to withstand: being killed, and a second process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openPglite } from '../../activities/records/pglite.ts';
import { entries, viewOf } from './records-fixture.ts';
import { WRITTEN_INCIDENT } from './records-process.ts';

const PROCESS_FILE = join(import.meta.dirname, 'records-process.ts');

/** Making a database takes seconds, copying one does not: every test but one starts from a copy of this. */
let made: string;
let dir: string;
let children: Child[];
beforeAll(async () => {
  made = await mkdtemp(join(tmpdir(), 'firebreak-made-'));
  await (await openPglite(made)).close();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'firebreak-embedded-'));
  await cp(made, dir, { recursive: true });
  children = [];
});
afterAll(() => rm(made, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(children.map((child) => child.kill()));
  await rm(dir, { recursive: true, force: true });
});

interface Child {
  process: ChildProcess;
  lines: string[];
  /** The first line (also one said already) that starts so; rejects when the process ends without it. */
  says(start: string): Promise<string>;
  kill(): Promise<void>;
  ended: Promise<void>;
}

function start(what: 'hold' | 'write' | 'try'): Child {
  const child = spawn(process.execPath, [PROCESS_FILE, dir, what], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    for (const listener of listeners) listener();
  });
  const self: Child = {
    process: child,
    lines,
    ended,
    says: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find((line) => line.startsWith(wanted));
          if (found === undefined) return;
          listeners.delete(look);
          resolve(found);
        };
        listeners.add(look);
        look();
        void ended.then(() => reject(new Error(`it ended after saying ${JSON.stringify(lines)}`)));
      }),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  children.push(self);
  return self;
}

describe('the embedded records', () => {
  it('can be opened by one process at a time, and say which one and what to do', async () => {
    const holder = start('hold');
    await holder.says('open');
    const second = start('try');
    const told = await second.says('failed');
    expect(told).toContain(`process ${holder.process.pid}`);
    expect(told).toContain('stop that one');
    expect(told).toContain('records.postgresUrl');
    await expect(openPglite(dir)).rejects.toMatchObject({ type: 'Refused' });
  });

  it('are open to the next process as soon as the holder has been killed', async () => {
    const holder = start('hold');
    await holder.says('open');
    await holder.kill();
    expect(existsSync(join(dir, 'lock'))).toBe(true);
    const store = await openPglite(dir);
    await store.ping();
    await store.close();
    expect(existsSync(join(dir, 'lock'))).toBe(false);
  });

  it('refuse a second opening in the same process', async () => {
    const store = await openPglite(dir);
    await expect(openPglite(dir)).rejects.toThrow(/open in this process/);
    await store.ping();
    await store.close();
  });

  it('go to one of the processes that find a stale lock at the same moment', async () => {
    const dead = start('hold');
    await dead.says('open');
    await dead.kill();
    const rivals = Array.from({ length: 4 }, () => start('hold'));
    await Promise.all(rivals.map((rival) => Promise.race([rival.says('open'), rival.says('failed')])));
    const winners = rivals.filter(({ lines }) => lines.some((line) => line.startsWith('open')));
    expect(winners).toHaveLength(1);
  });

  it('keep everything that was answered when the process is killed in the middle of writing', async () => {
    const writer = start('write');
    await writer.says('written 40');
    await writer.kill();
    const answered = writer.lines.filter((line) => line.startsWith('written')).length;
    const store = await openPglite(dir);
    const timeline = await store.timeline(WRITTEN_INCIDENT);
    expect(timeline.length).toBeGreaterThanOrEqual(answered);
    // The one that was under way may be there as well, whole; nothing else can be.
    expect(timeline.length).toBeLessThanOrEqual(answered + 1);
    expect(await store.verifyChain(WRITTEN_INCIDENT)).toMatchObject({ ok: true, entries: timeline.length });
    expect((await store.getIncident(WRITTEN_INCIDENT))?.lastHarmRate).toBe(timeline.length);
    await store.close();
  });

  it('start over when the first start was killed while it made the database', async () => {
    await rm(join(dir, 'pgdata'), { recursive: true });
    const first = start('hold');
    while (!(await readdir(dir)).some((name) => name.startsWith('pgdata.unfinished-'))) {
      if (first.process.exitCode !== null) throw new Error('it ended before it began');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await first.kill();
    expect(existsSync(join(dir, 'pgdata'))).toBe(false);
    const store = await openPglite(dir);
    const view = viewOf('inc-1', entries(1, 2));
    await store.append(view.timeline, view);
    await store.close();
    expect((await readdir(dir)).sort()).toEqual(['pgdata']);
  });

  it('are taken from a process whose number another process has now', async () => {
    const holder = start('hold');
    await holder.says('open');
    const lock = JSON.parse(await readFile(join(dir, 'lock'), 'utf8')) as object;
    await holder.kill();
    await writeFile(join(dir, 'lock'), JSON.stringify({ ...lock, pid: process.ppid }));
    const store = await openPglite(dir);
    await store.close();
  });

  it('are left to a process on another host while it shows signs of life, and taken when it shows none', async () => {
    const lock = join(dir, 'lock');
    const elsewhere = { pid: 1, host: `not-${hostname()}`, since: '2026-01-01T00:00:00.000Z', nonce: 'n' };
    await writeFile(lock, JSON.stringify(elsewhere));
    await expect(openPglite(dir)).rejects.toThrow(/host not-/);
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lock, longAgo, longAgo);
    const store = await openPglite(dir);
    await store.close();
  });

  it('say what to do about a lock file that is not one of theirs', async () => {
    await writeFile(join(dir, 'lock'), 'not json');
    await expect(openPglite(dir)).rejects.toThrow(/cannot be read; remove it/);
  });
});
