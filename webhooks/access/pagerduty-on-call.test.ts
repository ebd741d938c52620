import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakePagerDuty, startPagerDuty } from '../test-support/pagerduty-api.ts';
import type { OnCallSource } from './on-call.ts';
import { createPagerDutyOnCall } from './pagerduty-on-call.ts';

const SCHEDULE = { schedules: ['PI7DH85'], escalationPolicies: [] };
const POLICY = { schedules: [], escalationPolicies: ['PT20YPA'] };

let pager: FakePagerDuty;
let nowMs: number;
let source: OnCallSource;

beforeAll(async () => {
  pager = await startPagerDuty();
});
afterAll(() => pager.close());
beforeEach(() => {
  pager.onCalls = [
    { email: 'Mara@example.com', schedule: 'PI7DH85', escalationPolicy: 'PT20YPA' },
    { email: 'lead@example.com', escalationPolicy: 'PT20YPA', level: 2 },
    { email: 'ben@example.com', schedule: 'PZZZZZZ', escalationPolicy: 'POTHERS' },
  ];
  pager.requests.length = 0;
  pager.left = undefined;
  pager.instead = undefined;
  nowMs = 1_000_000;
  source = createPagerDutyOnCall({
    apiToken: pager.apiToken,
    url: `${pager.url}/`,
    deadlineMs: 400,
    now: () => nowMs,
  });
});

describe('who is on call', () => {
  it('is who PagerDuty names for a schedule, or at any level of an escalation policy', async () => {
    expect(await source.now(SCHEDULE)).toEqual({ known: true, emails: ['Mara@example.com'] });
    expect(await source.now(POLICY)).toEqual({
      known: true,
      emails: ['Mara@example.com', 'lead@example.com'],
    });
  });

  it('is everybody of schedules and policies together, although filters narrow each other', async () => {
    const both = { schedules: ['PZZZZZZ'], escalationPolicies: ['PT20YPA'] };
    expect(await source.now(both)).toEqual({
      known: true,
      emails: ['ben@example.com', 'Mara@example.com', 'lead@example.com'],
    });
  });

  it('is asked as of now, with users, a hundred at a time, for as many pages as there are', async () => {
    pager.onCalls = Array.from({ length: 230 }, (_, index) => ({
      email: `p${index}@example.com`,
      schedule: 'PI7DH85',
      escalationPolicy: 'PT20YPA',
    }));
    const answer = await source.now(SCHEDULE);
    expect(answer).toMatchObject({ known: true });
    expect(answer.known && answer.emails).toHaveLength(230);
    expect(pager.requests.map(({ searchParams }) => searchParams.get('offset'))).toEqual(['0', '100', '200']);
    expect(pager.requests[0]?.searchParams.has('since')).toBe(false);
  });

  it('is kept for a minute, and asked once by people who ask at once', async () => {
    await Promise.all([source.now(SCHEDULE), source.now(SCHEDULE), source.now(SCHEDULE)]);
    nowMs += 59_000;
    await source.now(SCHEDULE);
    expect(pager.requests).toHaveLength(1);
    pager.onCalls = [{ email: 'ben@example.com', schedule: 'PI7DH85', escalationPolicy: 'PT20YPA' }];
    nowMs += 2_000;
    expect(await source.now(SCHEDULE)).toEqual({ known: true, emails: ['ben@example.com'] });
  });

  it('is nobody where PagerDuty names nobody', async () => {
    pager.onCalls = [];
    expect(await source.now(SCHEDULE)).toEqual({ known: true, emails: [] });
  });
});

describe('who is on call is not known', () => {
  it.each<[string, () => void, RegExp]>([
    [
      'PagerDuty fails',
      () => (pager.instead = (response) => response.writeHead(500).end('{}')),
      /answered 500/,
    ],
    ['it never answers', () => (pager.instead = () => undefined), /in time/],
    ['it hangs up', () => (pager.instead = (response) => response.destroy()), /cannot be reached/],
    [
      'it talks of something else',
      () => (pager.instead = (response) => response.end('<html>')),
      /something else/,
    ],
    [
      'it sends elsewhere',
      () => (pager.instead = (response) => response.writeHead(302, { location: '/x' }).end()),
      /302/,
    ],
    [
      'no such schedule is there',
      () => (pager.instead = (response) => response.writeHead(404).end('{}')),
      /no such schedule/,
    ],
    [
      'it tells no e-mails',
      () => (pager.instead = (response) => response.end('{"oncalls":[{"user":{"id":"P1"}}],"more":false}')),
      /no e-mails/,
    ],
    [
      'it does not end',
      () =>
        (pager.instead = (response) =>
          response.end('{"oncalls":[{"user":{"email":"a@example.com"}}],"more":true}')),
      /more than 1000/,
    ],
  ])('when %s', async (_what, breakIt, problem) => {
    breakIt();
    expect(await source.now(SCHEDULE)).toEqual({ known: false, problem: expect.stringMatching(problem) });
  });

  it('when the key is wrong, and the key is not told', async () => {
    const wrong = createPagerDutyOnCall({ apiToken: 'wrong-key', url: pager.url });
    const answer = await wrong.now(SCHEDULE);
    expect(answer).toMatchObject({ known: false, problem: expect.stringContaining('401') });
    expect(JSON.stringify(answer)).not.toContain('wrong-key');
  });

  it('for ten seconds after a failure, without asking again, so that nobody else waits', async () => {
    pager.instead = (response) => response.writeHead(503).end('{}');
    await source.now(SCHEDULE);
    pager.instead = undefined;
    nowMs += 9_000;
    expect((await source.now(SCHEDULE)).known).toBe(false);
    expect(pager.requests).toHaveLength(1);
    nowMs += 2_000;
    expect((await source.now(SCHEDULE)).known).toBe(true);
  });

  it('while PagerDuty limits our calls: nothing is asked before ratelimit-reset', async () => {
    pager.left = 0;
    pager.resetSeconds = 30;
    expect(await source.now(SCHEDULE)).toMatchObject({ problem: 'PagerDuty is limiting our calls' });
    nowMs += 29_000;
    expect(await source.now(POLICY)).toMatchObject({ known: false });
    expect(pager.requests).toHaveLength(1);
    pager.left = 960;
    nowMs += 12_000;
    expect((await source.now(POLICY)).known).toBe(true);
  });
});
