import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenAccess, openAccess } from './access.ts';
import { loadConfig, resolveSecret } from './config/load.ts';

const MARA = 'token-of-mara-for-tests';
const SETTLE_MS = 40;

let folder: string;
let log: string[];
let opened: OpenAccess;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firebreak-access-'));
  await mkdir(join(folder, 'tokens'));
  await writeFile(join(folder, 'tokens', 'mara'), MARA);
  log = [];
});
afterEach(async () => {
  await opened.stop();
  await rm(folder, { recursive: true, force: true });
});

const file = () => join(folder, 'access.yaml');
const people = (more = '') =>
  writeFile(
    file(),
    `people:
  - { id: mara, name: Mara, groups: [ml-oncall], tokens: ['file:tokens/mara'] }
  - { id: ben, name: Ben, groups: [commander] }
rules: { responder: [ml-oncall], commander: [commander] }
${more}`,
  );

/** Only looks when told to: what a test waits for is what it asked for. */
async function open() {
  await writeFile(
    join(folder, 'firebreak.yaml'),
    'access: { file: access.yaml }\nrunbooks: { reload: false }\n',
  );
  opened = openAccess(loadConfig(join(folder, 'firebreak.yaml')), {
    secret: (reference) => resolveSecret(reference, {}),
    logger: pino({}, { write: (line: string) => void log.push(line) }),
    settleMs: SETTLE_MS,
  });
  return opened;
}
const ben = { id: 'ben', name: 'Ben', groups: ['commander'] };
const readiness = async () => {
  const found = await opened.check.check();
  if (!('problems' in found)) throw new Error('expected a result');
  return found;
};

describe('a changed access file', () => {
  it('is taken: who may do what follows it, and the version says so', async () => {
    await people();
    const { access, reload } = await open();
    const before = access.accessVersion;
    expect(access.may(ben, 'abort').allowed).toBe(true);
    await writeFile(
      file(),
      "people: [{ id: mara, name: Mara, groups: [ml-oncall], tokens: ['file:tokens/mara'] }, { id: ben, name: Ben, groups: [commander], active: false }]\nrules: { commander: [commander] }\n",
    );
    await reload();
    expect(access.may(ben, 'abort')).toEqual({ allowed: false, reason: 'ben is not active' });
    expect(access.accessVersion).not.toBe(before);
    expect(log.join()).toContain('access file replaced');
    expect(log.join()).not.toContain(MARA);
  });

  it('is one state for what has begun before', async () => {
    await people();
    const { access, reload } = await open();
    const begun = access.current();
    await people('decisionTtl: 1m');
    await reload();
    expect([begun.decisionTtlMs, access.decisionTtlMs]).toEqual([900_000, 60_000]);
    expect(access.current().accessVersion).not.toBe(begun.accessVersion);
  });

  it.each<[string, () => Promise<void>]>([
    ['is no YAML', () => writeFile(file(), 'people: [')],
    [
      'has two people with one id',
      () => writeFile(file(), 'people: [{ id: a, name: A }, { id: a, name: B }]'),
    ],
    [
      'names a secret that is not there',
      () => writeFile(file(), "people: [{ id: a, name: A, tokens: ['file:nope'] }]"),
    ],
    ['is gone', () => rm(file())],
    ['is empty of people that rules need', () => writeFile(file(), 'rules: { commander: [commander] }')],
  ])('that %s changes nothing, is told once, and is taken when it is mended', async (_what, breakIt) => {
    await people();
    const { access, reload } = await open();
    const version = access.accessVersion;
    await breakIt();
    await reload();
    await reload();
    expect(access.accessVersion).toBe(version);
    expect(access.authenticate(MARA).ok).toBe(true);
    expect(log.filter((line) => line.includes('cannot be used'))).toHaveLength(1);
    expect(await readiness()).toMatchObject({
      problems: [],
      degraded: [expect.stringMatching(/cannot be used/)],
    });
    await people('decisionTtl: 5m');
    await reload();
    expect(access.decisionTtlMs).toBe(300_000);
    expect(await readiness()).toMatchObject({ problems: [], degraded: [] });
  });

  it('that is put back as it was is no change, and no longer a problem', async () => {
    await people();
    const { access, reload } = await open();
    const version = access.accessVersion;
    await writeFile(file(), 'people: [');
    await reload();
    expect((await readiness()).degraded).toHaveLength(1);
    await people();
    await reload();
    expect(access.accessVersion).toBe(version);
    expect((await readiness()).degraded).toEqual([]);
  });

  it('may be a token alone: the new one is taken, the old one is not any more', async () => {
    await people();
    const { access, reload } = await open();
    const version = access.accessVersion;
    const rotated = 'another-token-of-mara-1';
    await writeFile(join(folder, 'tokens', 'new'), rotated);
    await rename(join(folder, 'tokens', 'new'), join(folder, 'tokens', 'mara'));
    await reload();
    expect(access.authenticate(rotated).ok).toBe(true);
    expect(access.authenticate(MARA).ok).toBe(false);
    // Rights have not changed.
    expect(access.accessVersion).toBe(version);
  });

  it('is noticed by itself where runbooks are followed', async () => {
    await people();
    await writeFile(
      join(folder, 'firebreak.yaml'),
      'access: { file: access.yaml }\nrunbooks: { watchEvery: 1s }\n',
    );
    const { promise: replaced, resolve } = Promise.withResolvers<void>();
    opened = openAccess(loadConfig(join(folder, 'firebreak.yaml')), {
      secret: (reference) => resolveSecret(reference, {}),
      logger: pino({}, { write: (line: string) => void (line.includes('replaced') && resolve()) }),
      settleMs: SETTLE_MS,
    });
    await people('decisionTtl: 2m');
    await replaced;
    expect(opened.access.decisionTtlMs).toBe(120_000);
  });
});
