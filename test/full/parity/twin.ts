import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { apiStatus, type KubeClient } from '../../../demo/world/kube-client.ts';
import { canonicalJson } from '../../../domain/canonical-json.ts';
import type { History, ParityKind, Step } from './history.ts';
import { controllerUid, type Json, numberOf } from './objects.ts';
import { isSettled } from './settled.ts';

/** Name of the workload, the same in each namespace: names of its revisions are then the same as well. */
export const NAME = 'llm';
const POLL_MS = 250;
/** Rollouts of a few pods that are ready at once take a second; many histories go on side by side. */
const SETTLE_WITHIN_MS = 60_000;
const MAX_WRITES = 20;

export interface Twin {
  kube: KubeClient;
  kubectl(...args: string[]): Promise<{ ok: boolean; text: string }>;
  namespace: string;
  kind: ParityKind;
}

const PLURALS = { Deployment: 'deployments', StatefulSet: 'statefulsets' } as const;
const REVISIONS = { Deployment: 'replicasets', StatefulSet: 'controllerrevisions' } as const;
const APPS = { group: 'apps', version: 'v1' } as const;

export function openTwin(
  kube: KubeClient,
  namespace: string,
  kind: ParityKind,
  cli: { kubectlPath: string; kubeconfigPath: string },
): Twin {
  return {
    kube,
    namespace,
    kind,
    async kubectl(...args) {
      const at = ['--kubeconfig', cli.kubeconfigPath, '--namespace', namespace];
      try {
        const { stdout } = await promisify(execFile)(cli.kubectlPath, [...args, ...at]);
        return { ok: true, text: stdout.trim() };
      } catch (error) {
        const { stderr } = error as { stderr?: string };
        if (stderr === undefined) throw error;
        return { ok: false, text: stderr.trim() };
      }
    },
  };
}

export async function readWorkload({ kube, namespace, kind }: Twin): Promise<Json> {
  return await kube.objects.getNamespacedCustomObject({
    ...APPS,
    namespace,
    plural: PLURALS[kind],
    name: NAME,
  });
}

/** All of them, whoever owns them. */
export async function readRevisions({ kube, namespace, kind }: Twin): Promise<Json[]> {
  const list: { items: Json[] } = await kube.objects.listNamespacedCustomObject({
    ...APPS,
    namespace,
    plural: REVISIONS[kind],
  });
  return list.items;
}

/** Waits until the controllers have done everything that follows from the last change. */
export async function settle(twin: Twin): Promise<void> {
  const untilMs = Date.now() + SETTLE_WITHIN_MS;
  for (;;) {
    const lacking = isSettled(twin.kind, await readWorkload(twin), await readRevisions(twin));
    if (lacking === undefined) return;
    if (Date.now() > untilMs) {
      throw new Error(`${twin.namespace}: waited ${SETTLE_WITHIN_MS / 1_000} s in vain: ${lacking}`);
    }
    await delay(POLL_MS);
  }
}

/** Plays a history up to its undo. */
export async function play(twin: Twin, history: History): Promise<void> {
  await create(twin, history);
  await settle(twin);
  for (const [index, step] of history.steps.entries()) {
    await take(twin, step, index);
    await settle(twin);
  }
}

async function create({ kube, namespace, kind }: Twin, history: History): Promise<void> {
  const { replicas, limit, strategy, annotations, special } = history;
  const template = {
    metadata: { labels: { app: NAME } },
    spec: {
      // The node has nothing to end: pods go at once.
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'model', image: imageOf(1), env: [{ name: 'BASE', value: 'x' }] }],
    },
  };
  const own = kind === 'StatefulSet' ? { serviceName: NAME } : {};
  const body = {
    apiVersion: 'apps/v1',
    kind,
    metadata: {
      name: NAME,
      labels: { app: NAME },
      annotations: {
        ...annotations,
        ...(special === 'from-git' ? { 'argocd.argoproj.io/tracking-id': 'models' } : {}),
      },
      ...(special === 'controlled' ? { ownerReferences: [await makeOwner(kube, namespace)] } : {}),
    },
    spec: {
      replicas,
      revisionHistoryLimit: limit,
      selector: { matchLabels: { app: NAME } },
      ...strategyOf(kind, strategy),
      ...own,
      template,
    },
  };
  await kube.objects.createNamespacedCustomObject({ ...APPS, namespace, plural: PLURALS[kind], body });
}

function imageOf(image: number): string {
  return `registry.test/llm:v${image}`;
}

function strategyOf(kind: ParityKind, strategy: number): object {
  if (kind === 'StatefulSet') {
    return {
      updateStrategy: [
        { type: 'RollingUpdate' },
        { type: 'RollingUpdate', rollingUpdate: { partition: 1 } },
        { type: 'OnDelete' },
      ][strategy],
    };
  }
  return {
    strategy: [
      { type: 'RollingUpdate' },
      { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      { type: 'Recreate' },
    ][strategy],
  };
}

/** An object that exists: what is owned by nothing that does is collected. */
async function makeOwner(kube: KubeClient, namespace: string): Promise<object> {
  const name = 'owner';
  const existing = await kube.core.readNamespacedConfigMap({ namespace, name }).catch(() => undefined);
  const { metadata } =
    existing ?? (await kube.core.createNamespacedConfigMap({ namespace, body: { metadata: { name } } }));
  return { apiVersion: 'v1', kind: 'ConfigMap', name, uid: metadata?.uid, controller: true };
}

async function take(twin: Twin, step: Step, index: number): Promise<void> {
  switch (step.do) {
    case 'image':
      return edit(twin, (workload) => {
        containerOf(workload).image = imageOf(step.image);
        Object.assign(annotationsOf(workload), step.annotations);
      });
    case 'env':
      return edit(twin, (workload) => {
        const container = containerOf(workload);
        const others = container.env.filter(({ name }) => name !== step.name);
        const own = step.value === undefined ? [] : [{ name: step.name, value: step.value }];
        container.env = [...others, ...own];
      });
    case 'args':
      return edit(twin, (workload) => {
        containerOf(workload).args = step.args;
      });
    case 'template-label':
      return edit(twin, (workload) => put(templateOf(workload).metadata, 'labels', 'flavour', step.value));
    case 'template-annotation':
      return edit(twin, (workload) => {
        put(
          templateOf(workload).metadata,
          'annotations',
          'kubectl.kubernetes.io/restartedAt',
          step.value && '2026-01-01T00:00:00Z',
        );
        put(templateOf(workload).metadata, 'annotations', 'note', step.value);
      });
    case 'volume':
      return edit(twin, (workload) => {
        const { spec } = templateOf(workload);
        spec.volumes = spec.volumes === undefined ? [{ name: 'scratch', emptyDir: {} }] : undefined;
      });
    case 'barrier':
      return edit(twin, (workload) => {
        const { metadata } = templateOf(workload);
        const standing = metadata.annotations?.['firebreak.dev/rollback-barrier'];
        put(metadata, 'annotations', 'firebreak.dev/rollback-barrier', standing ? undefined : 'schema 7');
      });
    case 'annotate':
      return edit(twin, (workload) => put(workload.metadata, 'annotations', step.key, step.value));
    case 'label':
      return edit(twin, (workload) => put(workload.metadata, 'labels', 'tier', step.value));
    case 'scale':
      return edit(twin, (workload) => {
        specOf(workload).replicas = step.replicas;
      });
    case 'history-limit':
      return edit(twin, (workload) => {
        specOf(workload).revisionHistoryLimit = step.limit;
      });
    case 'strategy':
      return edit(twin, (workload) => {
        Object.assign(specOf(workload), strategyOf(twin.kind, step.strategy));
      });
    case 'pause':
    case 'resume':
      return edit(twin, (workload) => {
        specOf(workload).paused = step.do === 'pause' ? true : undefined;
      });
    case 'undo':
      // Whatever it answers: where there is nothing to go back to, nothing happens in both.
      await twin.kubectl('rollout', 'undo', `${twin.kind.toLowerCase()}/${NAME}`);
      return;
    case 'delete-revision':
      return deleteRevision(twin, step.nth);
    case 'delete-current-revision':
      return deleteRevision(twin, 'current');
    case 'orphan':
      return addOrphan(twin, step, index);
  }
}

/** Reads, changes and writes back; again where somebody else wrote meanwhile. */
async function edit(twin: Twin, change: (workload: Json) => void): Promise<void> {
  const at = { ...APPS, namespace: twin.namespace, plural: PLURALS[twin.kind], name: NAME };
  for (let write = 1; ; write += 1) {
    const body = await readWorkload(twin);
    change(body);
    try {
      await twin.kube.objects.replaceNamespacedCustomObject({ ...at, body });
      return;
    } catch (error) {
      if (apiStatus(error) !== 409 || write === MAX_WRITES) throw error;
    }
  }
}

interface Spec {
  replicas?: number;
  revisionHistoryLimit?: number;
  paused?: boolean;
  template: {
    metadata: { labels?: Record<string, string>; annotations?: Record<string, string> };
    spec: { volumes?: object[]; containers: [Container] };
  };
}

interface Container {
  image: string;
  args?: string[];
  env: { name: string; value?: string }[];
}

function specOf(workload: Json): Spec {
  return workload.spec as Spec;
}

function templateOf(workload: Json): Spec['template'] {
  return specOf(workload).template;
}

function containerOf(workload: Json): Container {
  return templateOf(workload).spec.containers[0];
}

function annotationsOf({ metadata }: Json): Record<string, string> {
  metadata.annotations ??= {};
  return metadata.annotations;
}

function put(
  metadata: { labels?: Record<string, string>; annotations?: Record<string, string> },
  field: 'labels' | 'annotations',
  key: string,
  value: string | undefined,
): void {
  const { [key]: _old, ...rest } = metadata[field] ?? {};
  metadata[field] = value === undefined ? rest : { ...rest, [key]: value };
}

async function deleteRevision(twin: Twin, which: number | 'current'): Promise<void> {
  const { namespace, kind, kube } = twin;
  const workload = await readWorkload(twin);
  const all = (await readRevisions(twin)).sort((a, b) => numberOf(a) - numberOf(b));
  const own = all.filter(({ metadata }) => controllerUid(metadata) === workload.metadata.uid);
  const newest = own.at(-1);
  const old = own.slice(0, -1);
  const chosen = which === 'current' ? newest : old[which % Math.max(1, old.length)];
  if (chosen === undefined) return;
  const { name } = chosen.metadata;
  await kube.objects.deleteNamespacedCustomObject({ ...APPS, namespace, plural: REVISIONS[kind], name });
  // A StatefulSet's controller does not watch its revisions.
  if (kind === 'StatefulSet') await poke(twin);
}

/** A revision with the labels that the selector wants, which the controller did not make. */
async function addOrphan(
  twin: Twin,
  { image, revision, owner }: Extract<Step, { do: 'orphan' }>,
  index: number,
): Promise<void> {
  const { kube, namespace, kind } = twin;
  // Ages have whole seconds, and decide between equal templates: both twins see the same order.
  const newest = Math.max(
    ...(await readRevisions(twin)).map(({ metadata }) => Date.parse(metadata.creationTimestamp)),
  );
  await laterThan(newest);
  const template = structuredClone(templateOf(await readWorkload(twin)));
  template.spec.containers[0].image = imageOf(image);
  const name = `${NAME}-orphan-${index}`;
  const metadata = {
    name,
    labels: { app: NAME, orphan: `n${index}` },
    ...(owner === 'another' ? { ownerReferences: [await makeOwner(kube, namespace)] } : {}),
  };
  const body =
    kind === 'StatefulSet'
      ? {
          apiVersion: 'apps/v1',
          kind: 'ControllerRevision',
          metadata,
          revision: /^\d+$/.test(revision ?? '') ? Number(revision) : 0,
          // Ordered as the API orders it when it writes it again: it counts another order as a change.
          data: JSON.parse(canonicalJson({ spec: { template: { ...template, $patch: 'replace' } } })),
        }
      : {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          metadata: {
            ...metadata,
            annotations: revision === undefined ? {} : { 'deployment.kubernetes.io/revision': revision },
          },
          spec: {
            replicas: 0,
            selector: { matchLabels: metadata.labels },
            template: {
              ...template,
              metadata: { ...template.metadata, labels: { ...template.metadata.labels, ...metadata.labels } },
            },
          },
        };
  await kube.objects.createNamespacedCustomObject({ ...APPS, namespace, plural: REVISIONS[kind], body });
  await laterThan(Date.now());
  if (kind === 'StatefulSet') await poke(twin);
}

/** Waits until the clock shows another second than this one. */
async function laterThan(ms: number): Promise<void> {
  const nextMs = (Math.floor(ms / 1_000) + 1) * 1_000;
  while (Date.now() < nextMs) await delay(nextMs - Date.now());
}

/** Has the controller look at the workload. */
async function poke(twin: Twin): Promise<void> {
  await edit(twin, (workload) => {
    const pokes = Number(workload.metadata.labels?.poked ?? 0);
    put(workload.metadata, 'labels', 'poked', String(pokes + 1));
  });
}
