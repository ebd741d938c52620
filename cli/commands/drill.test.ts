import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { IncidentView } from '../../domain/incident.ts';
import {
  createTestEdge,
  openTestRecords,
  RECORDS_START_MS,
  TOKENS,
} from '../../webhooks/test-support/edge.ts';
import { INCIDENT_ID, viewOf } from '../../webhooks/test-support/incident.ts';
import type { RecordingGateway } from '../../webhooks/test-support/recording-gateway.ts';
import { readEnv } from '../env.ts';
import { run } from '../run.ts';

let app: FastifyInstance;
let gateway: RecordingGateway;
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let url: string;
/** What becomes of the drill. */
let ends: Partial<IncidentView>;

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
  ({ app, gateway } = await createTestEdge({ records, sendDeadlineMs: 300 }));
  const { signalWithStart } = gateway;
  gateway.signalWithStart = async (input) => {
    await signalWithStart.call(gateway, input);
    const view = viewOf({ drill: input.start.drill, ...ends });
    gateway.views.set(input.workflowId, view);
    gateway.views.set(view.workflowId, view);
  };
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}, RECORDS_START_MS);
afterAll(async () => {
  await app.close();
  await closeRecords();
});
beforeEach(() => {
  gateway.views.clear();
  gateway.started.length = 0;
  ends = {
    state: 'closed',
    outcome: 'drill',
    pendingApprovals: [],
    chatShown: true,
    acknowledgedBy: 'mara',
    milestones: { triggered: 1_000, acknowledged: 31_000, resolved: 60_000, closed: 61_000 },
    pages: [{ role: 'ml-oncall', channel: 'pagerduty', acceptedAtMs: 3_000 }],
    steps: [
      { id: 'page', uses: 'page', status: 'succeeded' },
      { id: 'divert', uses: 'divert', status: 'would-have', reason: 'a drill changes nothing' },
    ],
  };
});

async function drill(more: readonly string[] = [], typed?: string) {
  const stdin = Object.assign(new PassThrough(), { isTTY: typed !== undefined });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  if (typed !== undefined) stdin.write(typed);
  const env = readEnv({ FIREBREAK_URL: url, FIREBREAK_TOKEN: TOKENS.mara });
  const args = ['drill', 'deployment/llm-api', '-n', 'models', '--runbook', 'ai-harm-response', ...more];
  const code = await run(args, { env, stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

it('shows its plan, and sends nothing where the answer is no', async () => {
  const { code, err } = await drill([], 'n\n');
  expect(code).not.toBe(0);
  expect(err).toContain('rollback: ');
  expect(err).toContain('then changes nothing');
  expect(gateway.started).toEqual([]);
});

it('tells what worked, and exits with 0 where everything did', async () => {
  const { code, out } = await drill(['--yes']);
  expect(out.split('\n').filter((line) => line !== '')).toEqual([
    'ok      pages: ml-oncall by pagerduty after 2 s',
    'ok      acknowledged: by mara after 30 s',
    'ok      chat: the message is there',
    'ok      step divert: a drill changes nothing',
  ]);
  expect(code).toBe(0);
});

it('fails where nobody acknowledged, and as JSON says the same', async () => {
  ends = {
    ...ends,
    acknowledgedBy: undefined,
    milestones: { triggered: 1_000, resolved: 9_000, closed: 9_000 },
  };
  const { code, out } = await drill(['--yes', '--json']);
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ incidentId: INCIDENT_ID, ok: false });
});
