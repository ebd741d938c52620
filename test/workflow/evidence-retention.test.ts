/**
 * What is kept of a sample's text is destroyed at its date: by a durable timer, in skipped time, in the real store. And
 * nothing of a text is ever where it should not be.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEvidenceActivities } from '../../activities/evidence/activities.ts';
import { SealError, unseal } from '../../activities/evidence/seal.ts';
import { createVault } from '../../activities/evidence/vault.ts';
import { openRecords } from '../../activities/records/open.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import { createSampleActivities } from '../../activities/samples/index.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { loadOrCreateEvidenceKeys } from '../../worker/keys.ts';
import { createTextKeeper } from '../../worker/samples.ts';
import { evidenceWorkflowId } from '../../workflows/ids.ts';
import { type Postgres, startPostgres } from '../setup/postgres.ts';
import { withTimeSkipping } from './time-skipping.ts';

const INCIDENT = 'inc-3f9a1c2b7d01-0a1b2c3d';
const DAY_MS = 24 * 3_600_000;
const CANARY = 'CANARY-41aa';
const TEXT = `${CANARY} write to ana.lopez@example.org and mix the two bottles`;
const TARGET = { cluster: 'local', namespace: 'ai', kind: 'Deployment' as const, name: 'llm-api' };

let postgres: Postgres | undefined;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

/** One incident with a kept text, over a source that answers with it. */
async function withKeptText(
  test: (world: {
    env: TestWorkflowEnvironment;
    records: RecordsStore;
    vault: ReturnType<typeof createVault>;
    keys: Awaited<ReturnType<typeof loadOrCreateEvidenceKeys>>;
    summary: Awaited<ReturnType<ReturnType<typeof createSampleActivities>['collectSamples']>>;
    ref: string;
    /** Samples once more, with another text. */
    again(text: string): Promise<unknown>;
  }) => Promise<void>,
): Promise<void> {
  const dir = await mkdtemp(path.join(tmpdir(), 'firebreak-evidence-'));
  let text = TEXT;
  const source = createServer((_request, response) => {
    const items = [{ id: `out-${text.length}`, at: new Date().toISOString(), categories: ['hate'], text }];
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ items }));
  });
  await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
  const address = source.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  const records = await openRecords({ postgresUrl: postgres?.url, dir });
  const run = withTimeSkipping(async (env) => {
    const keys = await loadOrCreateEvidenceKeys(dir);
    const config = configSchema.parse({
      samples: { outputs: { type: 'http-json', url, text: 'keep', retention: '30d' } },
    });
    const secret = (reference: string) => reference;
    const keepTexts = createTextKeeper(config, { secret, records, evidenceKeys: keys, client: env.client });
    const sources = {
      outputs: { type: 'http-json' as const, url, text: 'keep' as const, retentionMs: 30 * DAY_MS },
    };
    const worker = await Worker.create({
      connection: env.nativeConnection,
      taskQueue: config.temporal.taskQueue,
      workflowBundle: { codePath: await workflowBundle() },
      activities: createEvidenceActivities(records.evidence),
    });
    const collect = () =>
      createSampleActivities({ sources, keepTexts }).collectSamples({
        incidentId: INCIDENT,
        source: 'outputs',
        target: TARGET,
        fromMs: Date.now() - 60_000,
        toMs: Date.now() + 60_000,
        limit: 10,
      });
    await worker.runUntil(async () => {
      const summary = await collect();
      const ref = summary.items[0]?.ref ?? '';
      await test({
        env,
        records,
        vault: createVault(records.evidence, keys),
        keys,
        summary,
        ref,
        again: (other) => {
          text = other;
          return collect();
        },
      });
    });
  });
  try {
    await run;
  } finally {
    await records.close();
    source.closeAllConnections();
    await new Promise((resolve) => source.close(resolve));
    await rm(dir, { recursive: true, force: true });
  }
}

/** Rows as a copy of the tables has them. */
async function copyOf(table: string): Promise<Record<string, string>[]> {
  if (postgres === undefined) throw new Error('this test needs PostgreSQL');
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return (await client.query(`select * from ${table}`)).rows;
  } finally {
    await client.end();
  }
}

describe('a kept text', () => {
  it('is redacted and encrypted, and read by name and reason until its date; then never again, from no copy', async () => {
    if (postgres === undefined) {
      expect.fail('PostgreSQL is needed: apt-get install postgresql');
    }
    await withKeptText(async ({ env, records, vault, keys, summary, ref, again }) => {
      expect(summary.items[0]).toMatchObject({ kept: true, length: TEXT.length });
      expect(JSON.stringify(summary)).not.toContain(CANARY);
      const ask = { incidentId: INCIDENT, ref, person: 'mara', reason: 'to see what it says', via: 'cli' };
      const read = await vault.reveal({ ...ask, nowMs: Date.now() });
      expect(read).toMatchObject({
        found: true,
        text: `${CANARY} write to [EMAIL] and mix the two bottles`,
      });

      // A copy of the texts, made while they could be read, and of every other table.
      const [before] = await copyOf('evidence_texts');
      const [keyBefore] = await copyOf('evidence_keys');
      expect(before?.sealed).toBeDefined();
      for (const table of ['evidence_texts', 'evidence_keys', 'evidence_log']) {
        expect(JSON.stringify(await copyOf(table))).not.toContain(CANARY);
      }
      // A second text under the same key goes with the first.
      await again('something else that was said');
      expect(await copyOf('evidence_keys')).toHaveLength(1);

      const workflow = env.client.workflow.getHandle(evidenceWorkflowId(INCIDENT));
      const { historyLength } = await workflow.describe();
      expect(historyLength).toBeGreaterThan(0);
      expect(JSON.stringify(await workflow.fetchHistory())).not.toContain(CANARY);
      await env.sleep(29 * DAY_MS);
      expect(await copyOf('evidence_texts')).toHaveLength(2);
      await env.sleep(DAY_MS + 3_600_000);
      await workflow.result();

      expect(await copyOf('evidence_texts')).toEqual([]);
      const [keyAfter] = await copyOf('evidence_keys');
      expect(keyAfter).toMatchObject({ wrapped: null, destroyed_at: expect.any(Date) });
      expect(await vault.reveal({ ...ask, nowMs: Date.now() })).toEqual({ found: false, gone: false });

      // The copy of the text is put back: its key is gone, and the installation's own key does not open it.
      const client = new pg.Client({ connectionString: postgres?.url });
      await client.connect();
      await client.query('insert into evidence_texts values ($1, $2, $3, $4, $5)', [
        before?.incident_id,
        before?.ref,
        before?.key_id,
        before?.sealed,
        before?.created_at,
      ]);
      await client.end();
      expect(await vault.reveal({ ...ask, nowMs: Date.now() })).toEqual({ found: false, gone: true });
      const bound = ['firebreak-evidence-text-v1', INCIDENT, String(before?.key_id), ref];
      for (const { key } of keys) {
        expect(() => unseal(key, String(before?.sealed), bound)).toThrow(SealError);
      }
      // The other half of the promise, told in docs/samples.md: a backup of the keys' table is a backup of the keys.
      expect(keyBefore?.wrapped).toEqual(expect.any(String));

      const log = await records.evidence.log(INCIDENT);
      expect(log.map(({ action, actor }) => [action, actor])).toEqual([
        ['kept', 'firebreak'],
        ['revealed', 'mara'],
        ['kept', 'firebreak'],
        ['destroyed', 'firebreak'],
      ]);
      expect(log[1]).toMatchObject({ reason: 'to see what it says', via: 'cli', ref });
      expect(await records.evidence.verifyLog(INCIDENT)).toEqual({ ok: true, entries: 4 });
    });
  });

  it('cannot be read after its date where the timer is late', async () => {
    await withKeptText(async ({ vault, ref }) => {
      const ask = { incidentId: INCIDENT, ref, person: 'mara', reason: 'late', via: 'cli' };
      expect(await vault.reveal({ ...ask, nowMs: Date.now() + 31 * DAY_MS })).toEqual({
        found: false,
        gone: true,
      });
    });
  });
});
