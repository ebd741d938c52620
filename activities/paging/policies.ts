import type { EscalationLevel, FallOver, ResolvedPolicy } from '../../domain/paging.ts';
import { fail } from '../failure.ts';
import { isWithinWorkingHours, type WorkingHours } from './working-hours.ts';

/** An escalation policy as it is configured. */
export interface EscalationPolicy {
  levels: readonly EscalationLevel[];
  repeats: number;
  workingHours?: WorkingHours & {
    /** Outside of the hours: another policy, or the level (from 1) with which this one begins. */
    outside: string | number;
  };
  fallOver?: FallOver;
}

/** Policies that hand over to one another; the configuration has no circles, and this is for the reader's peace. */
const MAX_HAND_OVERS = 10;

/**
 * Who is called at a moment: working hours are decided here, at the time of paging, and again at the start of each round.
 * @throws InvalidInput for a policy that is not configured (any more).
 */
export function resolvePolicy(
  policies: Readonly<Record<string, EscalationPolicy>>,
  name: string,
  atMs: number,
): ResolvedPolicy {
  let at = name;
  for (let handOvers = 0; handOvers <= MAX_HAND_OVERS; handOvers++) {
    const policy = Object.hasOwn(policies, at) ? policies[at] : undefined;
    if (policy === undefined || policy.levels.length === 0) {
      throw fail('InvalidInput', `nobody can be paged: configure levels under paging.policies.${at}`);
    }
    const { workingHours } = policy;
    const because = at === name ? undefined : `outside working hours: ${at}`;
    if (workingHours === undefined || isWithinWorkingHours(workingHours, atMs))
      return plain(policy, 1, because);
    if (typeof workingHours.outside === 'number') {
      const from = workingHours.outside;
      return plain(policy, from, `outside working hours: ${at} from level ${from}`);
    }
    at = workingHours.outside;
  }
  throw fail('InvalidInput', `paging.policies.${name}: the policies outside working hours form a circle`);
}

function plain(policy: EscalationPolicy, fromLevel: number, because: string | undefined): ResolvedPolicy {
  return {
    levels: policy.levels.slice(fromLevel - 1).map(({ roles, afterMs }) => ({ roles: [...roles], afterMs })),
    repeats: policy.repeats,
    ...(policy.fallOver && { fallOver: { ...policy.fallOver } }),
    ...(because !== undefined && { because }),
  };
}
