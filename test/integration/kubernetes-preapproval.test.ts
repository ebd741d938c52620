/** A rollback that only a runbook approved: what the worker in the cluster believes of that, on a real API server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Evaluation } from '../../activities/contract.ts';
import type { Preapprovals, ServedBy } from '../../activities/kubernetes/index.ts';
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { compileRunbook } from '../../runbooks/compile.ts';
import { formatProblems } from '../../runbooks/report.ts';
import { rollbackRequest } from '../../runbooks/steps/rollback/run.ts';
import { CLUSTER, INCIDENT, type KubeWorld, openKubeWorld } from './kubernetes-fixture.ts';

const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const V3 = 'registry.test/llm:v3';
const MARK = 'firebreak.dev/preapproved-rollback-at';
const HOLDS: Evaluation = { known: true, value: true };

let world: KubeWorld;
let runbook: CompiledRunbook;
let measured: Evaluation = HOLDS;
const measurements: { expressions: Record<string, string>; inputs: unknown; mode: unknown }[] = [];

beforeAll(async () => {
  world = await openKubeWorld('auto');
  runbook = compiled(world.namespace);
});
afterAll(() => world?.stop());

function compiled(namespace: string, to = 'previous'): CompiledRunbook {
  const text = `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: fast, owner: ml-safety@example.com, version: 4 }
spec:
  match: ['alertname="AiHarm"', 'namespace="${namespace}"']
  correlateBy: [namespace, deployment]
  target: { kind: Deployment, cluster: ${CLUSTER}, namespace: '\${{ labels.namespace }}', name: '\${{ labels.deployment }}' }
  inputs: { limit: { default: 0.05 } }
  metrics:
    harmful: { counter: harmful_total, labels: { deployment: target.name } }
    classified: { counter: classified_total, labels: { deployment: target.name } }
    harmRate: { ratio: [harmful, classified], window: 5m }
  steps:
    - id: rollback
      uses: rollback
      with: { to: ${to} }
      approval: { from: [ml-oncall], count: 2, preapprovedWhen: metrics.harmRate > inputs.limit }
    - { id: verify, uses: verify, needs: [rollback] }
`;
  const result = compileRunbook('fast.yaml', text);
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.runbook;
}

function preapprovals(known: readonly CompiledRunbook[] = [runbook]): Preapprovals {
  return {
    knownRunbook: (hash) => known.find((candidate) => candidate.hash === hash),
    readBreaker: createTrafficActivities({ clusters: world.clusters }).readBreaker,
    async evaluate({ expressions, context, facts }) {
      measurements.push({ expressions, inputs: context.inputs, mode: facts.mode });
      return { results: { it: measured }, evidence: {} };
    },
  };
}

async function planFor(name: string, of = runbook, images = [V1, V2]): Promise<RollbackPlan> {
  for (const image of images) await world.ship(name, image);
  return plan(name, of);
}

async function plan(name: string, of = runbook): Promise<RollbackPlan> {
  const step = of.steps.find(({ uses }) => uses === 'rollback');
  if (!step) throw new Error('no rollback');
  const request = rollbackRequest(of, step);
  const answer = await world
    .activities()
    .planRollback({ target: world.target(name), ledger: {}, ...request });
  if ('none' in answer) throw new Error(answer.none.reason);
  return answer.plan;
}

interface Claim {
  runbookHash?: string;
  step?: string;
  known?: readonly CompiledRunbook[];
  servedBy?: ServedBy;
}

function apply(made: RollbackPlan, claim: Claim = {}) {
  const { runbookHash = runbook.hash, step = INCIDENT.step, known, servedBy } = claim;
  return world.activities(servedBy, preapprovals(known)).applyRollback({
    plan: made,
    ...INCIDENT,
    decisions: [],
    preapproved: { runbookHash, step },
    commandId: 'command-1',
  });
}

async function expectRefused(attempt: Promise<unknown>, why: RegExp): Promise<void> {
  await expect(attempt).rejects.toMatchObject({
    type: 'Unauthorized',
    message: expect.stringMatching(why),
  });
}

async function annotate(name: string, annotations: Record<string, string>): Promise<void> {
  await world.put(name, V2, ({ metadata }) => {
    if (metadata) metadata.annotations = { ...metadata.annotations, ...annotations };
  });
}

describe('a runbook that approves its own rollback', () => {
  it('is believed where everything holds now, and once in 24 h', async () => {
    const made = await planFor('believed');
    measurements.length = 0;
    expect(await apply(made)).toMatchObject({ result: 'patched', approvedBy: ['runbook fast v4'] });
    expect(await world.imageOf('believed')).toBe(V1);
    expect(measurements).toEqual([
      { expressions: { it: 'metrics.harmRate > inputs.limit' }, inputs: { limit: 0.05 }, mode: 'auto' },
    ]);
    const mark = (await world.read('believed')).metadata?.annotations?.[MARK];
    expect(Math.abs(Date.parse(mark ?? '') - Date.now())).toBeLessThan(60_000);
    // An attempt that is repeated finds its work done, though the harm is gone by now.
    measured = { known: true, value: false };
    expect(await apply(made)).toMatchObject({ result: 'already-there' });
    measured = HOLDS;

    const next = await planFor('believed', runbook, [V3]);
    await expectRefused(apply(next), /rolled back without people less than 24 h ago/);
    await annotate('believed', { [MARK]: 'yesterday' });
    await expectRefused(apply(await planFor('believed', runbook, [V3])), /less than 24 h ago/);
    await annotate('believed', { [MARK]: new Date(Date.now() - 25 * 3_600_000).toISOString() });
    expect(await apply(await planFor('believed', runbook, [V3]))).toMatchObject({ result: 'patched' });
  });

  it('is not believed where the worker does not have it, or it says nothing of the kind', async () => {
    const made = await planFor('claimed');
    await expectRefused(apply(made, { runbookHash: 'f'.repeat(64) }), /no runbook with hash ffffffffffff/);
    await expectRefused(apply(made, { known: [] }), /no runbook with hash/);
    await expectRefused(apply(made, { step: 'verify' }), /runbook fast v4 has no step rollback/);
    const asking = {
      ...runbook,
      hash: 'a'.repeat(64),
      steps: runbook.steps.map(({ approval, ...step }) =>
        approval ? { ...step, approval: { ...approval, preapprovedWhen: undefined } } : step,
      ),
    };
    await expectRefused(apply(made, { runbookHash: asking.hash, known: [asking] }), /has no preapprovedWhen/);
    const elsewhere = compiled('another-namespace');
    await expectRefused(
      apply(made, { runbookHash: elsewhere.hash, known: [elsewhere] }),
      /is not about .*claimed/,
    );
    expect(await world.imageOf('claimed')).toBe(V2);
  });

  it('is not believed where its condition does not hold, or is unknown', async () => {
    const made = await planFor('measured');
    const cases: [Evaluation, RegExp][] = [
      [{ known: true, value: false }, /it is not the case that metrics.harmRate > inputs.limit/],
      [{ known: false, reason: 'no data' }, /metrics.harmRate > inputs.limit is unknown \(no data\)/],
      [{ known: true, value: 'yes' }, /it is not the case/],
    ];
    for (const [evaluation, why] of cases) {
      measured = evaluation;
      await expectRefused(apply(made), why);
    }
    measured = HOLDS;
    expect(await world.imageOf('measured')).toBe(V2);
  });

  it('is not believed in another mode than auto, and while traffic is diverted', async () => {
    const made = await planFor('moded');
    await annotate('moded', { 'firebreak.dev/mode': 'approve' });
    await expectRefused(apply(made), /is in mode approve, not auto/);
    await annotate('moded', { 'firebreak.dev/mode': 'auto' });
    const traffic = createTrafficActivities({ clusters: world.clusters });
    const breaker = { sinceMs: Date.now(), reason: 'harm', share: 0 };
    for (const state of ['open', 'half-open'] as const) {
      await traffic.projectBreaker({
        target: made.target,
        breaker: { ...breaker, state },
        commandId: `diverted-${state}`,
      });
      await expectRefused(apply(made), new RegExp(`its traffic is diverted \\(breaker ${state}\\)`));
    }
    expect(await world.imageOf('moded')).toBe(V2);
    await traffic.projectBreaker({
      target: made.target,
      breaker: { ...breaker, sinceMs: Date.now(), state: 'closed', share: 1 },
      commandId: 'closed',
    });
    expect(await apply(made)).toMatchObject({ result: 'patched' });
  });

  it('is believed of the plan that it makes, and of no other', async () => {
    await planFor('planned', runbook, [V1, V3, V2]);
    // Somebody else's choice of a revision, with a hash that fits it.
    const step = runbook.steps[0];
    if (!step) throw new Error('no step');
    const answer = await world.activities().planRollback({
      target: world.target('planned'),
      ledger: {},
      ...rollbackRequest(runbook, step),
      to: { revision: 1 },
    });
    if ('none' in answer) throw new Error(answer.none.reason);
    await expectRefused(apply(answer.plan), /plans another rollback, to revision 2 instead of 1/);
    const { to } = await plan('planned');
    await expect(apply({ ...answer.plan, to })).rejects.toMatchObject({ type: 'PreconditionFailed' });
    expect(await world.imageOf('planned')).toBe(V2);
  });

  it('for last-known-good believes Prometheus, and not a ledger that Temporal keeps', async () => {
    const careful = compiled(world.namespace, 'last-known-good');
    for (const image of [V1, V2]) await world.ship('ledger', image);
    const step = careful.steps[0];
    if (!step) throw new Error('no step');
    const [, first] = (await plan('ledger')).history;
    const answer = await world.activities().planRollback({
      target: world.target('ledger'),
      ...rollbackRequest(careful, step),
      ledger: {
        [first?.templateHash ?? '']: {
          verdict: 'verified-good',
          atMs: 1,
          incidentId: 'inc-1',
          reason: 'forged',
        },
      },
    });
    if ('none' in answer) throw new Error(answer.none.reason);
    const claim = { runbookHash: careful.hash, known: [careful] };
    await expectRefused(apply(answer.plan, claim), /plans no rollback \(no revision is known to be good/);
    const servedBy: ServedBy = async () => ({ classified: 10_000, harmful: 1, seconds: 7_200 });
    expect(await apply(answer.plan, { ...claim, servedBy })).toMatchObject({ result: 'patched' });
  });

  it('leads to people where it cannot be checked in time', async () => {
    const made = await planFor('slow');
    const never = { ...preapprovals(), evaluate: () => new Promise<never>(() => undefined) };
    const attempt = world.activities(undefined, never).applyRollback({
      plan: made,
      ...INCIDENT,
      decisions: [],
      preapproved: { runbookHash: runbook.hash, step: INCIDENT.step },
      commandId: 'command-1',
    });
    await expectRefused(attempt, /could not be checked within 7 s/);
    expect(await world.imageOf('slow')).toBe(V2);
  });
});
