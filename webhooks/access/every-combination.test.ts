/**
 * Every combination of what decides about a right, against rules that are written down here a second time. What the code
 * makes of them is in permissions.ts, on-call.ts and decide.ts; nothing of those is used to say what is expected.
 */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../domain/decision.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { createDecisionSigner } from '../decisions/sign.ts';
import { EdgeError } from '../errors.ts';
import { decide } from '../incidents/decide.ts';
import { approvalOf, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import { RecordingGateway } from '../test-support/recording-gateway.ts';
import { type Access, type AccessAction, createAccess, type Person } from './access.ts';
import { ROLE_OF } from './actions.ts';
import type { OnCallAnswer } from './on-call.ts';

/** Rules: watchers view, responders respond, commanders command, breakers may break glass. The plan asks PLAN_GROUPS. */
const PLAN_GROUPS = ['ml-oncall', 'watchers', 'commanders'];
const GROUPS = {
  outsider: [],
  watcher: ['watchers'],
  responder: ['responders'],
  approver: ['ml-oncall'],
  commander: ['commanders'],
  breaker: ['breakers'],
  both: ['ml-oncall', 'breakers'],
  many: ['ml-oncall', 'commanders', 'breakers'],
} as const;
type Membership = keyof typeof GROUPS;
const MEMBERSHIPS = Object.keys(GROUPS) as Membership[];

/** What the file alone gives. A group that only views decides nothing, although the plan names it. */
const RIGHTS = `
                  outsider watcher responder approver commander breaker both many
  view               -        x        x        -         x        -     -    x
  plan               -        x        x        -         x        -     -    x
  acknowledge        -        -        x        -         x        -     -    x
  note               -        -        x        -         x        -     -    x
  reveal             -        -        x        -         x        -     -    x
  escalate           -        -        x        -         x        -     -    x
  update             -        -        x        -         x        -     -    x
  retry              -        -        x        -         x        -     -    x
  skip               -        -        x        -         x        -     -    x
  set-severity       -        -        x        -         x        -     -    x
  assign-commander   -        -        x        -         x        -     -    x
  declare            -        -        x        -         x        -     -    x
  abort              -        -        -        -         x        -     -    x
  resolve            -        -        -        -         x        -     -    x
  override           -        -        -        -         x        -     -    x
  false-positive     -        -        -        -         x        -     -    x
  freeze             -        -        -        -         x        -     -    x
  approve            -        -        -        x         x        -     x    x
  reject             -        -        -        x         x        -     x    x
  break-glass        -        -        -        -         -        x     x    x
`;
const RIGHT = new Map<string, ReadonlySet<string>>();
{
  const [header = '', ...rows] = RIGHTS.trim().split('\n');
  const columns = header.trim().split(/\s+/);
  for (const row of rows) {
    const [action = '', ...cells] = row.trim().split(/\s+/);
    RIGHT.set(action, new Set(columns.filter((_, index) => cells[index] === 'x')));
  }
}
const ACTIONS = [...RIGHT.keys()] as AccessAction[];
const DECISIONS = ['approve', 'reject', 'break-glass'] as const;

/** The groups ml-oncall and breakers are narrowed, for approvals or for every decision; commanders are not. */
const SCOPES = { approvals: ['approve'], everything: ['approve', 'reject', 'break-glass'] } as const;
const ON_CALL = ['this person', 'a colleague', 'nobody of the group', 'not known'] as const;
type OnCall =
  | { scope: 'none'; who: 'not asked' }
  | { scope: keyof typeof SCOPES; who: (typeof ON_CALL)[number] };
const ON_CALLS: OnCall[] = [
  { scope: 'none', who: 'not asked' },
  ...(['approvals', 'everything'] as const).flatMap((scope) => ON_CALL.map((who) => ({ scope, who }))),
];

/** Which way somebody came in, and what the record says of it. */
const WAYS = { slack: 'slack', token: 'api', oidc: 'cli', pager: 'pager' } as const;
type Way = keyof typeof WAYS;
const JWT = 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln';
const TOKEN = 'token-of-person-for-tests';

const ANSWERS: Record<OnCall['who'], OnCallAnswer> = {
  'not asked': { known: false, problem: 'it must not be asked' },
  'this person': { known: true, emails: ['Person@example.com'] },
  'a colleague': { known: true, emails: ['colleague@example.com'] },
  'nobody of the group': { known: true, emails: ['stranger@example.com'] },
  'not known': { known: false, problem: 'PagerDuty answered 500' },
};

function accessFor(membership: Membership, active: boolean, onCall: OnCall): Access {
  const narrowing = {
    pagerduty: { schedules: ['PI7DH85'] },
    decisions: onCall.scope === 'none' ? [] : [...SCOPES[onCall.scope]],
  };
  const config = configSchema.shape.access.parse({
    people: [
      { id: 'person', name: 'Person', email: 'person@example.com', groups: [...GROUPS[membership]], active },
      {
        id: 'colleague',
        name: 'Colleague',
        email: 'colleague@example.com',
        groups: ['ml-oncall', 'breakers'],
      },
    ],
    rules: {
      viewer: ['watchers'],
      responder: ['responders'],
      commander: ['commanders'],
      breakGlass: ['breakers'],
    },
    onCall: onCall.scope === 'none' ? {} : { 'ml-oncall': narrowing, breakers: narrowing },
  });
  return createAccess(
    config,
    { person: [TOKEN] },
    {
      onCall: { now: async () => ANSWERS[onCall.who] },
      slack: { verifiedEmail: async () => ({ ok: true, email: 'PERSON@example.com' }) },
      oidc: { verify: async () => ({ ok: true, email: 'person@EXAMPLE.com' }) },
    },
  );
}

function cameIn(access: Access, way: Way) {
  switch (way) {
    case 'slack':
      return access.bySlackUser('U0PERSON');
    case 'token':
      return access.authenticateHeader(`Bearer ${TOKEN}`);
    case 'oidc':
      return access.authenticateHeader(`Bearer ${JWT}`);
    case 'pager':
      return access.byEmail('person@example.com');
  }
}

/** As an edge may still hold somebody from before a change of the file. */
const personOf = (membership: Membership): Person => ({
  id: 'person',
  name: 'Person',
  groups: GROUPS[membership],
});

interface Case {
  membership: Membership;
  active: boolean;
  onCall: OnCall;
  way: Way;
  action: AccessAction;
}
type Expected = { allowed: boolean; because: RegExp };

/** The rules of the file and the rota, in the order in which they refuse. */
function expectedOf({ membership, active, onCall, way, action }: Case): Expected {
  const no = (because: RegExp): Expected => ({ allowed: false, because });
  const yes = (because: RegExp): Expected => ({ allowed: true, because });
  if (!active) return no(/^person is not active$/);
  if (way === 'pager' && action !== 'acknowledge') return no(/not done through a pager/);
  if (!RIGHT.get(action)?.has(membership)) return no(/in no group|in none of the groups|may only view/);
  const decision = DECISIONS.find((one) => one === action);
  if (decision === undefined) return yes(/^member of (watchers|responders|commanders)/);
  const inScope = onCall.scope !== 'none' && SCOPES[onCall.scope].some((one) => one === decision);
  // Break-glass is given by breakers alone; approving and rejecting by commanders too, who are not narrowed.
  const freely = decision !== 'break-glass' && membership !== 'approver' && membership !== 'both';
  if (!inScope) return yes(/^member of [a-z, -]+( \(breakGlass\))?$/);
  if (freely) return yes(/^member of commanders$/);
  switch (onCall.who) {
    case 'this person':
      return yes(/^member of (ml-oncall|breakers), on call now$/);
    case 'a colleague':
      return no(/^person is not on call now \(on call for (ml-oncall|breakers): colleague\)$/);
    case 'nobody of the group':
      return yes(/nobody of the group is on call now, so the whole group decides$/);
    default:
      return yes(/who is on call could not be asked: PagerDuty answered 500; so the whole group decides$/);
  }
}

/** One access for each file and rota: 144 of them. */
function* accesses() {
  for (const membership of MEMBERSHIPS)
    for (const active of [true, false])
      for (const onCall of ON_CALLS)
        yield { membership, active, onCall, access: accessFor(membership, active, onCall) };
}

describe('every combination', () => {
  it('has every action that there is', () => {
    expect([...ACTIONS].sort()).toEqual([...Object.keys(ROLE_OF), ...DECISIONS].sort());
  });

  it('of membership, activity, rota, way in and action: the file and the rota decide as written', async () => {
    const wrong: object[] = [];
    let count = 0;
    for (const { access, ...file } of accesses()) {
      for (const way of Object.keys(WAYS) as Way[]) {
        const entered = await cameIn(access, way);
        if (entered.ok !== file.active) wrong.push({ ...file, way, entered });
        for (const action of ACTIONS) {
          count += 1;
          const one = { ...file, way, action };
          const expected = expectedOf(one);
          const found = await access.mayNow(personOf(file.membership), action, {
            groups: PLAN_GROUPS,
            via: WAYS[way],
          });
          if (found.allowed !== expected.allowed || !expected.because.test(found.reason)) {
            wrong.push({ ...one, expected, found });
          }
        }
      }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(count).toBe(8 * 2 * 9 * 4 * ACTIONS.length);
  });

  it('of those with who declared, how many approvals and break-glass: decisions are sent or not, and all recorded', async () => {
    const keys = generateKeyPairSync('ed25519');
    const signer = createDecisionSigner({
      keyId: 'edge-1',
      privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    });
    const wrong: object[] = [];
    let count = 0;
    for (const { access, ...file } of accesses()) {
      for (const way of Object.keys(WAYS) as Way[])
        for (const declaredBy of ['person', 'colleague', undefined])
          for (const approvals of [1, 2])
            for (const breakGlass of [true, false])
              for (const action of DECISIONS) {
                count += 1;
                const one = { ...file, way, action };
                const rights = expectedOf(one);
                const expected: Expected = !rights.allowed
                  ? rights
                  : action === 'break-glass' && !breakGlass
                    ? { allowed: false, because: /runbook allows no break-glass/ }
                    : action === 'approve' && declaredBy === 'person' && approvals === 1
                      ? { allowed: false, because: /declared this incident and does not approve alone/ }
                      : rights;
                const found = await tried(access, personOf(file.membership), {
                  action,
                  via: WAYS[way] as Decision['via'],
                  declaredBy,
                  approvals,
                  breakGlass,
                });
                const recorded = found.attempts.map(({ verdict }) => verdict);
                const [attempt] = found.attempts;
                // What was said follows what gave the right.
                const [right] = (attempt?.reason ?? '').replace(/^Not allowed: |\.$/g, '').split('; said: ');
                const fits =
                  recorded.join() === (expected.allowed ? 'accepted' : 'denied') &&
                  attempt?.decision === action &&
                  attempt.person === 'person' &&
                  found.sent === (expected.allowed ? 1 : 0) &&
                  expected.because.test(right ?? '');
                if (!fits) wrong.push({ ...one, declaredBy, approvals, breakGlass, expected, found });
              }
    }
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(count).toBe(8 * 2 * 9 * 4 * 3 * 2 * 2 * 3);

    async function tried(
      access: Access,
      person: Person,
      how: {
        action: (typeof DECISIONS)[number];
        via: Decision['via'];
        declaredBy: string | undefined;
        approvals: number;
        breakGlass: boolean;
      },
    ) {
      const gateway = new RecordingGateway();
      const view = viewOf({
        ...(how.declaredBy === undefined ? {} : { declaredBy: how.declaredBy }),
        pendingApprovals: [
          approvalOf({ groups: PLAN_GROUPS, count: how.approvals, breakGlass: how.breakGlass }),
        ],
      });
      gateway.views.set(view.workflowId, view);
      const attempts: {
        verdict: string;
        reason?: string | undefined;
        decision: string;
        person?: string | undefined;
      }[] = [];
      try {
        await decide(
          {
            gateway,
            reader: {
              read: async () => ({ view, source: 'live' }),
              resolveId: async (id) => id,
              list: async () => ({ incidents: [], notes: [] }),
            },
            access,
            signer,
            records: { attempts: async () => [] },
            recordAttempt: async (attempt) => void attempts.push(attempt),
            now: () => 0,
          },
          {
            person,
            via: how.via,
            decision: how.action === 'reject' ? 'reject' : 'approve',
            incident: view.incidentId,
            planHash: PLAN_HASH,
            reason: 'harm goes on and on',
            ...(how.action === 'break-glass' ? { breakGlass: true } : {}),
          },
        );
      } catch (error) {
        if (!(error instanceof EdgeError)) throw error;
      }
      return { attempts, sent: gateway.updates.length };
    }
  }, 120_000);
});
