import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createVault } from '../../activities/evidence/vault.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import {
  createTestEdge,
  openTestRecords,
  RECORDS_START_MS,
  TOKENS,
} from '../../webhooks/test-support/edge.ts';
import { viewOf } from '../../webhooks/test-support/incident.ts';
import type { RecordingGateway } from '../../webhooks/test-support/recording-gateway.ts';
import { readEnv } from '../env.ts';
import { run } from '../run.ts';

const REF = 's-0123456789';
const TEXT = 'Pour \u001b[2Jboth bottles\nslowly';
const REASON = 'is it the known jailbreak?';

const SAMPLES = {
  count: 1,
  from: 'outputs',
  byCategory: { hate: 1 },
  items: [
    {
      id: 'out-1',
      ref: REF,
      sha256: 'a'.repeat(64),
      length: 9,
      categories: ['hate'],
      requestId: '',
      similar: 4,
      kept: true,
    },
  ],
  reviewed: {
    harmful: 3,
    benign: 1,
    unsure: 0,
    disagreed: [],
    precision: { value: 0.75, low: 0.3, high: 0.95 },
  },
};

let app: FastifyInstance;
let gateway: RecordingGateway;
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let url: string;
const view = viewOf({ samples: SAMPLES });
const { incidentId } = view;

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
  ({ app, gateway } = await createTestEdge({ records, sendDeadlineMs: 500 }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const vault = createVault(records.evidence, [{ id: 'k-test', key: Buffer.alloc(32, 7) }]);
  const nowMs = Date.now();
  const key = await vault.openKey({ incidentId, source: 'outputs', retentionMs: 86_400_000, nowMs });
  await vault.keep(key, [{ ref: REF, text: TEXT }], nowMs);
}, RECORDS_START_MS);
afterAll(async () => {
  await app.close();
  await closeRecords();
});
beforeEach(() => {
  gateway.views.clear();
  gateway.views.set(view.workflowId, view);
  gateway.updates.length = 0;
});

async function sample(...args: string[]) {
  const stdin = Object.assign(new PassThrough(), { isTTY: false });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const env = readEnv({ FIREBREAK_URL: url, FIREBREAK_TOKEN: TOKENS.mara });
  const code = await run(['sample', ...args], { env, stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

describe('firebreak sample', () => {
  it('lists samples with what is kept, how many each stands for, and the precision so far', async () => {
    const { code, out } = await sample('list', '3f9a');
    expect(code).toBe(0);
    expect(out).toMatch(/^SAMPLE +CATEGORIES +LENGTH +SIMILAR +TEXT KEPT +ID/);
    expect(out).toContain(REF);
    expect(out).toContain('+4');
    expect(out).toContain('precision 75% (95% interval 30% to 95%): 3 of 4 reviewed samples are harmful');
    expect(out).not.toContain('bottles');
  });

  it('lists a kept text also where the incident has its sample no more', async () => {
    gateway.views.set(view.workflowId, viewOf({ samples: undefined }));
    const { out } = await sample('list', '3f9a');
    expect(out).toMatch(new RegExp(`${REF} +for `));
  });

  it('reads a text aloud as plain text, with a reason only, and shows who did', async () => {
    const without = await sample('reveal', '3f9a', REF);
    expect(without.code).toBe(2);
    const { code, out, err } = await sample('reveal', '3f9a', REF, '--reason', REASON);
    expect(code).toBe(0);
    expect(out).toBe('Pour [2Jboth bottles\nslowly\n');
    expect(err).toContain('Your reading is recorded');
    const log = await sample('list', '3f9a', '--log');
    expect(log.out).toMatch(new RegExp(`revealed +mara +${REF} +${REASON.replace('?', '\\?')}`));
  });

  it('marks a sample as a person of the access file', async () => {
    const { code } = await sample('mark', '3f9a', REF, 'benign');
    expect(code).toBe(0);
    expect(gateway.updates[0]).toMatchObject({
      name: 'reviewSample',
      argument: { actor: { person: 'mara', via: 'cli' }, sampleId: REF, verdict: 'benign' },
    });
    const wrong = await sample('mark', '3f9a', REF, 'nice');
    expect(wrong.code).toBe(2);
  });
});
