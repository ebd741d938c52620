/** Keys of kept texts in a real PostgreSQL: told from outside whether they can be used here, and destroyed by a role with few rights. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createVault } from '../../activities/evidence/vault.ts';
import { openRecords } from '../../activities/records/open.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { recordsChecks } from '../../worker/doctor/records.ts';
import { loadOrCreateEvidenceKeys } from '../../worker/keys.ts';
import { type Postgres, startPostgres } from '../setup/postgres.ts';

const ROLE = 'firebreak_records';
const INCIDENT = 'inc-keys';

let postgres: Postgres | undefined;
let records: RecordsStore;
let url: string;
let dirs: { centre: string; other: string };
beforeAll(async () => {
  postgres = await startPostgres();
  if (postgres === undefined) expect.fail('PostgreSQL is needed: apt-get install postgresql');
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query(`create role ${ROLE} login`);
  await admin.query(`create database ${ROLE} owner ${ROLE}`);
  await admin.end();
  url = `postgresql://${ROLE}@${new URL(postgres.url).host}/${ROLE}`;
  records = await openRecords({ postgresUrl: url, dir: tmpdir() });
  const make = () => mkdtemp(path.join(tmpdir(), 'firebreak-evidence-keys-'));
  dirs = { centre: await make(), other: await make() };
});
afterAll(async () => {
  await records?.close();
  await postgres?.stop();
  for (const dir of Object.values(dirs ?? {})) await rm(dir, { recursive: true, force: true });
});

/** What doctor says of the keys, as the process with this data folder. */
async function told(dataDir: string) {
  const config = configSchema.parse({ dataDir, records: { postgresUrl: 'env:DATABASE' } });
  const findings = await Promise.all(recordsChecks({ config, secret: () => url, env: {} }));
  return findings.flat().find(({ what }) => what === 'records: keys of kept texts');
}

async function rowWith(wrapped: string): Promise<number> {
  const client = new pg.Client({ connectionString: postgres?.url.replace(/[^/]*$/, ROLE) });
  await client.connect();
  try {
    // Pages as they are on disk, old versions of rows included.
    await client.query('create extension if not exists pageinspect');
    const { rows } = await client.query<{ page: Buffer }>(
      `select get_raw_page('evidence_keys', number::int) as page
       from generate_series(0, pg_relation_size('evidence_keys') / current_setting('block_size')::int - 1) as number`,
    );
    return rows.filter(({ page }) => page.includes(wrapped)).length;
  } finally {
    await client.end();
  }
}

describe('keys of kept texts in PostgreSQL', () => {
  it('are missed by the process that has others, and found by the one that made them', async () => {
    const vault = createVault(records.evidence, await loadOrCreateEvidenceKeys(dirs.centre));
    expect(await told(dirs.other)).toMatchObject({ ok: true, detail: 'no text is kept now' });
    const nowMs = Date.now();
    const key = await vault.openKey({ incidentId: INCIDENT, source: 'outputs', retentionMs: 60_000, nowMs });
    await vault.keep(key, [{ ref: 's-0123456789', text: 'said by a model' }], nowMs);
    expect(await told(dirs.centre)).toMatchObject({ ok: true });
    // Neither without the file nor with one of its own.
    const missing = { ok: false, detail: expect.stringContaining(key.wrappingKeyId) };
    expect(await told(dirs.other)).toMatchObject(missing);
    await loadOrCreateEvidenceKeys(dirs.other);
    expect(await told(dirs.other)).toMatchObject(missing);

    expect(await rowWith(key.wrapped)).toBe(1);
    // A role that may not make a checkpoint destroys all the same, and the table's pages hold nothing of it.
    await expect(
      records.evidence.destroy({ incidentId: INCIDENT, keyId: key.keyId, atMs: Date.now() }),
    ).resolves.toEqual({ texts: 1 });
    expect(await rowWith(key.wrapped)).toBe(0);
    expect(await told(dirs.other)).toMatchObject({ ok: true });
  });
});
