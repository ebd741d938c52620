/** The people of the access file: who somebody is, and what they may do. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { type AccessAction, DECISIONS, type DecisionAction } from './actions.ts';
import { emailKey } from './email.ts';
import type { OidcVerifier } from './oidc.ts';
import { narrowToOnCall, type OnCallSource } from './on-call.ts';
import { type Asked, denied, type Permission, permissionOf } from './permissions.ts';
import type { SlackDirectory } from './slack-directory.ts';
import type { AccessConfig, Authentication, Person } from './types.ts';

export type { AccessAction } from './actions.ts';
export type { Permission } from './permissions.ts';
export type { AccessConfig, Authentication, Person } from './types.ts';

/** A token made at random has more; a shorter one is a word that somebody typed. */
const MIN_TOKEN_LENGTH = 16;

/** What one access file says. Decisions that belong together are checked against one. */
export interface AccessSnapshot {
  /** SHA-256 (hex) of the access part of the configuration without tokens: which rights a decision was checked against. */
  readonly accessVersion: string;
  /** How long a signed decision may be acted on. */
  readonly decisionTtlMs: number;
  /** What the file alone says, without asking who is on call. */
  may(person: Person, action: AccessAction, options?: Asked): Permission;
  /** As `may`, narrowed to who is on call where the file says so. Takes two seconds at most. */
  mayNow(person: Person, action: AccessAction, options?: Asked): Promise<Permission>;
  /** The person with this id, active or not: to show names. */
  person(id: string): Person | undefined;
  /** Who may be given something to do: everybody active, in the file's order. */
  activePeople(): readonly Person[];
  /** The person with this address, which the caller knows to be verified. */
  byEmail(email: string): Authentication;
}

export interface Access extends AccessSnapshot {
  /** The file as it is now. Take it once for what belongs together. */
  current(): AccessSnapshot;
  /** Who the bearer of a token of the access file is. Takes the same time for every token. */
  authenticate(token: string): Authentication;
  /** Who sent `Authorization: Bearer <token>`: a token of the access file, or one of the configured issuer. */
  authenticateHeader(authorization: string | undefined): Promise<Authentication>;
  /** Who a Slack user is; `bot` and `deactivated` as Slack has said already. */
  bySlackUser(userId: string, slack?: { bot?: boolean; deactivated?: boolean }): Promise<Authentication>;
}

/** Whom to ask what the file does not say. Each absent one: nobody joins that way. */
export interface AccessSources {
  slack?: SlackDirectory | undefined;
  oidc?: OidcVerifier | undefined;
  onCall?: OnCallSource | undefined;
}

/**
 * @param resolvedTokens the tokens themselves by person id; who has none cannot use them.
 * @throws Error when two people share an id, an e-mail, a token or a Slack user, or a token is too short. No message holds a
 * token.
 */
export function createAccess(
  config: AccessConfig,
  resolvedTokens: Readonly<Record<string, readonly string[]>>,
  sources: AccessSources = {},
): Access {
  const people = config.people.map(({ id, name, groups, active, slackUserId, email }) => ({
    person: Object.freeze({ id, name, groups: Object.freeze([...groups]) }) as Person,
    active,
    slackUserId,
    email: email === undefined ? undefined : emailKey(email),
    digests: [...new Set(resolvedTokens[id])].map((token) => checkedDigest(id, token)),
  }));
  type Entry = (typeof people)[number];
  const claimed = (claims: (entry: Entry) => readonly (string | undefined)[], what: string) =>
    refuseShared(
      people.flatMap((entry) =>
        claims(entry).flatMap((claim): [string, string][] => (claim ? [[claim, entry.person.id]] : [])),
      ),
      what,
    );
  claimed(({ person }) => [person.id], 'the id');
  claimed(({ slackUserId }) => [slackUserId], 'the Slack user');
  claimed(({ email }) => [email], 'the e-mail');
  claimed(({ digests }) => digests.map((digest) => digest.toString('hex')), 'a token');

  const members = people
    .filter(({ active }) => active)
    .map(({ person: { id, groups }, email }) => ({ id, groups, email }));
  const activeById = new Map(people.filter(({ active }) => active).map(({ person }) => [person.id, person]));

  const known = (found: Entry): Authentication =>
    found.active
      ? { ok: true, person: found.person }
      : { ok: false, reason: `${found.person.id} is not active` };

  const access: Access = {
    accessVersion: accessVersion(config),
    decisionTtlMs: config.decisionTtl,
    current: () => access,

    authenticate(token) {
      const offered = digestOf(token);
      let found: Entry | undefined;
      // Every digest is compared, also after a hit: the time says nothing about which token it was.
      for (const candidate of people) {
        for (const digest of candidate.digests) {
          if (timingSafeEqual(digest, offered)) found = candidate;
        }
      }
      return found === undefined ? { ok: false, reason: 'the token is not known' } : known(found);
    },

    async authenticateHeader(authorization) {
      const token = /^Bearer ([^\s]+)$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) return { ok: false, reason: 'no bearer token was sent' };
      const own = access.authenticate(token);
      if (own.ok || sources.oidc === undefined || !looksLikeJwt(token)) return own;
      const verified = await sources.oidc.verify(token);
      return verified.ok ? access.byEmail(verified.email) : verified;
    },

    async bySlackUser(userId, slack = {}) {
      if (slack.bot === true) return { ok: false, reason: 'bots decide nothing' };
      const named = people.find((candidate) => candidate.slackUserId === userId);
      if (named !== undefined) {
        return slack.deactivated === true
          ? { ok: false, reason: `${named.person.id} is not active` }
          : known(named);
      }
      // Nobody could be found by an e-mail: Slack is not asked.
      if (sources.slack === undefined || members.every(({ email }) => email === undefined)) {
        return { ok: false, reason: 'the Slack user is nobody in the access file' };
      }
      if (slack.deactivated === true) return { ok: false, reason: 'the Slack user is deactivated' };
      const looked = await sources.slack.verifiedEmail(userId);
      if (!looked.ok) return looked;
      const entry = withEmail(looked.email);
      if (entry?.slackUserId !== undefined) {
        return { ok: false, reason: `${entry.person.id} has another Slack user in the access file` };
      }
      return entry === undefined
        ? { ok: false, reason: 'neither the Slack user nor its e-mail is in the access file' }
        : known(entry);
    },

    byEmail(email) {
      const entry = withEmail(email);
      return entry === undefined
        ? { ok: false, reason: 'nobody in the access file has this e-mail' }
        : known(entry);
    },

    may(person, action, options = {}) {
      // Looked up again: what the caller holds may be older, and only the access file gives groups.
      const active = activeById.get(person.id);
      if (active === undefined) return denied(`${person.id} is not active`);
      return permissionOf(config, active, action, options);
    },

    async mayNow(person, action, options = {}) {
      const given = access.may(person, action, options);
      const member = members.find(({ id }) => id === person.id);
      if (!given.allowed || member === undefined || !isDecision(action)) return given;
      if (!given.groups.some((group) => config.onCall[group]?.decisions.includes(action))) return given;
      return narrowToOnCall(config.onCall, sources.onCall, { person: member, action, given }, members);
    },

    person: (id) => people.find((candidate) => candidate.person.id === id)?.person,
    activePeople: () => [...activeById.values()],
  };
  return access;

  function withEmail(email: string): Entry | undefined {
    const key = emailKey(email);
    return key === undefined ? undefined : people.find((candidate) => candidate.email === key);
  }
}

/** An access that follows `replace`: what holds on to it always asks the newest. */
export function replaceableAccess(first: Access): Access & { replace(next: Access): void } {
  let latest = first;
  return {
    get accessVersion() {
      return latest.accessVersion;
    },
    get decisionTtlMs() {
      return latest.decisionTtlMs;
    },
    current: () => latest.current(),
    authenticate: (token) => latest.authenticate(token),
    authenticateHeader: (header) => latest.authenticateHeader(header),
    bySlackUser: (userId, slack) => latest.bySlackUser(userId, slack),
    byEmail: (email) => latest.byEmail(email),
    may: (person, action, options) => latest.may(person, action, options),
    mayNow: (person, action, options) => latest.mayNow(person, action, options),
    person: (id) => latest.person(id),
    activePeople: () => latest.activePeople(),
    replace(next) {
      latest = next;
    },
  };
}

function isDecision(action: AccessAction): action is DecisionAction {
  return DECISIONS.some((decision) => decision === action);
}

/** Three parts in base64url (RFC 7515, 3.1), the first an object: tokens of the access file are asked for first all the same. */
function looksLikeJwt(token: string): boolean {
  return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
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

/** The order of people and groups gives no rights, so it does not change the version; nor does where the file is. */
function accessVersion({ people, rules, decisionTtl, onCall, oidc }: AccessConfig): string {
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
    onCall,
    ...(oidc === undefined
      ? {}
      : { oidc: { issuer: oidc.issuer, clientId: oidc.clientId, audience: oidc.audience } }),
  });
  return createHash('sha256').update(text).digest('hex');
}
