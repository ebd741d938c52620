/** Narrows the people of a group to those who are on call now. */

import type { DecisionAction } from './actions.ts';
import { emailKey } from './email.ts';
import { denied, granted, type Permission } from './permissions.ts';
import type { AccessConfig } from './types.ts';

/** Where a group's people are looked up: ids of the pager's own. */
export type OnCallQuery = Readonly<AccessConfig['onCall'][string]['pagerduty']>;

/** Who is on call: e-mail addresses as the pager has them; or why that is not known, as a clause. */
export type OnCallAnswer = { known: true; emails: readonly string[] } | { known: false; problem: string };

/** A pager. Answers within two seconds, whatever the pager does, and never throws. */
export interface OnCallSource {
  now(query: OnCallQuery): Promise<OnCallAnswer>;
}

export interface OnCallMember {
  id: string;
  groups: readonly string[];
  /** `emailKey` of the person's address. */
  email: string | undefined;
}

/**
 * Whether somebody whose groups give the right may use it now. Where the pager cannot be asked, and where nobody of the group
 * is on call, the whole group decides, and the reason says so: a rota that is wrong at 3 a.m. must not be what keeps harm
 * going, and every person of the group has been trusted with this decision by name.
 * @param given what the access file says: allowed, through these groups.
 * @param members the active people.
 */
export async function narrowToOnCall(
  onCall: AccessConfig['onCall'],
  source: OnCallSource | undefined,
  asked: { person: OnCallMember; action: DecisionAction; given: Extract<Permission, { allowed: true }> },
  members: readonly OnCallMember[],
): Promise<Permission> {
  const { person, action, given } = asked;
  const narrowed = (group: string) => onCall[group]?.decisions.includes(action) === true;
  const free = given.groups.filter((group) => !narrowed(group));
  if (free.length > 0) return granted(`member of ${free.join(', ')}`, free);

  const found = await Promise.all(given.groups.map(async (group) => stateOf(group, await ask(group))));
  const those = (state: GroupState['state']) => found.filter((one) => one.state === state);
  const [on] = those('on-call');
  if (on) return granted(`member of ${on.group}, on call now`, [on.group]);
  const [unknown] = those('unknown');
  if (unknown) {
    return granted(
      `member of ${unknown.group}; who is on call could not be asked: ${unknown.detail}; so the whole group decides`,
      [unknown.group],
    );
  }
  const [nobody] = those('nobody');
  if (nobody) {
    return granted(
      `member of ${nobody.group}; nobody of the group is on call now, so the whole group decides`,
      [nobody.group],
    );
  }
  const others = found.map(({ group, detail }) => `${group}: ${detail}`).join('; ');
  return denied(`${person.id} is not on call now (on call for ${others})`);

  async function ask(group: string): Promise<OnCallAnswer> {
    const rule = onCall[group];
    if (source === undefined || rule === undefined)
      return { known: false, problem: 'no pager is configured' };
    return source.now(rule.pagerduty);
  }

  function stateOf(group: string, answer: OnCallAnswer): GroupState {
    if (!answer.known) return { group, state: 'unknown', detail: answer.problem };
    const emails = new Set(answer.emails.map(emailKey));
    const present = members.filter(
      (member) => member.groups.includes(group) && member.email !== undefined && emails.has(member.email),
    );
    if (present.length === 0) return { group, state: 'nobody', detail: '' };
    if (present.some(({ id }) => id === person.id)) return { group, state: 'on-call', detail: '' };
    return { group, state: 'others', detail: present.map(({ id }) => id).join(', ') };
  }
}

interface GroupState {
  group: string;
  state: 'on-call' | 'unknown' | 'nobody' | 'others';
  detail: string;
}
