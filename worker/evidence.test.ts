import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { unseal } from '../activities/evidence/seal.ts';
import { createVault } from '../activities/evidence/vault.ts';
import { openRecords } from '../activities/records/open.ts';
import type { RecordsStore } from '../activities/records/store.ts';
import { evidenceKeysCheck, keepRetention } from './evidence.ts';

const DAY_MS = 24 * 3_600_000;
const START_MS = 60_000;
const KEYS = [{ id: 'k-here', key: Buffer.alloc(32, 3) }];
const OTHERS = [{ id: 'k-elsewhere', key: Buffer.alloc(32, 4) }];
const silent = () => ({ info: vi.fn(), warn: vi.fn() });

let dir: string;
let records: RecordsStore;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'firebreak-retention-'));
  records = await openRecords({ dir });
}, START_MS);
afterAll(async () => {
  await records.close();
  await rm(dir, { recursive: true, force: true });
});

async function keepOne(incidentId: string, keys = KEYS) {
  const vault = createVault(records.evidence, keys);
  const nowMs = Date.now();
  const key = await vault.openKey({ incidentId, source: 'outputs', retentionMs: 30 * DAY_MS, nowMs });
  await vault.keep(key, [{ ref: 's-0123456789', text: 'said by a model' }], nowMs);
  return { vault, key };
}

/** Files of the database that hold these bytes. */
async function filesWith(bytes: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const found: string[] = [];
  for (const file of files) if ((await readFile(file)).includes(bytes)) found.push(file);
  return found;
}

const ask = { ref: 's-0123456789', person: 'mara', reason: 'to see it', via: 'cli' };

describe('a destroyed key', () => {
  it('is in no file of the embedded records any more, its log of writes included', async () => {
    const { key } = await keepOne('inc-files');
    // The search finds what is there, and what is found opens.
    expect(await filesWith(key.wrapped)).not.toEqual([]);
    const bound = ['firebreak-evidence-key-v1', 'inc-files', key.keyId];
    expect(unseal(KEYS[0]?.key ?? Buffer.alloc(0), key.wrapped, bound)).toHaveLength(32);
    await records.evidence.destroy({ incidentId: 'inc-files', keyId: key.keyId, atMs: Date.now() });
    expect(await filesWith(key.wrapped)).toEqual([]);
  });
});

describe('the sweep', () => {
  it('destroys at the start what no workflow destroyed at its date, and says how late it was', async () => {
    const { vault, key } = await keepOne('inc-late');
    const { key: young } = await keepOne('inc-young');
    await records.evidence.destroy({ incidentId: 'inc-young', keyId: young.keyId, atMs: Date.now() });
    const logger = silent();
    const stop = keepRetention(records.evidence, { logger, now: () => Date.now() + 31 * DAY_MS });
    await stop();
    expect(logger.warn).toHaveBeenCalledOnce();
    expect(logger.warn.mock.calls[0]?.[0]).toMatchObject({ incidentId: 'inc-late', keyId: key.keyId });
    expect(logger.warn.mock.calls[0]?.[0].lateMs).toBeGreaterThan(DAY_MS / 2);
    expect(await vault.reveal({ ...ask, incidentId: 'inc-late', nowMs: Date.now() })).toEqual({
      found: false,
      gone: false,
    });
    expect(await records.evidence.log('inc-late')).toContainEqual(
      expect.objectContaining({ action: 'destroyed', texts: 1 }),
    );
    expect(await filesWith(key.wrapped)).toEqual([]);
    // What is not due stays, and destroying again is nothing.
    const { vault: kept } = await keepOne('inc-kept');
    await keepRetention(records.evidence, { logger })();
    expect(await kept.reveal({ ...ask, incidentId: 'inc-kept', nowMs: Date.now() })).toMatchObject({
      found: true,
    });
  });
});

describe('a key that another process has', () => {
  it('makes the process degraded, and no reading is recorded that did not happen', async () => {
    await keepOne('inc-elsewhere', OTHERS);
    const vault = createVault(records.evidence, KEYS);
    const found = await evidenceKeysCheck(vault).check();
    expect(found).toMatchObject({ problems: [], degraded: [expect.stringContaining('k-elsewhere')] });
    const both = createVault(records.evidence, [...KEYS, ...OTHERS]);
    expect(await evidenceKeysCheck(both).check()).toEqual({ problems: [] });

    const reading = { ...ask, incidentId: 'inc-elsewhere', nowMs: Date.now() };
    await expect(vault.reveal(reading)).rejects.toThrow(/k-elsewhere/);
    const read = async () =>
      (await records.evidence.log('inc-elsewhere')).filter(({ action }) => action === 'revealed');
    expect(await read()).toEqual([]);
    expect(await both.reveal(reading)).toMatchObject({ found: true, text: 'said by a model' });
    expect(await read()).toHaveLength(1);
  });
});
