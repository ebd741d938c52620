/** GET /oncalls of PagerDuty's REST API v2, as documented, limits enforced. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** https://developer.pagerduty.com/docs/ZG9jOjExMDI5NTU4-pagination: "limit" is at most 100, offset + limit at most 10,000. */
const MAX_LIMIT = 100;
const MAX_OFFSET = 10_000;
const DEFAULT_LIMIT = 25;

export interface FakeOnCall {
  email: string;
  schedule?: string;
  escalationPolicy: string;
  level?: number;
}

export interface FakePagerDuty {
  url: string;
  apiToken: string;
  onCalls: FakeOnCall[];
  requests: URL[];
  /** Requests that are left of this minute; unlimited where undefined. */
  left: number | undefined;
  /** Until the minute is over. */
  resetSeconds: number;
  /** Answers instead of the API while set. */
  instead: ((response: ServerResponse) => void) | undefined;
  close(): Promise<void>;
}

export async function startPagerDuty(): Promise<FakePagerDuty> {
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakePagerDuty = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiToken: 'y_NbAkKc66ryYTWUXYEu',
    onCalls: [],
    requests: [],
    left: undefined,
    resetSeconds: 30,
    instead: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;

  function answer(request: IncomingMessage, response: ServerResponse): unknown {
    const url = new URL(request.url ?? '/', fake.url);
    fake.requests.push(url);
    if (fake.instead !== undefined) return fake.instead(response);
    const send = (status: number, body: object) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(fake.left === undefined
          ? {}
          : {
              'ratelimit-limit': '960',
              'ratelimit-remaining': String(Math.max(0, fake.left)),
              'ratelimit-reset': String(fake.resetSeconds),
            }),
      });
      response.end(JSON.stringify(body));
    };
    const refuse = (status: number, message: string) => send(status, { error: { message, code: 2001 } });

    if (request.headers.authorization !== `Token token=${fake.apiToken}`) return refuse(401, 'Unauthorized');
    if (request.headers.accept !== 'application/vnd.pagerduty+json;version=2') {
      return refuse(400, 'the Accept header names no version');
    }
    if (fake.left !== undefined && fake.left-- <= 0) return refuse(429, 'Rate Limit Exceeded');
    if (request.method !== 'GET' || url.pathname !== '/oncalls') return refuse(404, 'Not Found');
    const limit = Number(url.searchParams.get('limit') ?? DEFAULT_LIMIT);
    const offset = Number(url.searchParams.get('offset') ?? 0);
    if (!(limit >= 1 && limit <= MAX_LIMIT) || !(offset >= 0 && offset + limit <= MAX_OFFSET)) {
      return refuse(400, 'Invalid Input Provided');
    }
    const schedules = url.searchParams.getAll('schedule_ids[]');
    const policies = url.searchParams.getAll('escalation_policy_ids[]');
    const included = url.searchParams.getAll('include[]').includes('users');
    // Filters narrow each other.
    const found = fake.onCalls.filter(
      ({ schedule, escalationPolicy }) =>
        (schedules.length === 0 || (schedule !== undefined && schedules.includes(schedule))) &&
        (policies.length === 0 || policies.includes(escalationPolicy)),
    );
    send(200, {
      oncalls: found
        .slice(offset, offset + limit)
        .map(({ email, schedule, escalationPolicy, level = 1 }) => ({
          // Without include[]=users, a reference: no e-mail.
          user: {
            id: 'PT23IWX',
            type: included ? 'user' : 'user_reference',
            summary: 'Somebody',
            ...(included ? { name: 'Somebody', email } : {}),
          },
          schedule: schedule === undefined ? null : { id: schedule, type: 'schedule_reference' },
          escalation_policy: { id: escalationPolicy, type: 'escalation_policy_reference' },
          escalation_level: level,
          start: '2026-03-01T08:00:00Z',
          end: '2026-03-01T20:00:00Z',
        })),
      limit,
      offset,
      more: offset + limit < found.length,
      total: null,
    });
  }
}
