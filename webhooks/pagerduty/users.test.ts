import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPagerDutyUsers } from './users.ts';

const TOKEN = 'rest-api-token';
let server: Server;
let url: string;
let asked: string[];
/** What is answered instead, while set; `silent`: nothing. */
let status: number | 'silent' | undefined;

/** GET /users/{id} as documented: the token's scheme, the version in Accept, 404 for whom there is not. */
beforeEach(async () => {
  asked = [];
  status = undefined;
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (status === 'silent') return;
    const allowed =
      request.headers.authorization === `Token token=${TOKEN}` &&
      request.headers.accept === 'application/vnd.pagerduty+json;version=2';
    const code = status ?? (allowed ? (request.url === '/users/PLH1HKV' ? 200 : 404) : 401);
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(
      code === 200 ? JSON.stringify({ user: { id: 'PLH1HKV', email: 'mara@example.com' } }) : '{}',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

describe('the e-mail of a user of PagerDuty', () => {
  it('is asked for once in ten minutes', async () => {
    let nowMs = 0;
    const users = createPagerDutyUsers({ url: `${url}/`, apiToken: TOKEN, now: () => nowMs });
    expect(await users.emailOf('PLH1HKV')).toEqual({ email: 'mara@example.com' });
    nowMs = 599_999;
    expect(await users.emailOf('PLH1HKV')).toEqual({ email: 'mara@example.com' });
    expect(asked).toEqual(['/users/PLH1HKV']);
    nowMs = 600_000;
    await users.emailOf('PLH1HKV');
    expect(asked).toHaveLength(2);
  });

  it.each<[number, { askAgain?: true }]>([
    [401, {}],
    [403, {}],
    [404, {}],
    [429, { askAgain: true }],
    [500, { askAgain: true }],
    [503, { askAgain: true }],
  ])('is not known when the answer is %i, and asked for again', async (code, more) => {
    const users = createPagerDutyUsers({ url, apiToken: TOKEN });
    status = code;
    expect(await users.emailOf('PLH1HKV')).toEqual({
      problem: expect.stringContaining(String(code)),
      ...more,
    });
    status = undefined;
    expect(await users.emailOf('PLH1HKV')).toEqual({ email: 'mara@example.com' });
  });

  it('is not waited for', async () => {
    status = 'silent';
    const users = createPagerDutyUsers({ url, apiToken: TOKEN, deadlineMs: 100 });
    expect(await users.emailOf('PLH1HKV')).toEqual({
      problem: expect.stringContaining('could not be asked'),
      askAgain: true,
    });
  });

  it('is never asked for by an id that would be another address', async () => {
    const users = createPagerDutyUsers({ url, apiToken: TOKEN });
    expect(await users.emailOf('../incidents')).toEqual({ problem: expect.any(String) });
    expect(asked).toEqual([]);
  });
});
