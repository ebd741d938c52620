export type BreakerState = 'closed' | 'open' | 'half-open';

/** The breaker of one target, as its workflow holds it. */
export interface Breaker {
  state: BreakerState;
  sinceMs: number;
  reason: string;
  /** Deployment that serves while diverted; absent: traffic is blocked. */
  fallback?: string;
  /** Part (0..1) of the traffic that the target itself gets: 0 open, 1 closed, between them half-open. */
  share: number;
}

/** ConfigMap that gateways read, in the target's namespace (the guide's name for it). */
export const BREAKER_CONFIG_MAP = 'ai-circuit-breaker-state';

/** Key of one target in that ConfigMap (ConfigMap keys allow only [-._a-zA-Z0-9]): `deployment.llm-api`. */
export function breakerKey(target: { kind: string; name: string }): string {
  return `${target.kind.toLowerCase()}.${target.name}`;
}

/** The JSON value under that key. */
export interface BreakerProjection {
  state: BreakerState;
  /** RFC 3339. */
  since: string;
  reason: string;
  fallback: string | null;
  share: number;
  /** Command that wrote it: makes a repeated write recognisable. */
  commandId: string;
}
