/** Three ways back to the revision before, on the same Deployment. */
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createClusterClients, createKubernetesActivities } from '../../activities/kubernetes/index.ts';
import type { Api } from '../../demo/run/api.ts';
import type { Firebreak } from '../../demo/run/firebreak-process.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { type Decision, decisionText } from '../../domain/decision.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { BENCH_ALERT } from './runbook.ts';

const run = promisify(execFile);

/** No rollout here takes half of this. */
const TIMEOUT_MS = 60_000;
/** As often as the command line looks at an incident that it follows. */
const LOOK_EVERY_MS = 1_000;

export interface Arm {
  name: 'kubectl' | 'activities' | 'firebreak';
  /** What comes before the approval; not measured. */
  prepare(deployment: string): Promise<void>;
  /** From the approval (or the command) to the completed rollout, in ms. */
  rollBack(deployment: string): Promise<number>;
  /** What comes after; not measured. */
  finish(deployment: string): Promise<void>;
}

export interface Place {
  cluster: string;
  namespace: string;
}

/** As people do it by hand: the rollout is complete when the second command ends. */
export function kubectlArm(options: { kubectl: string; kubeconfig: string } & Place): Arm {
  const { kubectl, kubeconfig, namespace } = options;
  const rollout = (command: string, deployment: string) =>
    run(kubectl, [
      `--kubeconfig=${kubeconfig}`,
      `--namespace=${namespace}`,
      'rollout',
      command,
      `deployment/${deployment}`,
    ]);
  return {
    name: 'kubectl',
    prepare: async () => undefined,
    async rollBack(deployment) {
      const startedMs = performance.now();
      await rollout('undo', deployment);
      await rollout('status', deployment);
      return performance.now() - startedMs;
    },
    finish: async () => undefined,
  };
}

/** The activities alone, without Temporal: what the workflows add is the difference to the next. */
export function activitiesArm({ kubeconfig, cluster, namespace }: { kubeconfig: string } & Place): Arm {
  const edge = generateKeyPairSync('ed25519');
  const clients = createClusterClients({ kubeconfig, namespaces: { [namespace]: { mode: 'approve' } } });
  const activities = createKubernetesActivities({
    clusters: { [cluster]: clients },
    trustedEdgeKeys: { bench: edge.publicKey },
  });
  const plans = new Map<string, RollbackPlan>();
  const incident = { incidentId: 'inc-000000000001-0a1b2c3d', step: 'rollback' };
  return {
    name: 'activities',
    async prepare(name) {
      const answer = await activities.planRollback({
        target: { cluster, namespace, kind: 'Deployment', name },
        to: 'previous',
        ledger: {},
        approval: { from: ['ml-oncall'], count: 1 },
        gitops: 'refuse',
        served: { forMs: 1, minClassified: 1, harmRateBelow: 1, metrics: {} },
      });
      if ('none' in answer) throw new Error(answer.none.reason);
      plans.set(name, answer.plan);
    },
    async rollBack(name) {
      const plan = plans.get(name);
      if (plan === undefined) throw new Error(`${name} was not planned`);
      const startedMs = performance.now();
      const decision: Decision = {
        decision: 'approve',
        ...incident,
        planHash: plan.hash,
        person: 'maria',
        groups: ['ml-oncall'],
        issuedAtMs: Date.now(),
        expiresAtMs: Date.now() + TIMEOUT_MS,
        accessVersion: 'bench',
        via: 'api',
      };
      const signature = sign(null, Buffer.from(decisionText(decision)), edge.privateKey).toString('base64');
      const { generation } = await activities.applyRollback({
        plan,
        ...incident,
        decisions: [{ decision, keyId: 'bench', signature }],
        commandId: `bench-${name}`,
      });
      const { outcome, detail } = await activities.awaitRollout({
        target: plan.target,
        templateHash: plan.to.templateHash,
        generation,
        timeoutMs: TIMEOUT_MS,
      });
      if (outcome !== 'complete') throw new Error(`the rollout of ${name} ended as ${outcome}: ${detail}`);
      return performance.now() - startedMs;
    },
    finish: async () => undefined,
  };
}

/** The whole of it: a person approves through the API, Temporal runs the incident, a worker patches and waits. */
export function firebreakArm(options: { firebreak: Firebreak; approver: Api; commander: Api } & Place): Arm {
  const { firebreak, approver, commander, cluster, namespace } = options;
  const incidents = new Map<string, { id: string; planHash: string }>();
  const known = (deployment: string) => {
    const incident = incidents.get(deployment);
    if (incident === undefined) throw new Error(`there is no incident about ${deployment}`);
    return incident;
  };
  return {
    name: 'firebreak',
    async prepare(deployment) {
      await deliver(firebreak, { cluster, namespace, deployment });
      const incident = await pollUntil(`a plan for ${deployment}`, TIMEOUT_MS, async () => {
        const lines = await approver.incidentsIn(namespace);
        const line = lines.find(({ target }) => target?.endsWith(`/${deployment}`));
        if (line === undefined) return undefined;
        const [pending] = (await approver.incident(line.incidentId)).pendingApprovals;
        return pending && { id: line.incidentId, planHash: pending.planHash };
      });
      incidents.set(deployment, incident);
    },
    async rollBack(deployment) {
      const { id, planHash } = known(deployment);
      const startedMs = Date.now();
      const answer = await approver.call('POST', `/incidents/${id}/approve`, { planHash });
      if (answer.status !== 200) {
        throw new Error(`the approval was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      }
      const rolledBackMs = await pollUntil(`${deployment} being rolled back`, TIMEOUT_MS, async () => {
        // The incident notes the moment itself. A look is answered by its workflow, which has better to do.
        await delay(LOOK_EVERY_MS);
        const { milestones, state } = await approver.incident(id);
        if (state === 'needs-human') throw new Error('the incident needs a human');
        return milestones.rolledBack;
      });
      return rolledBackMs - startedMs;
    },
    async finish(deployment) {
      const { id } = known(deployment);
      const answer = await commander.call('POST', `/incidents/${id}/abort`, { reason: 'measured' });
      if (answer.status !== 200) throw new Error(`the end of ${id} was answered ${answer.status}`);
      incidents.delete(deployment);
    },
  };
}

async function deliver(firebreak: Firebreak, labels: Record<string, string>): Promise<void> {
  const text = JSON.stringify(labels);
  const alert = {
    status: 'firing',
    labels: { alertname: BENCH_ALERT, ...labels },
    annotations: {},
    startsAt: new Date().toISOString(),
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: '',
    fingerprint: createHash('sha256').update(text).digest('hex').slice(0, 16),
  };
  const answer = await fetch(firebreak.webhookUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${firebreak.webhookToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      version: '4',
      receiver: 'bench',
      status: 'firing',
      alerts: [alert],
      groupLabels: {},
      commonLabels: {},
      commonAnnotations: {},
      externalURL: '',
      groupKey: text,
      truncatedAlerts: 0,
    }),
  });
  if (answer.status !== 200)
    throw new Error(`the alert was answered ${answer.status}: ${await answer.text()}`);
}
