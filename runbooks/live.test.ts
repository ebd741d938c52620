import { execFileSync } from 'node:child_process';
import { mkdtemp, rename, rm, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LiveOptions, LiveRunbooks, type RunbookEvent, RunbooksRefused } from './live.ts';
import { ConfigMapMount, halfOf, smallRunbook } from './test-support/runbook-files.ts';

const SETTLE_MS = 1_000;
const START_MS = Date.UTC(2026, 2, 1, 10);

let folder: string;
let events: RunbookEvent[];
/** Monotonic and wall clock of the test: moved by hand, so that nothing depends on how fast it runs. */
let atMs: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-live-'));
  events = [];
  atMs = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const open = (change: Partial<LiveOptions> = {}) =>
  LiveRunbooks.open({
    paths: [folder],
    settleMs: SETTLE_MS,
    now: () => START_MS + atMs,
    onEvent: (event) => events.push(event),
    ...change,
  });
const namesOf = (live: LiveRunbooks) =>
  live.current().runbooks.map(({ name, version }) => `${name} v${version}`);
/** Two looks that are far enough apart. */
async function settle(live: LiveRunbooks): Promise<void> {
  await live.look(atMs);
  atMs += SETTLE_MS;
  await live.look(atMs);
}

describe('at the start', () => {
  it('loads the set, frozen, with an identity of its own', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    const set = live.current();
    expect(namesOf(live)).toEqual(['a v1', 'default v1', 'manual-rollback v1']);
    expect(set).toMatchObject({ generation: 1, loadedAtMs: START_MS });
    expect(set.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(() => Object.assign(set.runbooks[0]?.steps[0] ?? {}, { uses: 'wait' })).toThrow(TypeError);
    expect(live.status()).toMatchObject({ ok: true, problems: [], attempts: { success: 0, failure: 0 } });
    expect(events.map(({ type }) => type)).toEqual(['loaded']);
  });

  it('refuses a broken set with every problem', async () => {
    await write('a.yaml', smallRunbook('a', 1).replace('uses: page', 'uses: pgae'));
    await write('b.yaml', smallRunbook('b', 0));
    const refused = await open().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RunbooksRefused);
    const { problems } = refused as RunbooksRefused;
    const broken = new Set(problems.filter(({ severity }) => severity === 'error').map(({ file }) => file));
    expect([...broken]).toEqual([join(folder, 'a.yaml'), join(folder, 'b.yaml')]);
    expect((refused as Error).message).toContain('a.yaml:9:25 error: unknown step type pgae');
  });

  it('can start with none where that is asked for, and takes the set when it is mended', async () => {
    await write('a.yaml', 'nothing');
    const live = await open({ orNone: true });
    expect(live.current()).toMatchObject({ generation: 0, runbooks: [] });
    expect(live.status().ok).toBe(false);
    await write('a.yaml', smallRunbook('a', 1));
    await settle(live);
    expect(live.current()).toMatchObject({ generation: 1 });
    expect(namesOf(live)).toEqual(['a v1', 'default v1', 'manual-rollback v1']);
    expect(events.map(({ type }) => type)).toEqual(['refused', 'replaced']);
  });
});

describe('a changed file', () => {
  it('is taken once two looks, far enough apart, have read the same', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    const before = live.current();
    await write('a.yaml', smallRunbook('a', 2));
    expect(await live.look(0)).toBe(SETTLE_MS);
    expect(await live.look(SETTLE_MS - 1)).toBe(1);
    expect(live.current()).toBe(before);
    expect(live.status().changingSinceMs).toBe(START_MS);
    atMs = SETTLE_MS;
    expect(await live.look(SETTLE_MS)).toBeUndefined();
    expect(namesOf(live)).toEqual(['a v2', 'default v1', 'manual-rollback v1']);
    expect(live.current()).toMatchObject({ generation: 2, loadedAtMs: START_MS + SETTLE_MS });
    expect(live.status()).toMatchObject({ ok: true, attempts: { success: 1, failure: 0 } });
    expect(live.status().changingSinceMs).toBeUndefined();
    // Whoever has taken the former set goes on with it.
    expect(before.runbooks[0]?.version).toBe(1);
  });

  it('is not taken while it is half written, though the half is a right runbook', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    await write('a.yaml', halfOf(smallRunbook('a', 2)));
    await live.look(0);
    await write('a.yaml', smallRunbook('a', 2));
    // Long after the half was seen: the whole has to settle by itself.
    expect(await live.look(10 * SETTLE_MS)).toBe(SETTLE_MS);
    expect(await live.look(11 * SETTLE_MS)).toBeUndefined();
    expect(live.current().generation).toBe(2);
    expect(live.current().runbooks[0]?.steps.map(({ id }) => id)).toEqual(['page', 'ticket']);
    expect(live.status().attempts).toEqual({ success: 1, failure: 0 });

    // The other way round, to show that the half would have been taken had it stayed.
    await write('a.yaml', halfOf(smallRunbook('a', 2)));
    await settle(live);
    expect(live.current().runbooks[0]?.steps.map(({ id }) => id)).toEqual(['page']);
  });

  it('is found though its size and times are those of before', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const { atime, mtime, size } = await stat(join(folder, 'a.yaml'));
    const live = await open();
    await write('a.yaml', smallRunbook('a', 2));
    await utimes(join(folder, 'a.yaml'), atime, mtime);
    expect((await stat(join(folder, 'a.yaml'))).size).toBe(size);
    await settle(live);
    expect(namesOf(live)).toEqual(['a v2', 'default v1', 'manual-rollback v1']);
  });

  it('tells what changed by name, version and content, and a version that was not raised', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    await write('b.yaml', smallRunbook('b', 1));
    await write('c.yaml', smallRunbook('c', 1));
    const live = await open();
    await write('a.yaml', smallRunbook('a', 2));
    await write('b.yaml', smallRunbook('b', 1).replace('1h', '2h'));
    await unlink(join(folder, 'c.yaml'));
    await write('d.yaml', smallRunbook('d', 1));
    await settle(live);
    const [, replaced] = events;
    if (replaced?.type !== 'replaced') throw new Error(`expected a replaced set, not ${replaced?.type}`);
    expect(
      replaced.changes.map(({ name, from, to, versionKept }) => [
        name,
        from?.version,
        to?.version,
        versionKept,
      ]),
    ).toEqual([
      ['a', 1, 2, false],
      ['b', 1, 1, true],
      ['c', 1, undefined, false],
      ['d', undefined, 1, false],
    ]);
    expect(replaced.changes[1]?.from?.hash).not.toBe(replaced.changes[1]?.to?.hash);
  });

  it('that means the same is no new set', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    const before = live.current();
    await write('a.yaml', `# a remark\n${smallRunbook('a', 1)}`);
    await settle(live);
    expect(live.current()).toBe(before);
    expect(events.map(({ type }) => type)).toEqual(['loaded', 'unchanged']);
  });

  it('of which only the name changed is a new set where that changes the order of matching', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    await write('b.yaml', smallRunbook('b', 1));
    const live = await open();
    await rename(join(folder, 'a.yaml'), join(folder, 'z.yaml'));
    await settle(live);
    expect(namesOf(live)).toEqual(['b v1', 'a v1', 'default v1', 'manual-rollback v1']);
    expect(live.current().generation).toBe(2);
    expect(events.at(-1)).toMatchObject({ type: 'replaced', changes: [] });
  });
});

describe('a broken file', () => {
  it('replaces nothing, not even where other files are right, and is told once for each content', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    await write('b.yaml', smallRunbook('b', 1));
    const live = await open();
    const before = live.current();
    await write('a.yaml', smallRunbook('a', 2));
    await write('b.yaml', smallRunbook('b', 2).replace('uses: ticket', 'uses: tikcet'));
    await settle(live);
    await settle(live);
    await settle(live);
    expect(live.current()).toBe(before);
    expect(live.status()).toMatchObject({
      ok: false,
      succeededAtMs: START_MS,
      attempts: { success: 0, failure: 1 },
    });
    const errors = live.status().problems.filter(({ severity }) => severity === 'error');
    expect(errors.map(({ file, line, column, rule }) => [file, line, column, rule])).toEqual([
      [join(folder, 'b.yaml'), 10, 27, 'steps/unknown-type'],
    ]);
    expect(events.map(({ type }) => type)).toEqual(['loaded', 'refused']);

    await write('b.yaml', smallRunbook('b', 2).replace('uses: ticket', 'uses: titcek'));
    await settle(live);
    expect(events.map(({ type }) => type)).toEqual(['loaded', 'refused', 'refused']);

    await write('b.yaml', smallRunbook('b', 2));
    await settle(live);
    expect(namesOf(live)).toEqual(['a v2', 'b v2', 'default v1', 'manual-rollback v1']);
    expect(live.status()).toMatchObject({ ok: true, problems: [], attempts: { success: 1, failure: 2 } });
  });

  it('that is taken back leaves no problem and no new set', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    const before = live.current();
    await write('a.yaml', 'a: [');
    await settle(live);
    expect(live.status().ok).toBe(false);
    await write('a.yaml', smallRunbook('a', 1));
    await settle(live);
    expect(live.current()).toBe(before);
    expect(live.status()).toMatchObject({ ok: true, problems: [] });
    expect(events.map(({ type }) => type)).toEqual(['loaded', 'refused', 'unchanged']);
  });

  it.each([
    ['a folder that is gone', () => rm(folder, { recursive: true })],
    ['an empty folder', () => rm(join(folder, 'a.yaml'))],
    [
      'a link into nothing',
      async () => {
        await rm(join(folder, 'a.yaml'));
        await symlink('nowhere', join(folder, 'a.yaml'));
      },
    ],
  ])('%s is broken too', async (_what, destroy) => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    await destroy();
    await settle(live);
    expect(namesOf(live)).toEqual(['a v1', 'default v1', 'manual-rollback v1']);
    expect(live.status().problems.map(({ rule }) => rule)).toEqual(['file/unreadable']);
  });
});

describe('a mounted ConfigMap', () => {
  it('is followed through the swap of its link, whole and broken', async () => {
    const mount = new ConfigMapMount(folder);
    await mount.write({ 'a.yaml': smallRunbook('a', 1), 'b.yaml': smallRunbook('b', 1) });
    const live = await open();
    await mount.write({ 'a.yaml': smallRunbook('a', 2), 'c.yaml': smallRunbook('c', 2) });
    await settle(live);
    expect(namesOf(live)).toEqual(['a v2', 'c v2', 'default v1', 'manual-rollback v1']);
    await mount.write({ 'a.yaml': smallRunbook('a', 3), 'c.yaml': 'c: [' });
    await settle(live);
    expect(namesOf(live)).toEqual(['a v2', 'c v2', 'default v1', 'manual-rollback v1']);
    expect(live.status().ok).toBe(false);
    await mount.write({ 'a.yaml': smallRunbook('a', 4), 'c.yaml': smallRunbook('c', 4) });
    await settle(live);
    expect(namesOf(live)).toEqual(['a v4', 'c v4', 'default v1', 'manual-rollback v1']);
    expect(live.current().generation).toBe(3);
  });
});

describe.skipIf(process.platform === 'win32')('a pipe in the folder', () => {
  it('is refused, and keeps nobody from looking on', async () => {
    await write('a.yaml', smallRunbook('a', 1));
    const live = await open();
    execFileSync('mkfifo', [join(folder, 'b.yaml')]);
    await settle(live);
    expect(live.status().ok).toBe(false);
    expect(live.status().problems.map(({ rule }) => rule)).toContain('file/unreadable');
    expect(namesOf(live)).toEqual(['a v1', 'default v1', 'manual-rollback v1']);
    await unlink(join(folder, 'b.yaml'));
    await write('a.yaml', smallRunbook('a', 2));
    await settle(live);
    expect(namesOf(live)).toEqual(['a v2', 'default v1', 'manual-rollback v1']);
  });
});
