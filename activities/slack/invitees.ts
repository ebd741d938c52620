import type { Calls } from './calls.ts';
import { slackCode } from './errors.ts';

/** Whom to invite to an incident's channel: by one of the three. */
export interface Invitee {
  slackUserId?: string | undefined;
  /** Of a Slack user group (S...). */
  userGroupId?: string | undefined;
  email?: string | undefined;
}

/** Of the access section. */
export interface SlackPerson {
  id: string;
  groups: readonly string[];
  active: boolean;
  slackUserId?: string | undefined;
  email?: string | undefined;
}

/**
 * @param names ids of people, names of groups, ids of Slack users (U..., W...) and user groups (S...).
 * @param people of the access section; the inactive are left out.
 */
export function inviteesOf(names: readonly string[], people: readonly SlackPerson[]): Invitee[] {
  return names.flatMap((name): Invitee[] => {
    if (/^[UW][A-Z0-9]{5,}$/.test(name)) return [{ slackUserId: name }];
    if (/^S[A-Z0-9]{5,}$/.test(name)) return [{ userGroupId: name }];
    return people
      .filter(({ id, groups, active }) => active && (id === name || groups.includes(name)))
      .map(({ slackUserId, email }) => ({ slackUserId, email }));
  });
}

/**
 * Their Slack ids, each once. Whoever Slack does not know, or the app may not look up (users:read.email, usergroups:read),
 * is left out: the others are invited all the same.
 */
export async function slackUsersOf(calls: Calls, invitees: readonly Invitee[]): Promise<string[]> {
  const ids = new Set<string>();
  for (const { slackUserId, userGroupId, email } of invitees) {
    const found =
      slackUserId !== undefined
        ? [slackUserId]
        : userGroupId !== undefined
          ? await membersOf(calls, userGroupId)
          : email !== undefined
            ? await userOf(calls, email)
            : [];
    for (const id of found) ids.add(id);
  }
  return [...ids];
}

/** Codes that mean: nobody, or not for us to know. */
function isNobody(error: unknown): boolean {
  return ['users_not_found', 'no_such_subteam', 'subteam_not_found', 'missing_scope'].includes(
    slackCode(error) ?? '',
  );
}

async function userOf(calls: Calls, email: string): Promise<string[]> {
  try {
    const { user } = await calls.call(
      'users.lookupByEmail',
      (client) => client.users.lookupByEmail({ email }),
      { isExpected: isNobody },
    );
    return user?.id === undefined ? [] : [user.id];
  } catch (error) {
    if (isNobody(error)) return [];
    throw error;
  }
}

async function membersOf(calls: Calls, usergroup: string): Promise<string[]> {
  try {
    const { users } = await calls.call(
      'usergroups.users.list',
      (client) => client.usergroups.users.list({ usergroup }),
      { isExpected: isNobody },
    );
    return users ?? [];
  } catch (error) {
    if (isNobody(error)) return [];
    throw error;
  }
}
