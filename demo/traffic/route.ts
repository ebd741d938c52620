import type { BreakerProjection } from '../../domain/breaker.ts';
import { drawBinomial, type Random } from './random.ts';

/** Where the requests to one Deployment go, by number. */
export interface Routed {
  target: number;
  /** Absent: nothing is diverted. */
  diverted?: { to: string; requests: number };
  /** Answered with a refusal, since the breaker names no fallback. */
  blocked: number;
}

/**
 * What a gateway does by the breaker's ConfigMap: closed, all to the target; open, all to the fallback; half-open, each
 * request to the target with the probability `share`. No breaker is a closed one.
 */
export function route(
  requests: number,
  breaker: Pick<BreakerProjection, 'state' | 'share' | 'fallback'> | undefined,
  halfOpenTraffic: boolean,
  random: Random,
): Routed {
  if (breaker === undefined || breaker.state === 'closed') return { target: requests, blocked: 0 };
  const share = breaker.state === 'half-open' && halfOpenTraffic ? breaker.share : 0;
  const target = drawBinomial(random, requests, share);
  const rest = requests - target;
  if (breaker.fallback === null) return { target, blocked: rest };
  return { target, diverted: { to: breaker.fallback, requests: rest }, blocked: 0 };
}
