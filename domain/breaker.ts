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

/** Alerts that the actor of a target, or an incident that ends, raises about its breaker. */
export const BREAKER_ALERTS = {
  tripped: 'FirebreakBreakerTripped',
  wouldHaveTripped: 'FirebreakBreakerWouldHaveTripped',
  staysOpen: 'FirebreakBreakerStaysOpen',
  needsHuman: 'FirebreakBreakerNeedsHuman',
} as const;

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
  /**
   * RFC 3339; half-open only, else null. A reader counts a half-open breaker as open from then on: nobody vouches for the
   * share any more. While the breaker is half-open, it is written again with a later time.
   */
  validUntil: string | null;
}

/**
 * How long a half-open breaker holds without being renewed. Longer than a kubelet may take to bring a changed ConfigMap
 * into a mounted volume: its sync period of a minute, plus its cache's delay, and jitter
 * (https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically).
 */
export const HALF_OPEN_LEASE_MS = 300_000;
