/** What the access file lets a person do, and by which group. */

import { type AccessAction, DECISIONS, type DecisionAction, ROLE_OF, ROLES_WITH } from './actions.ts';
import type { AccessConfig, Person } from './types.ts';

/** In `rules`: every person of the access file. */
const EVERYONE = '*';

/** `reason` is for the record and for the person who asked; where it is allowed, which group gives the right. */
export type Permission =
  | { allowed: true; reason: string; groups: readonly string[] }
  | { allowed: false; reason: string };

/** How a person came in. A pager says who took the page, and takes no decisions: anybody who has the phone can press there. */
export type Via = 'api' | 'cli' | 'slack' | 'pager';

export interface Asked {
  /** For `approve` and `reject`: the groups that the plan wants decisions from. */
  groups?: readonly string[];
  via?: Via;
}

/** @param person as in the access file, active. */
export function permissionOf(
  { rules }: Pick<AccessConfig, 'rules'>,
  person: Person,
  action: AccessAction,
  { groups = [], via }: Asked,
): Permission {
  if (via === 'pager' && action !== 'acknowledge') {
    return denied(`${action} is not done through a pager: only acknowledging is`);
  }
  const decision = DECISIONS.find((one) => one === action);
  return decision === undefined
    ? byRole(action as Exclude<AccessAction, DecisionAction>)
    : decision === 'break-glass'
      ? byNameFor(rules.breakGlass)
      : byPlan();

  function byRole(wanted: Exclude<AccessAction, DecisionAction>): Permission {
    const role = ROLE_OF[wanted];
    for (const having of ROLES_WITH[role]) {
      const through = person.groups.filter((group) => rules[having].includes(group));
      if (through.length > 0) return granted(`member of ${through.join(', ')} (${having})`, through);
      if (rules[having].includes(EVERYONE)) return granted(`everybody is a ${having}`, []);
    }
    return denied(`${wanted} takes a ${role}, and ${person.id} is in no group of ${role}s`);
  }

  /** By name only: `*` is refused in the configuration, and a runbook's groups give no such right. */
  function byNameFor(named: readonly string[]): Permission {
    const through = person.groups.filter((group) => named.includes(group));
    return through.length > 0
      ? granted(`member of ${through.join(', ')} (breakGlass)`, through)
      : denied(`${person.id} is in no group that may approve alone (access.rules.breakGlass)`);
  }

  function byPlan(): Permission {
    const member = groups.filter((group) => group !== EVERYONE && person.groups.includes(group));
    if (member.length === 0) {
      const wanted = groups.join(', ') || 'none is named';
      return denied(`${person.id} is in none of the groups that decide here: ${wanted}`);
    }
    const through = member.filter((group) => !onlyViews(group));
    return through.length > 0
      ? granted(`member of ${through.join(', ')}`, through)
      : denied(`${member.join(', ')} may only view`);
  }

  /** A group that only reads gives no right to decide, whatever a runbook names. */
  function onlyViews(group: string): boolean {
    return (
      rules.viewer.includes(group) && !rules.responder.includes(group) && !rules.commander.includes(group)
    );
  }
}

export function denied(reason: string): Permission {
  return { allowed: false, reason };
}

export function granted(reason: string, groups: readonly string[]): Permission {
  return { allowed: true, reason, groups };
}
