import type { V1Pod, V1ReplicaSet } from '@kubernetes/client-node';
import { type Follower, follow } from '../world/follow.ts';
import type { KubeClient } from '../world/kube-client.ts';

const REVISION_ANNOTATION = 'deployment.kubernetes.io/revision';

/** A pod of a Deployment whose container runs. */
export interface ModelPod {
  uid: string;
  name: string;
  deployment: string;
  /** As text, since it becomes a label. */
  revision: string;
  image: string;
  /** Gets traffic: ready and not about to be deleted. */
  ready: boolean;
}

/** Follows the pods of a namespace and says which Deployment and revision each belongs to. */
export class ModelPods {
  readonly #pods: Follower<V1Pod>;
  readonly #replicaSets: Follower<V1ReplicaSet>;
  #changed = true;
  #current: ModelPod[] = [];

  private constructor(pods: Follower<V1Pod>, replicaSets: Follower<V1ReplicaSet>) {
    this.#pods = pods;
    this.#replicaSets = replicaSets;
  }

  static async follow(
    kube: KubeClient,
    namespace: string,
    trouble: (error: Error) => void,
  ): Promise<ModelPods> {
    let self: ModelPods | undefined;
    const changed = (): void => {
      if (self !== undefined) self.#changed = true;
    };
    const handlers = { changed, gone: changed, trouble };
    const replicaSets = await follow(
      kube,
      {
        path: `/apis/apps/v1/namespaces/${namespace}/replicasets`,
        list: () => kube.apps.listNamespacedReplicaSet({ namespace }),
      },
      handlers,
    );
    try {
      const pods = await follow(
        kube,
        {
          path: `/api/v1/namespaces/${namespace}/pods`,
          list: () => kube.core.listNamespacedPod({ namespace }),
        },
        handlers,
      );
      self = new ModelPods(pods, replicaSets);
      return self;
    } catch (error) {
      replicaSets.stop();
      throw error;
    }
  }

  /** In order of name. The same array until something changes. */
  current(): readonly ModelPod[] {
    if (!this.#changed) return this.#current;
    this.#changed = false;
    const replicaSets = new Map(this.#replicaSets.items().map((one) => [one.metadata?.uid ?? '', one]));
    this.#current = this.#pods
      .items()
      .map((pod) => modelPod(pod, replicaSets))
      .filter((pod) => pod !== undefined)
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#current;
  }

  stop(): void {
    this.#pods.stop();
    this.#replicaSets.stop();
  }
}

/** undefined: not a Deployment's pod, or one that does not run (yet). */
function modelPod(pod: V1Pod, replicaSets: ReadonlyMap<string, V1ReplicaSet>): ModelPod | undefined {
  const replicaSet = replicaSets.get(controllerOf(pod)?.uid ?? '');
  const deployment = replicaSet === undefined ? undefined : controllerOf(replicaSet);
  const container = pod.status?.containerStatuses?.[0];
  if (deployment?.kind !== 'Deployment' || container?.state?.running === undefined) return undefined;
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  return {
    uid: pod.metadata?.uid ?? '',
    name: pod.metadata?.name ?? '',
    deployment: deployment.name,
    revision: replicaSet?.metadata?.annotations?.[REVISION_ANNOTATION] ?? '0',
    image: pod.spec?.containers[0]?.image ?? '',
    ready: ready === true && pod.metadata?.deletionTimestamp === undefined,
  };
}

function controllerOf({ metadata }: V1Pod | V1ReplicaSet) {
  return metadata?.ownerReferences?.find(({ controller }) => controller === true);
}
