import type { V1ConfigMap } from '@kubernetes/client-node';
import { z } from 'zod';
import { BREAKER_CONFIG_MAP, type BreakerProjection, breakerKey } from '../../domain/breaker.ts';
import { type Follower, follow } from '../world/follow.ts';
import type { KubeClient } from '../world/kube-client.ts';

/** What a gateway needs of the projection; other fields may come and go. */
const projectionSchema = z.object({
  state: z.enum(['closed', 'open', 'half-open']),
  fallback: z.string().min(1).nullable(),
  share: z.number().min(0).max(1),
});
export type GatewayBreaker = Pick<BreakerProjection, 'state' | 'fallback' | 'share'>;

/**
 * The breakers of a ConfigMap's data, by key. A value that cannot be read leaves what was there before: a gateway must
 * not guess.
 */
export function readBreakers(
  data: Record<string, string>,
  before: ReadonlyMap<string, GatewayBreaker>,
): { breakers: Map<string, GatewayBreaker>; unreadable: string[] } {
  const breakers = new Map<string, GatewayBreaker>();
  const unreadable: string[] = [];
  for (const [key, text] of Object.entries(data)) {
    // The flat keys, for gateways that know one target only, are not JSON.
    if (!text.trimStart().startsWith('{')) continue;
    const parsed = parseBreaker(text);
    const breaker = parsed ?? before.get(key);
    if (parsed === undefined) unreadable.push(key);
    if (breaker !== undefined) breakers.set(key, breaker);
  }
  return { breakers, unreadable };
}

/** Follows the breakers of a namespace, as a gateway does. */
export class Breakers {
  readonly #trouble: (error: Error) => void;
  #byKey = new Map<string, GatewayBreaker>();
  #follower: Follower<V1ConfigMap> | undefined;

  private constructor(trouble: (error: Error) => void) {
    this.#trouble = trouble;
  }

  static async follow(
    kube: KubeClient,
    namespace: string,
    trouble: (error: Error) => void,
  ): Promise<Breakers> {
    const breakers = new Breakers(trouble);
    const fieldSelector = `metadata.name=${BREAKER_CONFIG_MAP}`;
    breakers.#follower = await follow(
      kube,
      {
        path: `/api/v1/namespaces/${namespace}/configmaps`,
        list: () => kube.core.listNamespacedConfigMap({ namespace, fieldSelector }),
        fieldSelector,
      },
      {
        changed: ({ data }) => breakers.#take(data ?? {}),
        gone: () => breakers.#take({}),
        trouble,
      },
    );
    return breakers;
  }

  /** undefined: nobody has ever written one, or it was removed; that is a closed breaker. */
  of(deployment: string): GatewayBreaker | undefined {
    return this.#byKey.get(breakerKey({ kind: 'Deployment', name: deployment }));
  }

  stop(): void {
    this.#follower?.stop();
  }

  #take(data: Record<string, string>): void {
    const { breakers, unreadable } = readBreakers(data, this.#byKey);
    this.#byKey = breakers;
    for (const key of unreadable) this.#trouble(new Error(`the breaker under ${key} cannot be read`));
  }
}

function parseBreaker(text: string): GatewayBreaker | undefined {
  try {
    return projectionSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
