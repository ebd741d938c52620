/** Approvals that must not count: for another plan, by the wrong people, forged in Temporal, or given twice. */
import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import { awaitRolledOut, imageOf, revisionsOf } from '../../demo/world/models.ts';
import type { RunningNode } from '../../demo/world/node.ts';
import type { SignedDecision } from '../../domain/decision.ts';
import type { PendingApproval } from '../../domain/incident.ts';
import type { Preapproval, RollbackPlan } from '../../domain/rollback-plan.ts';
import { approveUpdate, ROLLBACK_WORKFLOW } from '../../workflows/messages.ts';
import { histories } from '../e2e/histories.ts';
import { type Installation, install } from '../e2e/installation.ts';
import { dedupKeyOf, deploymentAsShipped, workflowIdFor } from './alert-deliveries.ts';
import {
  decisionOf,
  foreignKey,
  signedBy,
  type TemporalRights,
  takeTemporalRights,
} from './temporal-rights.ts';
import {
  apiOf,
  askForRollback,
  attemptsOn,
  incidentWhen,
  modelIn,
  openIncident,
  shipRevisions,
  stepOf,
  V1,
  V2,
} from './waiting-incident.ts';

const BY_API = 'forged-api';
const BY_TEMPORAL = 'forged-temporal';
const NAMESPACES = [BY_API, BY_TEMPORAL];
const TASK_QUEUE = 'firebreak';
const ANOTHER_PLAN = 'ab'.repeat(32);
const SOON_MS = 30_000;
const ROLLOUT_MS = 60_000;

let installation: Installation;
let temporal: TemporalRights;
const nodes: RunningNode[] = [];
const incidents = new Map<string, { incidentId: string; pending: PendingApproval }>();

beforeAll(async () => {
  installation = await install({
    name: 'forged',
    namespaces: Object.fromEntries(NAMESPACES.map((namespace) => [namespace, 'approve'])),
  });
  temporal = await takeTemporalRights(installation);
  for (const namespace of NAMESPACES) {
    nodes.push(await shipRevisions(installation, namespace));
    const incidentId = await openIncident(installation, namespace);
    const { pending } = await askForRollback(installation, incidentId);
    incidents.set(namespace, { incidentId, pending });
  }
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await temporal?.close();
  await installation?.close();
});

function incidentIn(namespace: string): { incidentId: string; pending: PendingApproval } {
  const found = incidents.get(namespace);
  if (!found) throw new Error(`no incident waits in ${namespace}`);
  return found;
}

function commanderPages(namespace: string): number {
  return installation.vendors.pagerDuty
    .pages()
    .filter(({ dedupKey }) => dedupKey.startsWith(`${dedupKeyOf(namespace)}-failed-`)).length;
}

describe('by the API', () => {
  const approve = (person: Parameters<typeof apiOf>[1], planHash?: string) => {
    const { incidentId, pending } = incidentIn(BY_API);
    return apiOf(installation, person).call('POST', `/incidents/${incidentId}/approve`, {
      step: pending.step,
      planHash: planHash ?? pending.planHash,
    });
  };

  it('approvals for another plan or by the wrong people are refused and recorded, and change nothing', async () => {
    const { incidentId, pending } = incidentIn(BY_API);
    const before = await deploymentAsShipped(installation, BY_API);
    expect(before.image).toBe(V2);

    expect(await approve('maria', ANOTHER_PLAN)).toMatchObject({
      status: 409,
      body: { error: { code: 'plan_changed' } },
    });
    for (const person of ['eve', 'sam'] as const) {
      expect(await approve(person)).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
    }
    expect(await approve('maria', 'not a hash')).toMatchObject({
      status: 400,
      body: { error: { code: 'invalid_request', problems: [expect.stringMatching(/^planHash/)] } },
    });
    for (const authorization of ['Bearer 0123456789abcdef0123456789abcdef', '', 'Basic bWFyaWE6bWFyaWE=']) {
      const answer = await fetch(`${installation.firebreak.url}/api/v1/incidents/${incidentId}/approve`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ step: pending.step, planHash: pending.planHash }),
      });
      expect(answer.status).toBe(401);
    }

    const attempts = await attemptsOn(installation, incidentId);
    expect(
      attempts
        .filter(({ decision }) => decision === 'approve')
        .map(({ person, verdict, via }) => ({ person, verdict, via })),
    ).toEqual([
      { person: 'maria', verdict: 'invalid', via: 'api' },
      { person: 'eve', verdict: 'denied', via: 'api' },
      { person: 'sam', verdict: 'denied', via: 'api' },
    ]);
    const view = await apiOf(installation, 'kim').incident(incidentId);
    expect(view.pendingApprovals).toMatchObject([{ planHash: pending.planHash, approvedBy: [] }]);
    expect(await deploymentAsShipped(installation, BY_API)).toEqual(before);
  });

  it('an approval given many times, at once and afterwards, is one', async () => {
    const { incidentId } = incidentIn(BY_API);
    const before = await deploymentAsShipped(installation, BY_API);
    const answers = await Promise.all(Array.from({ length: 8 }, () => approve('maria')));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    await incidentWhen(
      installation,
      incidentId,
      'having rolled back',
      (view) => view.milestones.rolledBack !== undefined,
    );
    const again = await approve('maria');
    expect(again).toMatchObject({ status: 200, body: { duplicate: true } });
    expect(String(again.body.message)).toContain('maria has already decided this');
    // Nothing waits any more, for nobody.
    expect(await approve('kim')).toMatchObject({ status: 409, body: { error: { code: 'nothing_waiting' } } });

    const view = await apiOf(installation, 'kim').incident(incidentId);
    expect(view.timeline.filter(({ text }) => text === 'approved step rollback')).toHaveLength(1);
    expect(view.timeline.filter(({ text }) => text.startsWith('Rolled back;'))).toHaveLength(1);
    const after = await deploymentAsShipped(installation, BY_API);
    expect(after.image).toBe(V1);
    expect(after.generation).toBe((before.generation ?? 0) + 1);
    expect((await revisionsOf(modelIn(installation, BY_API))).current).toBe(3);
    const duplicates = (await attemptsOn(installation, incidentId)).filter(
      ({ person, verdict }) => person === 'maria' && verdict === 'duplicate',
    );
    expect(duplicates.length).toBeGreaterThanOrEqual(1);
  });
});

describe('in Temporal, without the key of the edge', () => {
  const FORGERIES: { what: string; forge: (decision: ReturnType<typeof decisionOf>) => SignedDecision }[] = [
    {
      what: 'no signature',
      forge: (decision) => ({ decision, keyId: temporal.edgeKeyId, signature: '' }),
    },
    {
      what: "a foreign key's signature under the edge's key id",
      forge: (decision) => signedBy(foreignKey(), temporal.edgeKeyId, decision),
    },
    {
      what: 'a foreign key under its own id',
      forge: (decision) => signedBy(foreignKey(), 'f0e1d2c3b4a59687', decision),
    },
    {
      what: 'a genuine decision about something else, rewritten',
      forge: (decision) => ({ ...genuine(BY_API), decision }),
    },
    {
      what: 'a genuine decision about something else, as it is but for its plan and incident',
      forge: ({ incidentId, planHash }) => {
        const signed = genuine(BY_API);
        return { ...signed, decision: { ...signed.decision, incidentId, planHash } };
      },
    },
  ];

  /** What maria's approval in another namespace left in Temporal. */
  const found = new Map<string, SignedDecision>();
  function genuine(namespace: string): SignedDecision {
    const signed = found.get(namespace);
    if (!signed) throw new Error(`no genuine decision of ${namespace} was found`);
    return signed;
  }

  beforeAll(async () => {
    found.set(BY_API, (await genuineApproval(BY_API)).signed);
  });

  it.each(FORGERIES)(
    'an approval with $what: the incident takes it, the worker refuses it, a human is told',
    async ({ forge }) => {
      const { incidentId, pending } = incidentIn(BY_TEMPORAL);
      const before = await deploymentAsShipped(installation, BY_TEMPORAL);
      const pagesBefore = commanderPages(BY_TEMPORAL);
      const entriesBefore = (await apiOf(installation, 'kim').incident(incidentId)).timeline.length;
      const signed = forge(decisionOf({ incidentId, step: pending.step, planHash: pending.planHash }));

      await temporal.client.workflow.getHandle(workflowIdFor(BY_TEMPORAL)).executeUpdate(approveUpdate.name, {
        args: [{ actor: { person: signed.decision.person, via: 'api' }, signed }],
      });
      const view = await incidentWhen(
        installation,
        incidentId,
        'having refused the forged approval',
        (candidate) => stepOf(candidate, 'rollback')?.status === 'failed',
      );
      expect(stepOf(view, 'rollback')?.reason).toMatch(
        /^0 of 1 distinct people approved this plan: decision 1 (is signed with a key that is not trusted here|has a signature that does not fit it)$/,
      );
      expect(view.state).toBe('needs-human');
      expect(view.humanNeeded.join()).toContain('step rollback failed: 0 of 1 distinct people approved');
      const told = view.timeline.slice(entriesBefore).map(({ kind, text }) => `${kind}: ${text}`);
      expect(told).toContainEqual(expect.stringMatching(/^step: rollback: failed \(0 of 1 distinct people/));
      expect(told).toContainEqual(expect.stringMatching(/^needs-human: step rollback failed/));
      expect(view.milestones.rolledBack).toBeUndefined();
      expect(await deploymentAsShipped(installation, BY_TEMPORAL)).toEqual(before);
      await pollUntil(
        'the commander being paged again',
        SOON_MS,
        async () => commanderPages(BY_TEMPORAL) > pagesBefore || undefined,
      );

      // A responder starts the step again; what was forged is gone, and the same plan is asked for anew.
      const asked = await askForRollback(installation, incidentId);
      expect(asked.pending.approvedBy).toEqual([]);
      incidents.set(BY_TEMPORAL, { incidentId, pending: asked.pending });
    },
  );

  it('an approval in the name of somebody else than its sender is refused by the incident itself', async () => {
    const { incidentId, pending } = incidentIn(BY_TEMPORAL);
    const decision = decisionOf({ incidentId, step: pending.step, planHash: pending.planHash });
    const handle = temporal.client.workflow.getHandle(workflowIdFor(BY_TEMPORAL));
    const send = (args: object) => handle.executeUpdate(approveUpdate.name, { args: [args] });
    const signed = signedBy(foreignKey(), temporal.edgeKeyId, decision);
    await expect(send({ actor: { person: 'eve', via: 'api' }, signed })).rejects.toMatchObject({
      cause: { message: 'the decision is by another person' },
    });
    const stale = { ...signed, decision: { ...decision, planHash: ANOTHER_PLAN } };
    await expect(send({ actor: { person: 'maria', via: 'api' }, signed: stale })).rejects.toMatchObject({
      cause: { message: expect.stringContaining('the decision is about another plan') },
    });
    const view = await apiOf(installation, 'kim').incident(incidentId);
    expect(view.pendingApprovals).toMatchObject([{ approvedBy: [] }]);
  });

  describe('a rollback workflow started directly', () => {
    interface Attack {
      what: string;
      make: (waiting: { plan: RollbackPlan; incidentId: string; runbookHash: string }) => {
        plan: RollbackPlan;
        decisions: SignedDecision[];
        incidentId?: string;
        preapproved?: Preapproval;
      };
      refusal: RegExp;
      type: string;
    }
    const ATTACKS: Attack[] = [
      {
        what: 'without any decision, for a plan that asks for none',
        make: ({ plan }) => ({ plan: { ...plan, approval: { from: [], count: 0 } }, decisions: [] }),
        refusal: /^0 of 1 distinct people approved this plan$/,
        type: 'Unauthorized',
      },
      {
        what: 'with a decision signed by a foreign key',
        make: ({ plan, incidentId }) => ({
          plan,
          decisions: [
            signedBy(
              foreignKey(),
              temporal.edgeKeyId,
              decisionOf({ incidentId, step: 'rollback', planHash: plan.hash }),
            ),
          ],
        }),
        refusal: /has a signature that does not fit it/,
        type: 'Unauthorized',
      },
      {
        what: 'with the genuine approval of another plan',
        make: ({ plan }) => ({
          plan,
          decisions: [genuine(BY_API)],
          incidentId: genuine(BY_API).decision.incidentId,
        }),
        refusal: /is for another plan/,
        type: 'Unauthorized',
      },
      {
        what: 'with the genuine approval of another plan, whose hash this one claims',
        make: ({ plan }) => ({
          plan: { ...plan, hash: genuine(BY_API).decision.planHash },
          decisions: [genuine(BY_API)],
          incidentId: genuine(BY_API).decision.incidentId,
        }),
        refusal: /the plan is not the one that its hash names/,
        type: 'PreconditionFailed',
      },
      {
        what: 'with a genuine approval made into one by break-glass',
        make: ({ plan, incidentId }) => {
          const signed = genuine(BY_API);
          const decision = { ...signed.decision, incidentId, planHash: plan.hash, breakGlass: true as const };
          const approval = { ...plan.approval, breakGlass: true };
          return { plan: { ...plan, approval }, decisions: [{ ...signed, decision }] };
        },
        refusal: /0 of 1 .*has a signature that does not fit it/,
        type: 'Unauthorized',
      },
      {
        what: 'as approved by a runbook that nobody has',
        make: ({ plan }) => ({
          plan,
          decisions: [],
          preapproved: { runbookHash: ANOTHER_PLAN, step: 'rollback' },
        }),
        refusal:
          /the runbook's approval does not count here: this worker has no runbook with hash abababababab/,
        type: 'Unauthorized',
      },
      {
        what: 'as approved by the runbook that runs, which asks people',
        make: ({ plan, runbookHash }) => ({
          plan,
          decisions: [],
          preapproved: { runbookHash, step: 'rollback' },
        }),
        refusal: /step rollback of runbook ai-harm-response v\d+ has no preapprovedWhen/,
        type: 'Unauthorized',
      },
    ];

    it.each(ATTACKS)('$what is refused, and nothing is patched', async ({ what, make, refusal, type }) => {
      const { incidentId } = incidentIn(BY_TEMPORAL);
      const before = await deploymentAsShipped(installation, BY_TEMPORAL);
      const plan = await waitingPlan(BY_TEMPORAL);
      const { runbook } = await apiOf(installation, 'kim').incident(incidentId);
      const attack = make({ plan, incidentId, runbookHash: runbook.hash });
      const failure = await temporal.client.workflow
        .execute(ROLLBACK_WORKFLOW, {
          taskQueue: TASK_QUEUE,
          workflowId: `forged-${what}`,
          args: [{ incidentId, step: 'rollback', commandId: 'forged', ...attack }],
        })
        .catch((error: unknown) => error);
      const cause = rootOf(failure);
      expect(cause.message).toMatch(refusal);
      expect(cause.type).toBe(type);
      expect(await deploymentAsShipped(installation, BY_TEMPORAL)).toEqual(before);
    });
  });

  it('after all that, the approval of somebody who may rolls back', async () => {
    const { incidentId, pending } = incidentIn(BY_TEMPORAL);
    expect(await imageOf(modelIn(installation, BY_TEMPORAL))).toBe(V2);
    const answer = await apiOf(installation, 'maria').call('POST', `/incidents/${incidentId}/approve`, {
      step: pending.step,
      planHash: pending.planHash,
    });
    expect(answer).toMatchObject({ status: 200, body: { duplicate: false } });
    const rolledOut = await awaitRolledOut({
      ...modelIn(installation, BY_TEMPORAL),
      image: V1,
      timeoutMs: ROLLOUT_MS,
    });
    expect(rolledOut).toMatchObject({ image: V1, revision: 3 });
    const view = await incidentWhen(
      installation,
      incidentId,
      'having rolled back',
      (candidate) => candidate.milestones.rolledBack !== undefined,
    );
    expect(view.timeline.find(({ text }) => text.startsWith('Rolled back;'))?.data).toMatchObject({
      approvedBy: ['maria'],
    });
  });
});

function rootOf(failure: unknown): ApplicationFailure {
  if (failure instanceof WorkflowFailedError || failure instanceof ActivityFailure)
    return rootOf(failure.cause);
  if (failure instanceof ApplicationFailure) return failure;
  throw new Error(`the workflow ended otherwise: ${JSON.stringify(failure)}`);
}

function decoded(data: unknown): Record<string, unknown> {
  const [payload] = (data as { payloads?: { data?: Uint8Array }[] } | undefined)?.payloads ?? [];
  return JSON.parse(Buffer.from(payload?.data ?? []).toString('utf8')) as Record<string, unknown>;
}

/** The plan that a decision was about and the decision, as anybody with rights on Temporal can read them. */
async function genuineApproval(namespace: string): Promise<{ plan: RollbackPlan; signed: SignedDecision }> {
  const all = await histories(installation);
  for (const { type, history } of all) {
    if (type !== ROLLBACK_WORKFLOW) continue;
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    const input = decoded(started?.input) as unknown as { plan: RollbackPlan; decisions: SignedDecision[] };
    const [signed] = input.decisions;
    if (signed && input.plan.target.namespace === namespace) return { plan: input.plan, signed };
  }
  throw new Error(`no rollback of ${namespace} is in Temporal`);
}

/** The plan of the namespace's refused rollbacks: the same one each time, since nothing was patched. */
async function waitingPlan(namespace: string): Promise<RollbackPlan> {
  return (await genuineApproval(namespace)).plan;
}
