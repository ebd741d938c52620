import { randomBytes } from 'node:crypto';
import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { type FollowedKind, type Follower, follow } from './follow.ts';
import { apiStatus, connectKube, explain, type KubeClient, MERGE_PATCH } from './kube-client.ts';
import { combineBehaviours, nextPodStep, type PodBehaviour, type PodMemory } from './pod-lifecycle.ts';

/** As a small model server with its weights cached would need at least; short, since nothing is really loaded. */
const DEFAULT_BEHAVIOUR: PodBehaviour = { ready: 300 };
/** After a refused or failed write; the watch brings the newer object within milliseconds. */
const RETRY_MS = 200;
const IPS_PER_SUBNET = 254;

export interface StartNodeOptions {
  kubeconfig: string;
  /** Only pods of these namespaces are run; several nodes may share one control plane by namespaces. */
  namespaces: readonly string[] | 'all';
  /** Default: a name of its own. */
  name?: string;
  /** By the image text of the pod's containers; any other image becomes ready after 300 ms. */
  images?: Record<string, PodBehaviour>;
  /** What went wrong and is tried again. */
  trouble?: (error: Error) => void;
}

export interface RunningNode {
  name: string;
  /** From now on, for pods that are not ready yet and those to come. */
  setImage(image: string, behaviour: PodBehaviour): void;
  /** Removes the Node object; its pods stay as they are. Delete a namespace before its node, or its pods never end. */
  stop(): Promise<void>;
}

/**
 * Plays the scheduler, node and kubelet that the local control plane lacks: binds pods, runs them as the table of
 * images says, all through the API, and finalises those that are deleted. Nothing is really run.
 */
export async function startNode(options: StartNodeOptions): Promise<RunningNode> {
  const name = options.name ?? `demo-node-${randomBytes(3).toString('hex')}`;
  const kube = connectKube(options.kubeconfig);
  await createNode(kube, name);
  const runner = new PodRunner(kube, name, options);
  try {
    await runner.start(options.namespaces);
  } catch (error) {
    await runner.stop();
    await deleteNode(kube, name);
    throw explain(error, 'listing the pods to run');
  }
  return {
    name,
    setImage: (image, behaviour) => runner.setImage(image, behaviour),
    stop: async () => {
      await runner.stop();
      await deleteNode(kube, name);
    },
  };
}

interface PodEntry {
  pod: V1Pod;
  podIp: string;
  memory: PodMemory;
  timer?: NodeJS.Timeout;
  /** At most one step at a time is under way for a pod. */
  working?: Promise<void>;
  /** The pod changed while a step was under way. */
  again: boolean;
}

class PodRunner {
  readonly #kube: KubeClient;
  readonly #nodeName: string;
  readonly #behaviours: Map<string, PodBehaviour>;
  readonly #trouble: (error: Error) => void;
  readonly #entries = new Map<string, PodEntry>();
  readonly #followers: Follower<V1Pod>[] = [];
  #podCount = 0;
  #stopped = false;

  constructor(kube: KubeClient, nodeName: string, options: StartNodeOptions) {
    this.#kube = kube;
    this.#nodeName = nodeName;
    this.#behaviours = new Map(Object.entries(options.images ?? {}));
    this.#trouble = options.trouble ?? (() => {});
  }

  async start(namespaces: readonly string[] | 'all'): Promise<void> {
    const kinds =
      namespaces === 'all' ? [podsOf(this.#kube)] : namespaces.map((one) => podsOf(this.#kube, one));
    for (const kind of kinds) {
      const follower = await follow(this.#kube, kind, {
        changed: (pod) => this.#see(pod),
        gone: (pod) => this.#forget(pod),
        trouble: this.#trouble,
      });
      this.#followers.push(follower);
    }
  }

  setImage(image: string, behaviour: PodBehaviour): void {
    this.#behaviours.set(image, behaviour);
    for (const entry of this.#entries.values()) this.#wake(entry);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const follower of this.#followers) follower.stop();
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
    await Promise.allSettled([...this.#entries.values()].map((entry) => entry.working));
    this.#entries.clear();
  }

  #see(pod: V1Pod): void {
    const uid = pod.metadata?.uid ?? '';
    let entry = this.#entries.get(uid);
    if (entry === undefined) {
      entry = { pod, podIp: this.#nextPodIp(), memory: {}, again: false };
      this.#entries.set(uid, entry);
    }
    entry.pod = pod;
    this.#wake(entry);
  }

  #forget(pod: V1Pod): void {
    const uid = pod.metadata?.uid ?? '';
    clearTimeout(this.#entries.get(uid)?.timer);
    this.#entries.delete(uid);
  }

  #wake(entry: PodEntry): void {
    clearTimeout(entry.timer);
    if (this.#stopped) return;
    if (entry.working !== undefined) {
      entry.again = true;
      return;
    }
    entry.again = false;
    entry.working = this.#work(entry).finally(() => {
      entry.working = undefined;
      if (entry.again) this.#wake(entry);
    });
  }

  async #work(entry: PodEntry): Promise<void> {
    try {
      const recheckInMs = await this.#step(entry);
      if (recheckInMs !== undefined) this.#wakeIn(entry, recheckInMs);
    } catch (error) {
      // Gone meanwhile: the watch tells that too.
      if (apiStatus(error) === 404) return;
      // Changed meanwhile: the newer object is on its way.
      if (apiStatus(error) !== 409) this.#trouble(explain(error, `running pod ${nameOf(entry.pod)}`));
      this.#wakeIn(entry, RETRY_MS);
    }
  }

  #wakeIn(entry: PodEntry, ms: number): void {
    if (!this.#stopped) entry.timer = setTimeout(() => this.#wake(entry), ms);
  }

  /** @returns in how many milliseconds to look again; undefined: when something changes. */
  async #step(entry: PodEntry): Promise<number | undefined> {
    const { pod, podIp, memory } = entry;
    const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
    const behaviour = this.#behaviourOf(pod);
    const nowMs = Date.now();
    const step = nextPodStep({ pod, podIp, memory, behaviour, nodeName: this.#nodeName, nowMs });
    switch (step.do) {
      case 'nothing':
        return step.recheckInMs;
      case 'bind':
        await this.#kube.core.createNamespacedPodBinding({
          name,
          namespace,
          body: { metadata: { name, uid }, target: { apiVersion: 'v1', kind: 'Node', name: this.#nodeName } },
        });
        return undefined;
      case 'finalise':
        await this.#kube.core.deleteNamespacedPod({
          name,
          namespace,
          body: { gracePeriodSeconds: 0, preconditions: { uid } },
        });
        return undefined;
      case 'write-status':
        // The uid makes it a conflict to write to a newer pod of the same name.
        await this.#kube.core.patchNamespacedPodStatus(
          { name, namespace, body: { metadata: { uid }, status: step.status } },
          MERGE_PATCH,
        );
        if (step.memory !== undefined) entry.memory = step.memory;
        return undefined;
    }
  }

  #behaviourOf(pod: V1Pod): PodBehaviour {
    const images = (pod.spec?.containers ?? []).map(({ image = '' }) => image);
    return combineBehaviours(images.map((image) => this.#behaviours.get(image) ?? DEFAULT_BEHAVIOUR));
  }

  /** Addresses that look like a cluster's; nothing listens there. */
  #nextPodIp(): string {
    const index = this.#podCount++;
    return `10.88.${Math.floor(index / IPS_PER_SUBNET) % 256}.${(index % IPS_PER_SUBNET) + 1}`;
  }
}

function podsOf({ core }: KubeClient, namespace?: string): FollowedKind<V1Pod> {
  if (namespace === undefined) return { path: '/api/v1/pods', list: () => core.listPodForAllNamespaces() };
  return {
    path: `/api/v1/namespaces/${namespace}/pods`,
    list: () => core.listNamespacedPod({ namespace }),
  };
}

async function createNode({ core }: KubeClient, name: string): Promise<void> {
  const capacity = { cpu: '64', memory: '512Gi', pods: '1000', 'nvidia.com/gpu': '64' };
  const now = new Date();
  const node: V1Node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } },
  };
  const status = {
    capacity,
    allocatable: capacity,
    addresses: [
      { type: 'InternalIP', address: '127.0.0.1' },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'played by the demo',
        lastHeartbeatTime: now,
        lastTransitionTime: now,
      },
    ],
  };
  try {
    await core.createNode({ body: node }).catch((error: unknown) => {
      // A node of a run that was killed: take it over.
      if (apiStatus(error) !== 409) throw error;
    });
    await core.patchNodeStatus({ name, body: { status } }, MERGE_PATCH);
    // Admission marks each new node as not ready, and the controller that would take that away is not running.
    await core.patchNode({ name, body: { spec: { taints: null } } }, MERGE_PATCH);
  } catch (error) {
    throw explain(error, `creating Node ${name}`);
  }
}

async function deleteNode({ core }: KubeClient, name: string): Promise<void> {
  await core.deleteNode({ name }).catch((error: unknown) => {
    const status = apiStatus(error);
    // No status: the API server is gone already, and the Node with it or of no use any more.
    if (status !== undefined && status !== 404) throw explain(error, `deleting Node ${name}`);
  });
}

function nameOf({ metadata }: V1Pod): string {
  return `${metadata?.namespace}/${metadata?.name}`;
}
