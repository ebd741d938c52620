import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebClient } from '@slack/web-api';
import { afterEach, expect, it } from 'vitest';
import { startCalls } from './calls.ts';
import { createPace } from './pace.ts';

const DAY_SECONDS = 86_400;

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

it('takes a Retry-After of a day for an outage: the next call is made, and chat is back when Slack is', async () => {
  let requests = 0;
  const limited = createServer((_, response) => {
    requests += 1;
    response.writeHead(429, { 'retry-after': String(DAY_SECONDS) }).end();
  });
  server = limited;
  await new Promise<void>((resolve) => limited.listen(0, '127.0.0.1', resolve));
  const client = new WebClient('xoxb-token', {
    slackApiUrl: `http://127.0.0.1:${(limited.address() as AddressInfo).port}/api/`,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
  });
  const pace = createPace();
  for (const incident of ['inc-1', 'inc-2']) {
    const asked = startCalls(client, pace, incident).call('auth.test', (slack) => slack.auth.test());
    await expect(asked).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  }
  expect(requests).toBe(2);
});
