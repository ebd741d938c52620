import { describe, expect, it } from 'vitest';
import { configSchema } from '../../worker/config/schema.ts';
import { type AccessAction, type AccessConfig, createAccess, type Person } from './access.ts';

const TOKENS = {
  alice: ['alice-token-0000000001', 'alice-token-0000000002'],
  bob: ['bob-token-000000000001'],
  carol: ['carol-token-0000000001'],
  victor: ['victor-token-000000001'],
  gone: ['gone-token-00000000001'],
};

function accessConfig(change: object = {}): AccessConfig {
  return configSchema.parse({
    access: {
      people: [
        { id: 'alice', name: 'Alice', groups: ['ml-oncall'], slackUserId: 'U0ALICE', tokens: ['env:ALICE'] },
        { id: 'bob', name: 'Bob', groups: ['commander'], slackUserId: 'U0BOB' },
        { id: 'carol', name: 'Carol', groups: ['ml-safety'] },
        { id: 'victor', name: 'Victor', groups: ['auditors'] },
        {
          id: 'gone',
          name: 'Gone',
          groups: ['ml-oncall', 'commander'],
          active: false,
          slackUserId: 'U0GONE',
        },
      ],
      rules: {
        viewer: ['auditors', 'ml-safety-readers'],
        responder: ['ml-oncall'],
        commander: ['commander'],
      },
      ...change,
    },
  }).access;
}

const access = createAccess(accessConfig(), TOKENS);

function personOf(token: string | undefined): Person {
  const found = access.authenticate(token ?? '');
  if (!found.ok) throw new Error(found.reason);
  return found.person;
}
const alice = personOf(TOKENS.alice[0]);
const bob = personOf(TOKENS.bob[0]);
const carol = personOf(TOKENS.carol[0]);
const victor = personOf(TOKENS.victor[0]);
/** As an edge might still hold her from before she left. */
const gone: Person = { id: 'gone', name: 'Gone', groups: ['ml-oncall', 'commander'] };

describe('authentication', () => {
  it('takes each of the tokens of a person', async () => {
    expect(TOKENS.alice.map((token) => personOf(token).id)).toEqual(['alice', 'alice']);
    expect(await access.authenticateHeader(`Bearer ${TOKENS.bob[0]}`)).toMatchObject({
      ok: true,
      person: { id: 'bob' },
    });
  });

  it.each(['', 'alice-token-000000000', `${TOKENS.alice[0]} `, 'ALICE-TOKEN-0000000001'])(
    'refuses %j',
    (token) => {
      expect(access.authenticate(token)).toEqual({ ok: false, reason: 'the token is not known' });
    },
  );

  it.each([undefined, '', 'Basic abc', 'Bearer', 'Bearer a b', `Token ${TOKENS.alice[0]}`])(
    'takes no header such as %j for a bearer token',
    async (header) => expect(await access.authenticateHeader(header)).toMatchObject({ ok: false }),
  );

  it('refuses people who are not active, by token and from Slack', async () => {
    expect(access.authenticate(TOKENS.gone[0] ?? '')).toEqual({ ok: false, reason: 'gone is not active' });
    expect(await access.bySlackUser('U0GONE')).toEqual({ ok: false, reason: 'gone is not active' });
  });

  it('knows people by their Slack user, but no bots, no deactivated and no unknown ones', async () => {
    expect(await access.bySlackUser('U0ALICE')).toMatchObject({ ok: true, person: { id: 'alice' } });
    expect(await access.bySlackUser('U0ALICE', { bot: true })).toMatchObject({ ok: false });
    expect(await access.bySlackUser('U0ALICE', { deactivated: true })).toMatchObject({ ok: false });
    expect(await access.bySlackUser('U0NOBODY')).toMatchObject({ ok: false });
  });

  it('shows no token and no Slack id on the people it gives out', () => {
    expect(Object.keys(alice).sort()).toEqual(['groups', 'id', 'name']);
  });
});

describe('permissions', () => {
  const allowed = (person: Person, action: AccessAction) => access.may(person, action).allowed;

  it.each<[AccessAction, string[]]>([
    ['view', ['alice', 'bob', 'victor']],
    ['acknowledge', ['alice', 'bob']],
    ['note', ['alice', 'bob']],
    ['reveal', ['alice', 'bob']],
    ['retry', ['alice', 'bob']],
    ['skip', ['alice', 'bob']],
    ['set-severity', ['alice', 'bob']],
    ['assign-commander', ['alice', 'bob']],
    ['abort', ['bob']],
    ['resolve', ['bob']],
    ['override', ['bob']],
    ['false-positive', ['bob']],
  ])('%s: %j', (action, expected) => {
    const may = [alice, bob, carol, victor, gone].filter((person) => allowed(person, action));
    expect(may.map(({ id }) => id)).toEqual(expected);
  });

  it('lets everybody active read where the rule says *', () => {
    const open = createAccess(accessConfig({ rules: {} }), {});
    expect([alice, carol, victor].every((person) => open.may(person, 'view').allowed)).toBe(true);
    expect(open.may(gone, 'view').allowed).toBe(false);
    expect(open.may(alice, 'acknowledge').allowed).toBe(false);
  });

  it.each<['approve' | 'reject', string[], string[]]>([
    ['approve', ['ml-oncall', 'commander'], ['alice', 'bob']],
    ['reject', ['ml-oncall'], ['alice']],
    ['approve', ['ml-safety'], ['carol']],
    ['approve', ['auditors'], []],
    ['approve', ['*'], []],
    ['approve', [], []],
  ])('%s for a plan of groups %j: %j', (action, groups, expected) => {
    const may = [alice, bob, carol, victor, gone].filter(
      (person) => access.may(person, action, { groups }).allowed,
    );
    expect(may.map(({ id }) => id)).toEqual(expected);
  });

  it('break-glass takes a group that is named for it, and nobody has it otherwise', () => {
    const everybody = [alice, bob, carol, victor, gone];
    expect(everybody.filter((person) => allowed(person, 'break-glass'))).toEqual([]);
    const rules = { commander: ['commander'], breakGlass: ['ml-oncall'] };
    const opened = createAccess(accessConfig({ rules }), {});
    const may = everybody.filter((person) => opened.may(person, 'break-glass').allowed);
    // Neither a commander by being one, nor who has left.
    expect(may.map(({ id }) => id)).toEqual(['alice']);
    expect(opened.may(bob, 'break-glass', { groups: ['commander'] })).toEqual({
      allowed: false,
      reason: 'bob is in no group that may approve alone (access.rules.breakGlass)',
    });
    expect(() => accessConfig({ rules: { breakGlass: ['*'] } })).toThrow(/name the groups/);
  });

  it('goes by the access file, not by the groups that a caller claims', () => {
    const claimed: Person = { ...carol, groups: ['ml-oncall', 'commander'] };
    expect(access.may(claimed, 'override').allowed).toBe(false);
    expect(access.may(claimed, 'approve', { groups: ['commander'] }).allowed).toBe(false);
    expect(access.may({ id: 'nobody', name: '', groups: ['commander'] }, 'abort').allowed).toBe(false);
  });

  it('says why not', () => {
    expect(access.may(alice, 'abort')).toEqual({
      allowed: false,
      reason: 'abort takes a commander, and alice is in no group of commanders',
    });
    expect(access.may(victor, 'approve', { groups: ['auditors'] })).toEqual({
      allowed: false,
      reason: 'auditors may only view',
    });
  });
});

describe('the access version', () => {
  const version = (change: object) => createAccess(accessConfig(change), {}).accessVersion;
  const { people, rules } = accessConfig();

  it('stays with other tokens and another order of people', () => {
    const reordered = [...people].reverse().map((person) => ({ ...person, tokens: ['env:OTHER'] }));
    const anonymous = reordered.map((person) => ({ ...person, tokens: [] }));
    expect(version({ people: anonymous })).toBe(access.accessVersion);
  });

  it('changes with whose tokens of the issuer are taken', () => {
    const oidc = { issuer: 'https://login.example.com', clientId: 'firebreak', scopes: ['openid', 'email'] };
    const versions = [
      { oidc },
      { oidc: { ...oidc, audience: 'api' } },
      { oidc: { ...oidc, audience: 'other' } },
    ];
    expect(new Set(versions.map(version)).size).toBe(3);
  });

  it('changes with groups, activity and rules', () => {
    const promoted = people.map((person) => ({ ...person, groups: [...person.groups, 'commander'] }));
    const revived = people.map((person) => ({ ...person, active: true }));
    const versions = [
      version({ people: promoted }),
      version({ people: revived }),
      version({ rules: { ...rules, commander: [] } }),
      version({ rules: { ...rules, breakGlass: ['commander'] } }),
    ];
    expect(new Set([access.accessVersion, ...versions]).size).toBe(5);
  });
});

describe('an access file that cannot be used', () => {
  it('is refused without showing a token', () => {
    const shared = { alice: ['one-token-for-everybody'], bob: ['one-token-for-everybody'] };
    expect(() => createAccess(accessConfig(), shared)).toThrow('access: alice and bob share a token');
    expect(() => createAccess(accessConfig(), { alice: ['hunter2'] })).toThrow(
      /^(?!.*hunter2).*fewer than 16/,
    );
  });

  it('takes the same token twice for one person: a rotation that is not done yet', () => {
    const [token = ''] = TOKENS.alice;
    expect(createAccess(accessConfig(), { alice: [token, token] }).authenticate(token).ok).toBe(true);
  });
});
