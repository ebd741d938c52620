import { generateKeyPairSync, sign } from 'node:crypto';
import type { Ledger } from '../../../activities/contract.ts';
import { createClusterClients, createKubernetesActivities } from '../../../activities/kubernetes/index.ts';
import { type Decision, decisionText } from '../../../domain/decision.ts';
import type { RollbackPlan, RollbackTo } from '../../../domain/rollback-plan.ts';
import type { Target } from '../../../domain/target.ts';
import type { History } from './history.ts';
import { controllerUid, numberOf } from './objects.ts';
import { NAME, readRevisions, readWorkload, type Twin } from './twin.ts';

const CLUSTER = 'local';
const APPROVE_WITHIN_MS = 60_000;
/** No history comes to so many revisions. */
const MISSING_REVISION = 99;

/** How an undo went, in words of neither tool. */
export interface Undone {
  result: 'rolled-back' | 'unchanged' | 'refused';
  /** What the tool said. */
  text: string;
}

/** The revision that is undone to: by its number, which both tools are given, or the previous one by each tool's choice. */
export async function revisionToUndoTo(twin: Twin, { undo }: History): Promise<number | undefined> {
  if (undo.to === 'previous') return undefined;
  if (undo.to === 'missing') return MISSING_REVISION;
  const { uid } = (await readWorkload(twin)).metadata;
  const own = (await readRevisions(twin)).filter(({ metadata }) => controllerUid(metadata) === uid);
  // 0 means the previous one to kubectl.
  const numbers = own.map(numberOf).filter((number) => number > 0);
  numbers.sort((a, b) => a - b);
  return numbers[undo.nth % Math.max(1, numbers.length)] ?? MISSING_REVISION;
}

export async function undoByKubectl(twin: Twin, revision: number | undefined): Promise<Undone> {
  const { ok, text } = await twin.kubectl(
    'rollout',
    'undo',
    `${twin.kind.toLowerCase()}/${NAME}`,
    ...(revision === undefined ? [] : [`--to-revision=${revision}`]),
  );
  if (!ok) return { result: 'refused', text };
  return { result: text.includes('skipped rollback') ? 'unchanged' : 'rolled-back', text };
}

/** As people do it: plan, approve exactly that, apply. */
export async function undoByFirebreak(
  twin: Twin,
  revision: number | undefined,
  kubeconfigPath: string,
  special: History['special'],
): Promise<Undone> {
  const { namespace, kind } = twin;
  const target: Target = { cluster: CLUSTER, namespace, kind, name: NAME };
  const clients = createClusterClients({
    kubeconfig: kubeconfigPath,
    namespaces: { [namespace]: { mode: 'approve' } },
  });
  const edge = generateKeyPairSync('ed25519');
  const activities = createKubernetesActivities({
    clusters: { [CLUSTER]: clients },
    trustedEdgeKeys: { edge: edge.publicKey },
  });
  const to: RollbackTo = revision === undefined ? 'previous' : { revision };
  const planned = (ledger: Ledger) =>
    activities.planRollback({
      target,
      to,
      ledger,
      approval: { from: ['ml-oncall'], count: 1 },
      gitops: 'refuse',
      served: { forMs: 1, minClassified: 1, harmRateBelow: 1, metrics: {} },
    });
  let answer = await planned({});
  if (special === 'known-bad' && 'plan' in answer) {
    const verdict = { verdict: 'known-bad', atMs: 1, incidentId: 'inc-1', reason: 'harmful' } as const;
    answer = await planned({ [answer.plan.to.templateHash]: verdict });
  }
  if ('none' in answer) return { result: 'refused', text: answer.none.reason };

  const { plan } = answer;
  const incident = { incidentId: 'inc-000000000001-0a1b2c3d', step: 'rollback' };
  const { result } = await activities.applyRollback({
    plan,
    ...incident,
    decisions: [approve(plan, incident)],
    commandId: 'command-1',
  });
  const text = `${result}: revision ${plan.from.revision} to ${plan.to.revision}`;
  return { result: result === 'patched' ? 'rolled-back' : 'unchanged', text };

  function approve({ hash }: RollbackPlan, about: { incidentId: string; step: string }) {
    const nowMs = Date.now();
    const decision: Decision = {
      decision: 'approve',
      ...about,
      planHash: hash,
      person: 'ada',
      groups: ['ml-oncall'],
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + APPROVE_WITHIN_MS,
      accessVersion: 'a1',
      via: 'api',
    };
    const signature = sign(null, Buffer.from(decisionText(decision)), edge.privateKey).toString('base64');
    return { decision, keyId: 'edge', signature };
  }
}
