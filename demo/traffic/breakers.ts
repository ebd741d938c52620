import type { V1ConfigMap } from '@kubernetes/client-node';
import { BreakerClient, type BreakerView } from '../../clients/node/firebreak-breaker.ts';
import { BREAKER_CONFIG_MAP, type BreakerProjection } from '../../domain/breaker.ts';
import { type Follower, follow } from '../world/follow.ts';
import type { KubeClient } from '../world/kube-client.ts';

export type GatewayBreaker = Pick<BreakerProjection, 'state' | 'fallback' | 'share'>;

/** The breakers of a namespace as its gateway knows them: the reference client's rules, told by the API server's watch. */
export class Breakers {
  readonly #client: BreakerClient;
  #follower: Follower<V1ConfigMap> | undefined;

  private constructor(trouble: (error: Error) => void) {
    this.#client = new BreakerClient({ onProblem: (text) => trouble(new Error(text)) });
  }

  static async follow(
    kube: KubeClient,
    namespace: string,
    trouble: (error: Error) => void,
  ): Promise<Breakers> {
    const breakers = new Breakers(trouble);
    const client = breakers.#client;
    const fieldSelector = `metadata.name=${BREAKER_CONFIG_MAP}`;
    breakers.#follower = await follow(
      kube,
      {
        path: `/api/v1/namespaces/${namespace}/configmaps`,
        list: () => kube.core.listNamespacedConfigMap({ namespace, fieldSelector }),
        fieldSelector,
      },
      {
        changed: ({ data }) => client.take(new Map(Object.entries(data ?? {}))),
        gone: () => client.take('none'),
        trouble,
      },
    );
    // The first list has told what there is; where that is nothing, there is none.
    if (breakers.#follower.items().length === 0) client.take('none');
    return breakers;
  }

  /** As it counts at this moment: a half-open breaker past its lease is open. */
  of(deployment: string): GatewayBreaker {
    return asGateway(this.#client.view(deployment));
  }

  stop(): void {
    this.#follower?.stop();
  }
}

/** A breaker that could never be read may be an open one. */
export function asGateway({ state, share, fallback }: BreakerView): GatewayBreaker {
  return { state: state === 'unknown' ? 'open' : state, share, fallback };
}
