import { createHash, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { FirebreakConfig } from '../../worker/config/schema.ts';

export type AccessConfig = FirebreakConfig['access'];

/**
 * What somebody can want to do. Signed decisions are `approve`, `reject` and `break-glass` (an approval that one person
 * gives alone); the rest are a workflow's updates.
 */
export type AccessAction =
  | 'view'
  | 'acknowledge'
  | 'note'
  | 'retry'
  | 'skip'
  | 'set-severity'
  | 'assign-commander'
  | 'abort'
  | 'resolve'
  | 'override'
  | 'false-positive'
  | 'plan'
  | 'declare'
  | 'freeze'
  | 'approve'
  | 'reject'
  | 'break-glass';

type Role = 'viewer' | 'responder' | 'commander';

/** The least role for an action. Severity and commander are the responders' to set: recorded, and nothing in production moves. */
const ROLE_OF: Record<Exclude<AccessAction, 'approve' | 'reject' | 'break-glass'>, Role> = {
  view: 'viewer',
  acknowledge: 'responder',
  note: 'responder',
  retry: 'responder',
  skip: 'responder',
  'set-severity': 'responder',
  'assign-commander': 'responder',
  abort: 'commander',
  resolve: 'commander',
  override: 'commander',
  'false-positive': 'commander',
  // A plan changes nothing, and an incident that was declared asks people before it does.
  plan: 'viewer',
  declare: 'responder',
  freeze: 'commander',
};

/** Who may do a role's work: the roles above it too. */
const ROLES_WITH: Record<Role, readonly Role[]> = {
  viewer: ['viewer', 'responder', 'commander'],
  responder: ['responder', 'commander'],
  commander: ['commander'],
};

/** In `rules`: every person of the access file. */
const EVERYONE = '*';

/** A token made at random has more; a shorter one is a word that somebody typed. */
const MIN_TOKEN_LENGTH = 16;

/** A person as the edges know them: no tokens. */
export interface Person {
  id: string;
  name: string;
  groups: readonly string[];
}

export type Authentication = { ok: true; person: Person } | { ok: false; reason: string };
/** `reason` is for the record and for the person who asked. */
type Permission = { allowed: true } | { allowed: false; reason: string };

export interface Access {
  /** SHA-256 (hex) of the access part of the configuration without tokens: which rights a decision was checked against. */
  accessVersion: string;
  /** How long a signed decision may be acted on. */
  decisionTtlMs: number;
  /** Who the bearer of a token is. Takes the same time for every token. */
  authenticate(token: string): Authentication;
  /** Who sent `Authorization: Bearer <token>`. */
  authenticateHeader(authorization: string | undefined): Authentication;
  /** Who a Slack user is; `bot` and `deactivated` as Slack's users.info says. */
  bySlackUser(userId: string, slack?: { bot?: boolean; deactivated?: boolean }): Authentication;
  /** @param groups for `approve` and `reject`: the groups that the plan wants decisions from. */
  may(person: Person, action: AccessAction, options?: { groups?: readonly string[] }): Permission;
  /** The person with this id, active or not: to show names. */
  person(id: string): Person | undefined;
}

/**
 * @param resolvedTokens the tokens themselves by person id; who has none cannot use the API.
 * @throws Error when two people share an id, a token or a Slack user, or a token is too short. No message holds a token.
 */
export function createAccess(
  config: AccessConfig,
  resolvedTokens: Readonly<Record<string, readonly string[]>>,
): Access {
  const people = config.people.map(({ id, name, groups, active, slackUserId }) => ({
    person: Object.freeze({ id, name, groups: Object.freeze([...groups]) }) as Person,
    active,
    slackUserId,
    digests: [...new Set(resolvedTokens[id])].map((token) => checkedDigest(id, token)),
  }));
  refuseShared(
    people.map(({ person }): [string, string] => [person.id, person.id]),
    'the id',
  );
  refuseShared(
    people.flatMap(({ person, slackUserId }): [string, string][] =>
      slackUserId ? [[slackUserId, person.id]] : [],
    ),
    'the Slack user',
  );
  refuseShared(
    people.flatMap(({ person, digests }) =>
      digests.map((digest): [string, string] => [digest.toString('hex'), person.id]),
    ),
    'a token',
  );
  const activeById = new Map(people.filter(({ active }) => active).map(({ person }) => [person.id, person]));
  const { rules } = config;

  const inGroups = (person: Person, groups: readonly string[]) =>
    groups.includes(EVERYONE) || person.groups.some((group) => groups.includes(group));

  /** A group that only reads gives no right to decide, whatever a runbook names. */
  const onlyViews = (group: string) =>
    rules.viewer.includes(group) && !rules.responder.includes(group) && !rules.commander.includes(group);

  const mayDecide = (person: Person, groups: readonly string[]): Permission => {
    const member = groups.filter((group) => group !== EVERYONE && person.groups.includes(group));
    if (member.length === 0) {
      return denied(
        `${person.id} is in none of the groups that decide here: ${groups.join(', ') || 'none is named'}`,
      );
    }
    if (member.every(onlyViews)) return denied(`${member.join(', ')} may only view`);
    return { allowed: true };
  };

  /** By name only: `*` is refused in the configuration, and a runbook's groups give no such right. */
  const mayBreakGlass = (person: Person): Permission =>
    person.groups.some((group) => rules.breakGlass.includes(group))
      ? { allowed: true }
      : denied(`${person.id} is in no group that may approve alone (access.rules.breakGlass)`);

  const access: Access = {
    accessVersion: accessVersion(config),
    decisionTtlMs: config.decisionTtl,

    authenticate(token) {
      const offered = digestOf(token);
      let found: (typeof people)[number] | undefined;
      // Every digest is compared, also after a hit: the time says nothing about which token it was.
      for (const candidate of people) {
        for (const digest of candidate.digests) {
          if (timingSafeEqual(digest, offered)) found = candidate;
        }
      }
      if (found === undefined) return { ok: false, reason: 'the token is not known' };
      if (!found.active) return { ok: false, reason: `${found.person.id} is not active` };
      return { ok: true, person: found.person };
    },

    authenticateHeader(authorization) {
      const token = /^Bearer ([^\s]+)$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) return { ok: false, reason: 'no bearer token was sent' };
      return access.authenticate(token);
    },

    bySlackUser(userId, slack = {}) {
      if (slack.bot === true) return { ok: false, reason: 'bots decide nothing' };
      const found = people.find((candidate) => candidate.slackUserId === userId);
      if (found === undefined) return { ok: false, reason: 'the Slack user is nobody in the access file' };
      if (!found.active || slack.deactivated === true) {
        return { ok: false, reason: `${found.person.id} is not active` };
      }
      return { ok: true, person: found.person };
    },

    may(person, action, { groups = [] } = {}) {
      // Looked up again: what the caller holds may be older, and only the access file gives groups.
      const known = activeById.get(person.id);
      if (known === undefined) return denied(`${person.id} is not active`);
      if (action === 'approve' || action === 'reject') return mayDecide(known, groups);
      if (action === 'break-glass') return mayBreakGlass(known);
      const role = ROLE_OF[action];
      if (ROLES_WITH[role].some((having) => inGroups(known, rules[having]))) return { allowed: true };
      return denied(`${action} takes a ${role}, and ${known.id} is in no group of ${role}s`);
    },

    person: (id) => people.find((candidate) => candidate.person.id === id)?.person,
  };
  return access;
}

function denied(reason: string): Permission {
  return { allowed: false, reason };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function checkedDigest(personId: string, token: string): Buffer {
  if (token.length < MIN_TOKEN_LENGTH) {
    throw new Error(
      `access: a token of ${personId} has fewer than ${MIN_TOKEN_LENGTH} characters: make a random one`,
    );
  }
  return digestOf(token);
}

function refuseShared(owned: readonly (readonly [thing: string, person: string])[], what: string): void {
  const owners = new Map<string, string>();
  for (const [thing, person] of owned) {
    const other = owners.get(thing);
    if (other !== undefined) {
      throw new Error(`access: ${other} and ${person === other ? 'another entry' : person} share ${what}`);
    }
    owners.set(thing, person);
  }
}

/** The order of people and groups gives no rights, so it does not change the version. */
function accessVersion({ people, rules, decisionTtl }: AccessConfig): string {
  const text = canonicalJson({
    people: people
      .map(({ tokens: _tokens, groups, ...person }) => ({ ...person, groups: [...groups].sort() }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    rules: {
      viewer: [...rules.viewer].sort(),
      responder: [...rules.responder].sort(),
      commander: [...rules.commander].sort(),
      breakGlass: [...rules.breakGlass].sort(),
    },
    decisionTtl,
  });
  return createHash('sha256').update(text).digest('hex');
}
