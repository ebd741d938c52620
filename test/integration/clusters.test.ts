/** Two control planes, one Temporal: a worker for each cluster that can do nothing in the other. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createTemporalNamespace } from '../../demo/run/temporal-namespace.ts';
import { type AttachedStack, attachStack } from '../../demo/stack/attach-stack.ts';
import { type LoneKube, startLoneKube } from '../../demo/stack/lone-kube.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { imageOf, revisionsOf } from '../../demo/world/models.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { clusterTaskQueue } from '../../workflows/ids.ts';
import { type Clusters, type ClusterWorld, startClusters } from './clusters-fixture.ts';
import { AskingApi, requestsOf } from './rbac-review.ts';

const SETUP_MS = 240_000;
const STEP_MS = 120_000;
/** `TASK_QUEUE_TYPE_ACTIVITY` of the Temporal API. */
const ACTIVITY_QUEUE = 2;
const V1 = 'test.invalid/llm:v1';

/** Temporal's long poll. */
const POLL_LASTS_MS = 60_000;

let stack: AttachedStack;
let second: LoneKube;
let all: Clusters;
let temporalNamespace: string;
let connection: Connection;

beforeAll(async () => {
  stack = attachStack(inject('stack'));
  const dir = path.join(stack.dir, 'clusters');
  second = await startLoneKube({ dir: path.join(stack.dir, 'second-kube'), audit: true });
  const id = randomBytes(3).toString('hex');
  const temporal = { address: stack.temporal.address, namespace: `test-clusters-${id}` };
  temporalNamespace = temporal.namespace;
  await createTemporalNamespace(temporal.address, temporal.namespace);
  connection = await Connection.connect({ address: temporal.address });
  all = await startClusters({
    dir,
    temporal,
    prometheusUrl: stack.prometheus.url,
    clusters: {
      'eu-1': { kube: stack.kube, namespace: `eu-1-${id}` },
      'eu-2': { kube: second, namespace: `eu-2-${id}` },
    },
  });
  await Promise.all(['eu-1', 'eu-2'].map((name) => polls(name)));
}, SETUP_MS);
afterAll(async () => {
  await all?.stop();
  await connection?.close();
  await second?.stop();
});

describe('two clusters', () => {
  it('are each rolled back by their own worker, at the same time', async () => {
    const both = [clusterOf('eu-1'), clusterOf('eu-2')];
    await Promise.all(both.map((cluster) => cluster.ship('llm-api')));
    await Promise.all(both.map((cluster) => all.alert(cluster, 'llm-api')));
    const views = await Promise.all(both.map((cluster) => rollBack(cluster, 'llm-api')));
    expect(new Set(views.map(({ incidentId }) => incidentId)).size).toBe(2);
    for (const { kube, namespace } of both) {
      const model = { kubeconfig: kube.kubeconfigPath, namespace, name: 'llm-api' };
      expect(await imageOf(model)).toBe(V1);
      expect((await revisionsOf(model)).current).toBe(3);
      const patches = await patchesIn(kube.auditLogPath, namespace);
      expect(patches).toEqual(['patch llm-api 200']);
    }
  });

  it('share no credentials: each worker knows its own, and they are worth nothing in the other', async () => {
    const [one, two] = [clusterOf('eu-1'), clusterOf('eu-2')];
    for (const [own, other] of [
      [one, two],
      [two, one],
    ] as const) {
      const known = own.worker.everythingItKnows();
      expect(known).toContain(own.token);
      for (const foreign of [other.token, other.kube.adminToken, other.kube.server, own.kube.adminToken]) {
        expect(foreign.length).toBeGreaterThan(10);
        expect(known.includes(foreign), 'knows what it must not').toBe(false);
      }
      const asked = await AskingApi.connect({ ...other.kube, adminToken: own.token });
      await expect(asked.json(`/api/v1/namespaces/${other.namespace}/pods`)).rejects.toThrow(/answered 401/);
      asked.close();
    }
    const centre = all.centre.everythingItKnows();
    for (const { token, kube } of [one, two]) {
      expect([token, kube.adminToken, kube.server].filter((text) => centre.includes(text))).toEqual([]);
    }
    // And each polls its own queue alone.
    const polled = await Promise.all(['eu-1', 'eu-2'].map(pollersOf));
    expect(polled).toEqual([[one.worker.pid], [two.worker.pid]]);
  });

  it('do not wait for each other: with one worker away, its own incident says so, and goes on when it is back', async () => {
    const [one, two] = [clusterOf('eu-1'), clusterOf('eu-2')];
    await Promise.all([one, two].map((cluster) => cluster.ship('llm-away')));
    await two.worker.end('SIGKILL');
    const awaySinceMs = Date.now();
    await all.alert(two, 'llm-away');
    await all.alert(one, 'llm-away');
    await rollBack(one, 'llm-away');
    const meanwhile = await viewOf(two, 'llm-away');
    expect(meanwhile?.milestones.rolledBack).toBeUndefined();

    const told = await incidentWhen(
      two,
      'llm-away',
      'saying what it waits for',
      (view) => waitingFor(view) !== undefined,
    );
    expect(told.state).toBe('needs-human');
    const [, since = ''] =
      /^waits for a worker of cluster eu-2 \(queue firebreak-cluster-eu-2\): none has polled since (\S+);/.exec(
        waitingFor(told) ?? '',
      ) ?? [];
    // A worker that finds nothing to do polls once a minute: it was last seen up to that long before it was killed.
    expect(Math.abs(Date.parse(since) - awaySinceMs), since).toBeLessThan(POLL_LASTS_MS + 10_000);
    expect(told.pendingApprovals).toEqual([]);

    two.worker.start();
    const back = await rollBack(two, 'llm-away');
    expect(back.state).not.toBe('needs-human');
    expect(
      await imageOf({ kubeconfig: two.kube.kubeconfigPath, namespace: two.namespace, name: 'llm-away' }),
    ).toBe(V1);
  });
});

function clusterOf(name: string): ClusterWorld {
  const cluster = all.clusters[name];
  if (cluster === undefined) throw new Error(`there is no cluster ${name}`);
  return cluster;
}

async function polls(cluster: string): Promise<void> {
  const { worker } = clusterOf(cluster);
  await pollUntil(`the worker of ${cluster} polling (see ${worker.dir}/firebreak.log)`, STEP_MS, async () => {
    if (worker.hasEnded) throw new Error(`it ended:\n${worker.log().slice(-2_000)}`);
    return (await pollersOf(cluster)).length > 0 || undefined;
  });
}

/** Process ids of the workers that poll a cluster's queue. */
async function pollersOf(cluster: string): Promise<number[]> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace: temporalNamespace,
    taskQueue: { name: clusterTaskQueue(cluster) },
    taskQueueType: ACTIVITY_QUEUE,
  });
  return (pollers ?? []).map(({ identity }) => Number(identity?.split('@')[0]));
}

function waitingFor(view: IncidentView): string | undefined {
  return view.timeline.find(({ kind, text }) => kind === 'needs-human' && text.startsWith('waits for'))?.text;
}

async function viewOf(cluster: ClusterWorld, deployment: string): Promise<IncidentView | undefined> {
  const lines = await all.approver.incidentsIn(cluster.namespace);
  const line = lines.find(({ target }) => target?.endsWith(`/${deployment}`));
  return line && (await all.approver.incident(line.incidentId));
}

function incidentWhen(
  cluster: ClusterWorld,
  deployment: string,
  what: string,
  wanted: (view: IncidentView) => boolean,
): Promise<IncidentView> {
  return pollUntil(`the incident of ${cluster.name}/${deployment} ${what}`, STEP_MS, async () => {
    const view = await viewOf(cluster, deployment);
    if (view === undefined) throw new Error('there is none yet');
    if (wanted(view)) return view;
    throw new Error(`it is ${view.state}: ${view.timeline.map(({ text }) => text).join('; ')}`);
  });
}

/** Approves what waits, and waits until it is done. */
async function rollBack(cluster: ClusterWorld, deployment: string): Promise<IncidentView> {
  const waiting = await incidentWhen(
    cluster,
    deployment,
    'waiting for approval',
    ({ pendingApprovals }) => pendingApprovals.length > 0,
  );
  const [pending] = waiting.pendingApprovals;
  const answer = await all.approver.call('POST', `/incidents/${waiting.incidentId}/approve`, {
    planHash: pending?.planHash,
  });
  expect(answer).toMatchObject({ status: 200 });
  return incidentWhen(
    cluster,
    deployment,
    'rolled back',
    ({ milestones }) => milestones.rolledBack !== undefined,
  );
}

/** Changes of Deployments that service accounts made there. */
async function patchesIn(auditLogPath: string | undefined, namespace: string): Promise<string[]> {
  if (auditLogPath === undefined) throw new Error('the control plane keeps no audit log');
  const requests = await requestsOf(auditLogPath, `system:serviceaccount:${namespace}:firebreak`);
  return requests
    .filter(({ verb, resource }) => resource === 'deployments' && !['get', 'list', 'watch'].includes(verb))
    .map(({ verb, name, status }) => `${verb} ${name} ${status}`);
}
