import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createVault } from '../../activities/evidence/vault.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, TOKENS } from '../test-support/edge.ts';
import { viewOf } from '../test-support/incident.ts';

const CANARY = 'CANARY-52d0';
const DAY_MS = 24 * 3_600_000;
const REF = 's-0123456789';
const KEYS = [{ id: 'k-test', key: Buffer.alloc(32, 7) }];

describe('kept texts of samples, over the API', () => {
  let records: RecordsStore;
  let close: () => Promise<void>;
  let app: FastifyInstance;
  let log: string[];
  let incidentId: string;
  const nowMs = Date.now();

  beforeAll(async () => {
    ({ records, close } = await openTestRecords());
    const view = viewOf({
      samples: {
        count: 1,
        from: 'outputs',
        byCategory: { hate: 1 },
        items: [
          {
            id: 'out/1',
            ref: REF,
            sha256: 'a'.repeat(64),
            length: 9,
            categories: ['hate'],
            requestId: '',
            kept: true,
          },
        ],
      },
    });
    incidentId = view.incidentId;
    const { workflowId } = view;
    await records.openIncident({ incidentId, workflowId, view });
    const vault = createVault(records.evidence, KEYS);
    const key = await vault.openKey({ incidentId, source: 'outputs', retentionMs: 30 * DAY_MS, nowMs });
    const text = `${CANARY}\u001b[31m\r\nsecond\u202e line\u0000`;
    await vault.keep(key, [{ ref: REF, text }], nowMs);
    ({ app, log } = await createTestEdge({ records }));
  }, RECORDS_START_MS);
  afterAll(async () => {
    await app?.close();
    await close?.();
  });

  const reveal = (token: string, sample = REF, body: object = { reason: 'is it the known jailbreak?' }) =>
    app.inject({
      method: 'POST',
      url: `/api/v1/incidents/${incidentId}/samples/${encodeURIComponent(sample)}/reveal`,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      payload: body,
    });

  it('are shown to a responder as plain text, after it was written down', async () => {
    const answer = await reveal(TOKENS.mara);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json()).toMatchObject({ sample: REF, text: `${CANARY}[31m\nsecond line` });
    expect((await reveal(TOKENS.mara, 'out/1')).statusCode).toBe(200);
    const entries = await records.evidence.log(incidentId);
    expect(entries.at(-1)).toMatchObject({
      action: 'revealed',
      actor: 'mara',
      ref: REF,
      reason: 'is it the known jailbreak?',
      via: 'api',
    });
    expect(await records.evidence.verifyLog(incidentId)).toMatchObject({ ok: true });
    expect(await records.attempts(incidentId)).toContainEqual(
      expect.objectContaining({ person: 'mara', decision: 'reveal-sample', verdict: 'accepted' }),
    );
    expect(log.join('')).not.toContain(CANARY);
  });

  it('are not shown to whoever only views, and the attempt is recorded', async () => {
    const before = (await records.evidence.log(incidentId)).length;
    const answer = await reveal(TOKENS.vic);
    expect(answer.statusCode).toBe(403);
    expect(answer.body).not.toContain(CANARY);
    expect(await records.evidence.log(incidentId)).toHaveLength(before);
    expect(await records.attempts(incidentId)).toContainEqual(
      expect.objectContaining({ person: 'vic', decision: 'reveal-sample', verdict: 'denied' }),
    );
  });

  it.each([
    [{}, 'reason'],
    [{ reason: 'why' }, 'say why'],
    [{ reason: '        ' }, 'say why'],
    [{ reason: 'a good reason', more: 1 }, 'not known'],
  ])('need a reason: %j', async (body, problem) => {
    const answer = await reveal(TOKENS.mara, REF, body);
    expect(answer.statusCode).toBe(400);
    expect(answer.body).toContain(problem);
  });

  it('are told apart from samples that there are not', async () => {
    expect((await reveal(TOKENS.mara, 's-9999999999')).statusCode).toBe(404);
    expect((await reveal(TOKENS.mara, 'out-2')).statusCode).toBe(404);
  });

  it('are listed with who read them, without the text', async () => {
    const answer = await app.inject({
      url: `/api/v1/incidents/${incidentId}/samples`,
      headers: { authorization: `Bearer ${TOKENS.vic}` },
    });
    expect(answer.json()).toMatchObject({
      incidentId,
      kept: [{ ref: REF, source: 'outputs', destroyAtMs: nowMs + 30 * DAY_MS }],
    });
    expect(answer.body).not.toContain(CANARY);
  });

  it('are gone for good when their key is destroyed', async () => {
    const [{ keyId } = { keyId: '' }] = await records.evidence.log(incidentId);
    expect(await records.evidence.destroy({ incidentId, keyId, atMs: Date.now() })).toEqual({ texts: 1 });
    expect(await records.evidence.destroy({ incidentId, keyId, atMs: Date.now() })).toEqual({ texts: 0 });
    const answer = await reveal(TOKENS.mara);
    expect(answer.statusCode).toBe(404);
    expect(answer.body).not.toContain(CANARY);
  });
});
