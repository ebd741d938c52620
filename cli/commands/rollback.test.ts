import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import { GatewayError } from '../../webhooks/gateway/types.ts';
import {
  createTestEdge,
  openTestRecords,
  RECORDS_START_MS,
  TOKENS,
} from '../../webhooks/test-support/edge.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../../webhooks/test-support/incident.ts';
import type { RecordingGateway } from '../../webhooks/test-support/recording-gateway.ts';
import {
  inquiryOf,
  planOf,
  type RecordingTargets,
  revisionOf,
} from '../../webhooks/test-support/recording-targets.ts';
import { readEnv } from '../env.ts';
import { run } from '../run.ts';

/** What nobody may print to a terminal, whatever a Deployment says of itself. */
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;
const LLM = ['deployment/llm-api', '-n', 'models'] as const;

let app: FastifyInstance;
let gateway: RecordingGateway;
let targets: RecordingTargets;
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let url: string;

beforeAll(async () => {
  ({ records, close: closeRecords } = await openTestRecords());
  ({ app, gateway, targets } = await createTestEdge({ records, sendDeadlineMs: 300 }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}, RECORDS_START_MS);
afterAll(async () => {
  await app.close();
  await closeRecords();
});
beforeEach(() => {
  gateway.views.clear();
  targets.clear();
});

interface More {
  env?: Record<string, string>;
  typed?: string;
  as?: keyof typeof TOKENS;
}

async function firebreak(args: readonly string[], { env, typed, as = 'mara' }: More = {}) {
  const stdin = Object.assign(new PassThrough(), { isTTY: typed !== undefined });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  if (typed !== undefined) stdin.write(typed);
  const read = readEnv({ FIREBREAK_URL: url, FIREBREAK_TOKEN: TOKENS[as], ...env });
  const code = await run(args, { env: read, stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}
const plan = (more: readonly string[] = [], how: More = {}) =>
  firebreak(['rollback', 'plan', ...LLM, ...more], how);
const apply = (more: readonly string[] = [], how: More = {}) =>
  firebreak(['rollback', 'apply', ...LLM, '--reason', 'v3 refuses everything', ...more], how);

describe('rollback plan', () => {
  it('is a page of everything that a person decides by, within 100 columns', async () => {
    const { code, out } = await plan(['--to', 'previous']);
    expect(code).toBe(0);
    expect(out).toContain('Deployment models/llm-api  cluster local');
    expect(out).toContain('Revision 3 → revision 2');
    expect(out).toMatch(/from +registry\.example\/llm:v3 {2}sha256:333333333333…/);
    expect(out).toMatch(/● {2}3 .* 2 .*12% of 20,000 .*llm:v3 .*ship v3/);
    expect(out).toMatch(/→ {2}2 .*0\.06% of 20,000 +verified/);
    expect(out).toMatch(/\n {3}1 .* barrier/);
    expect(out).toContain('estimate    about 42.0 s, as the last rollout took');
    expect(out).toContain('-  image: registry.example/llm:v3\n+  image: registry.example/llm:v2');
    expect(out).toContain('- HorizontalPodAutoscaler llm-api');
    expect(out).toContain('! ConfigMaps are used as they are now, not as they were: llm-settings');
    expect(out).toContain(
      'firebreak rollback apply deployment/llm-api -n models --to previous --reason TEXT',
    );
    expect(out).toContain('asks 1 of ml-oncall or commander');
    expect(out).toContain('Whoever declares it does not approve it; break-glass is allowed');
    expect(out).toContain(PLAN_HASH);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    expect(targets.inquiries).toMatchObject([{ to: 'previous', target: { cluster: 'local' } }]);
    expect(targets.declared).toEqual([]);
  });

  it('colours where it may', async () => {
    expect((await plan()).out).not.toContain('\u001b[');
    const coloured = await plan([], { env: { FORCE_COLOR: '1' } });
    expect(coloured.out).toContain('\u001b[31m-  image: registry.example/llm:v3');
    expect(coloured.out).toContain('\u001b[32m+  image: registry.example/llm:v2');
    expect((await plan([], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).out).not.toContain('\u001b[');
  });

  it('says what stands in the way: a freeze, an open breaker, who holds it, mode observe', async () => {
    const breaker = {
      state: 'open' as const,
      sinceMs: 1,
      reason: 'harm rate 8%',
      share: 0,
      fallback: 'llm-fallback',
    };
    targets.actors.set('llm-api', {
      breaker,
      holders: [INCIDENT_ID],
      ledger: {},
      frozen: { person: 'ben', reason: 'weights are copied', untilMs: Date.UTC(2030, 0, 1) },
      watching: false,
    });
    targets.inquiry = ({ target }) =>
      inquiryOf(target, {
        facts: { exists: true, mode: 'observe', images: ['llm:v3'], revision: 3, replicas: 2 },
      });
    const { out } = await plan();
    expect(out).toContain('frozen      by ben until 2030-01-01 00:00Z: weights are copied');
    expect(out).toContain('breaker     open, 0% to the target, the rest to llm-fallback: harm rate 8%');
    expect(out).toContain(`held by     ${INCIDENT_ID}`);
    expect(out).toContain('mode        observe: nothing will be changed');
    expect(out).toContain('in mode observe nothing is changed');
  });

  it('names the candidates where there is no such rollback, and fails', async () => {
    targets.inquiry = ({ target }) =>
      inquiryOf(target, {
        answer: { none: { reason: 'no revision is known to be good', candidates: [revisionOf(2)] } },
        history: [revisionOf(2)],
      });
    const { code, out } = await plan();
    expect(code).toBe(1);
    expect(out).toContain('No rollback is possible: no revision is known to be good');
    expect(out).toMatch(/\n2 .*llm:v2/);
  });

  it('never lets text of a Deployment steer the terminal, and cuts what is long', async () => {
    const evil = 'evil\u001b]0;owned\u0007\u009b2J\u202e';
    const long = 'x'.repeat(5_000);
    targets.inquiry = ({ target }) => {
      const hostile = planOf(target, {
        diff: `-  ${evil}\n+  args: ${'a'.repeat(250)}\n`,
        warnings: [evil, long],
        owners: [evil],
        from: revisionOf(3, { changeCause: long, images: [evil] }),
      });
      return inquiryOf(target, { answer: { plan: hostile }, history: [hostile.from, hostile.to] });
    };
    const { out } = await plan();
    expect(out).not.toMatch(CONTROLS);
    expect(out).toContain('Long values are cut (…): --json has all of them.');
    // What people approve is never cut: it goes on in the next line.
    expect(out.replaceAll(/\n\+…/g, '')).toContain('a'.repeat(250));
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    const json = await plan(['--json']);
    expect(json.out).not.toMatch(CONTROLS);
    expect(JSON.parse(json.out).answer.plan.from.changeCause).toBe(long);
  });

  it.each([
    ['pod/llm-api', '-n', 'models'],
    ['llm-api', '-n', 'models'],
    ['deployment/llm-api'],
    ['deployment/llm-api', '-n', 'Models'],
    ['deployment/../x', '-n', 'models'],
    ['deployment/llm-api', '-n', 'models', '--to', '0'],
    ['deployment/llm-api', '-n', 'models', '--to', 'newest'],
  ])('is wrong usage as %s %s %s %s %s', async (...args) => {
    const { code } = await firebreak(['rollback', 'plan', ...args]);
    expect(code).toBe(2);
    expect(targets.inquiries).toEqual([]);
  });

  it('says by its exit code what is missing', async () => {
    targets.failure = new GatewayError('refused', 'there is no Deployment models/llm-api', {
      failureType: 'NotFound',
    });
    expect(await plan()).toMatchObject({ code: 4 });
    targets.failure = new GatewayError('refused', 'the worker does not answer', {
      failureType: 'Unavailable',
    });
    const away = await plan(['--json']);
    expect(away.code).toBe(5);
    expect(JSON.parse(away.out)).toMatchObject({ error: { code: 'cluster_unavailable' } });
    expect((await plan(['--cluster', 'moon'])).err).toContain('Cluster moon is not configured');
  });
});

describe('rollback apply', () => {
  const withView = (change: Parameters<typeof viewOf>[0]) => {
    const view = viewOf(change);
    gateway.views.set(view.workflowId, view);
  };

  it('shows the plan, asks, declares what was shown, and follows it to its end', async () => {
    withView({ declaredBy: 'mara', pendingApprovals: [approvalOf()] });
    const applying = apply([], { typed: 'y\n' });
    await expect.poll(() => targets.declared.length).toBe(1);
    withView({
      state: 'mitigated',
      outcome: 'recovered',
      pendingApprovals: [],
      rollback: { fromRevision: 3, toRevision: 2, fromImage: 'a', toImage: 'b', planHash: PLAN_HASH },
    });
    const { code, out, err } = await applying;
    expect(err).toContain('Revision 3 → revision 2');
    expect(err).toContain('Declare an incident that rolls back to this when it is approved? [y/N]');
    expect(err).toContain('Paged ml-oncall');
    expect(out).toBe(`${INCIDENT_ID}: rolled back to revision 2, outcome recovered\n`);
    expect(code).toBe(0);
    expect(targets.declared[0]?.start).toMatchObject({
      declared: { person: 'mara', via: 'cli', asked: 'Rollback to revision 2', planHash: PLAN_HASH },
    });
  });

  it('says who approves with what, and that the plan that waits is another one', async () => {
    withView({ declaredBy: 'mara', pendingApprovals: [approvalOf({ planHash: 'b'.repeat(64) })] });
    const applying = apply(['--yes']);
    await expect.poll(() => targets.declared.length).toBe(1);
    withView({
      state: 'needs-human',
      humanNeeded: ['rejected by ben'],
      pendingApprovals: [approvalOf({ planHash: 'b'.repeat(64) })],
    });
    const { code, out, err } = await applying;
    expect(err).toContain('waits for a decision on another plan than you have read');
    expect(err).toContain(
      `Another person of ml-oncall or commander approves with: firebreak incident approve ${INCIDENT_ID}`,
    );
    expect(out).toContain(`${INCIDENT_ID} needs a human: rejected by ben`);
    expect(code).toBe(1);
  });

  it('sends nothing without a yes, without a terminal, without a reason, or where nothing would change', async () => {
    expect(await apply([], { typed: 'n\n' })).toMatchObject({ code: 1 });
    expect(await apply()).toMatchObject({ code: 2 });
    expect(await firebreak(['rollback', 'apply', ...LLM, '--yes'])).toMatchObject({ code: 2 });
    expect(await firebreak(['rollback', 'apply', ...LLM, '--yes', '--reason', ' '])).toMatchObject({
      code: 2,
    });
    targets.inquiry = ({ target }) => {
      const same = planOf(target, { to: revisionOf(2, { templateHash: 'hash-3' }) });
      return inquiryOf(target, { answer: { plan: same } });
    };
    const nothing = await apply(['--yes']);
    expect(nothing).toMatchObject({ code: 0 });
    expect(nothing.err).toContain('Nothing was declared');
    expect(targets.declared).toEqual([]);
    expect(await apply(['--yes', '--prove', '--no-wait'])).toMatchObject({ code: 0 });
    expect(targets.declared).toHaveLength(1);
  });

  it('only declares with --no-wait, and prints the id', async () => {
    expect(await apply(['--yes', '--no-wait'])).toMatchObject({ code: 0, out: `${INCIDENT_ID}\n` });
    expect(await apply(['--yes', '--no-wait', '--json'])).toMatchObject({ code: 1 });
  });

  it('is refused to somebody who only views', async () => {
    expect(await apply(['--yes'], { as: 'vic' })).toMatchObject({ code: 3 });
  });
});

describe('rollback status', () => {
  it('shows what runs, what diverts it and what is known of its revisions', async () => {
    targets.actors.set('llm-api', {
      breaker: { state: 'closed', sinceMs: 1, reason: 'no incident', share: 1 },
      holders: [],
      ledger: {
        'hash-3': {
          verdict: 'known-bad',
          atMs: Date.UTC(2026, 2, 4),
          incidentId: INCIDENT_ID,
          reason: '9 harmful of 100',
        },
      },
      watching: false,
    });
    const { code, out } = await firebreak(['rollback', 'status', ...LLM], { as: 'vic' });
    expect(code).toBe(0);
    expect(out).toContain('runs        revision 3: registry.example/llm:v3');
    expect(out).toContain('rollout     complete, 2 of 2 pods ready');
    expect(out).toContain('breaker     closed');
    expect(out).toContain(
      `revision 3: known-bad since 2026-03-04 00:00Z, by ${INCIDENT_ID}: 9 harmful of 100`,
    );
  });
});

describe('freeze', () => {
  const freeze = (more: readonly string[], how: More = { as: 'ben' }) =>
    firebreak(['freeze', ...LLM, ...more], how);

  it('takes a duration and a reason, and is a commander’s right', async () => {
    expect(await freeze(['--for', '2h', '--reason', 'copying'])).toMatchObject({
      code: 0,
      out: 'freeze recorded\n',
    });
    expect(targets.updates[0]).toMatchObject({
      name: 'freeze',
      argument: { forMs: 7_200_000, actor: { person: 'ben', via: 'cli' } },
    });
    expect(await freeze(['--for', '2h', '--reason', 'copying'], { as: 'mara' })).toMatchObject({ code: 3 });
    for (const args of [
      ['--for', '2h'],
      ['--reason', 'x'],
      ['--for', 'long', '--reason', 'x'],
    ])
      expect(await freeze(args)).toMatchObject({ code: 2 });
    expect(await freeze(['--for', '8d', '--reason', 'x'])).toMatchObject({ code: 2 });
  });

  it('ends by unfreeze', async () => {
    const done = await firebreak(['unfreeze', ...LLM, '--reason', 'copied', '--json'], { as: 'ben' });
    expect(JSON.parse(done.out)).toEqual({
      message: 'unfreeze recorded',
      target: 'local/models/Deployment/llm-api',
    });
  });
});
