/** Decisions through the whole edge, narrowed to who is on call at a PagerDuty that answers as documented. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../../activities/records/store.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { createAccess, replaceableAccess } from '../access/access.ts';
import { createPagerDutyOnCall } from '../access/pagerduty-on-call.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS } from '../test-support/edge.ts';
import { approvalOf, PLAN_HASH, viewOf } from '../test-support/incident.ts';
import { type FakePagerDuty, startPagerDuty } from '../test-support/pagerduty-api.ts';

const TOKENS = { ada: 'token-of-ada-for-tests', bo: 'token-of-bo-for-tests', cy: 'token-of-cy-for-tests' };
type Who = keyof typeof TOKENS;
const ON_CALL = { 'ml-oncall': { pagerduty: { schedules: ['PI7DH85'] } } };

let pager: FakePagerDuty;
let records: RecordsStore;
let close: () => Promise<void>;

beforeAll(async () => {
  pager = await startPagerDuty();
  ({ records, close } = await openTestRecords());
}, RECORDS_START_MS);
afterAll(async () => {
  await close();
  await pager.close();
});
beforeEach(() => {
  pager.instead = undefined;
  pager.onCalls = [{ email: 'Ada@example.com', schedule: 'PI7DH85', escalationPolicy: 'PT20YPA' }];
});

/** Ada and Bo are of the group, Cy commands and may break glass. Each call is an incident of its own. */
const configOf = (change: object = {}) =>
  configSchema.shape.access.parse({
    people: [
      { id: 'ada', name: 'Ada', email: 'ada@example.com', groups: ['ml-oncall'] },
      { id: 'bo', name: 'Bo', email: 'bo@example.com', groups: ['ml-oncall'] },
      { id: 'cy', name: 'Cy', groups: ['commander'] },
    ],
    rules: { responder: ['ml-oncall'], commander: ['commander'], breakGlass: ['commander'] },
    onCall: ON_CALL,
    ...change,
  });
let incidents = 0;

async function edge(options: { deadlineMs?: number } = {}) {
  incidents += 1;
  const incidentId = `inc-0123456789ab-${incidents.toString(16).padStart(8, '0')}`;
  const source = createPagerDutyOnCall({ apiToken: pager.apiToken, url: pager.url, ...options });
  const tokens = Object.fromEntries(Object.entries(TOKENS).map(([id, token]) => [id, [token]]));
  const make = (change?: object) => createAccess(configOf(change), tokens, { onCall: source });
  const access = replaceableAccess(make());
  const made = await createTestEdge({ records, access, sendDeadlineMs: 500 });
  const view = viewOf({ incidentId, pendingApprovals: [approvalOf({ count: 2, breakGlass: true })] });
  made.gateway.views.set(view.workflowId, view);
  return {
    ...made,
    change: (to: object) => access.replace(make(to)),
    access,
    decide: (who: Who, decision: 'approve' | 'reject', body: object = {}) =>
      made.app.inject({
        method: 'POST',
        url: `/api/v1/incidents/${incidentId}/${decision}`,
        headers: { authorization: `Bearer ${TOKENS[who]}` },
        payload: { planHash: PLAN_HASH, ...body },
      }),
    attempts: async () =>
      (await records.attempts(incidentId)).map(({ person, verdict, reason }) => ({
        person,
        verdict,
        reason,
      })),
  };
}

describe('an approval that only those on call give', () => {
  it('is taken of who is on call, refused of a colleague, and the record says why', async () => {
    const { decide, attempts, gateway } = await edge();
    expect((await decide('ada', 'approve')).statusCode).toBe(200);
    const refused = await decide('bo', 'approve');
    expect(refused.statusCode).toBe(403);
    expect(refused.json().error.message).toContain('bo is not on call now (on call for ml-oncall: ada)');
    expect(await attempts()).toEqual([
      { person: 'ada', verdict: 'accepted', reason: 'member of ml-oncall, on call now' },
      { person: 'bo', verdict: 'denied', reason: expect.stringContaining('bo is not on call now') },
    ]);
    expect(gateway.updates).toHaveLength(1);
  });

  it('is for a commander to give all the same, who is not asked about', async () => {
    const { decide, attempts } = await edge();
    pager.requests.length = 0;
    expect((await decide('cy', 'approve')).statusCode).toBe(200);
    expect(await attempts()).toMatchObject([{ verdict: 'accepted', reason: 'member of commander' }]);
    expect(pager.requests).toEqual([]);
  });

  it('may be given alone by who may break glass, on call or not', async () => {
    const { decide } = await edge();
    const body = { breakGlass: true, reason: 'nobody else answers, harm goes on' };
    expect((await decide('cy', 'approve', body)).statusCode).toBe(200);
  });

  it('may be refused by a colleague who is not on call: saying no is safe', async () => {
    const { decide } = await edge();
    expect((await decide('bo', 'reject')).statusCode).toBe(200);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'PagerDuty does not answer',
      () => (pager.instead = () => undefined),
      /^member of ml-oncall; who is on call could not be asked: PagerDuty did not answer in time; so the whole group decides$/,
    ],
    [
      'PagerDuty fails',
      () => (pager.instead = (response) => response.writeHead(500).end()),
      /could not be asked: PagerDuty answered 500/,
    ],
    [
      'the rota has nobody of the group',
      () => (pager.onCalls = [{ email: 'x@example.com', schedule: 'PI7DH85', escalationPolicy: 'P000000' }]),
      /nobody of the group is on call now, so the whole group decides/,
    ],
  ])(
    'is for the whole group to give when %s, soon, and the record says so',
    async (_what, breakIt, reason) => {
      breakIt();
      const { decide, attempts } = await edge({ deadlineMs: 300 });
      const startMs = performance.now();
      expect((await decide('bo', 'approve')).statusCode).toBe(200);
      expect(performance.now() - startMs).toBeLessThan(2_500);
      expect(await attempts()).toEqual([
        { person: 'bo', verdict: 'accepted', reason: expect.stringMatching(reason) },
      ]);
    },
  );

  it('is checked and signed against one access file, although it changes while the pager is asked', async () => {
    const { decide, change, access, gateway } = await edge();
    const before = access.accessVersion;
    const asked = Promise.withResolvers<void>();
    pager.instead = (response) => {
      change({ onCall: {} });
      asked.resolve();
      pager.instead = undefined;
      response.end('{"oncalls":[{"user":{"email":"ada@example.com"}}],"more":false}');
    };
    expect((await decide('ada', 'approve')).statusCode).toBe(200);
    await asked.promise;
    expect(access.accessVersion).not.toBe(before);
    expect(gateway.updates).toMatchObject([
      { argument: { signed: { decision: { accessVersion: before } } } },
    ]);
  });
});
