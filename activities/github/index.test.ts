import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Emulators, startEmulators } from '../../demo/vendors/emulators.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { renderTicket } from '../../domain/ticket.ts';
import { createGitHubTickets } from './index.ts';

const HOSTILE = '@channel <!channel> # heading [x](http://e) <script>alert(1)</script> #1 **b** `c` | d';

let emulators: Emulators;
let closing: (() => void)[] = [];
let nextId = 0;

beforeAll(async () => {
  emulators = await startEmulators();
});
afterAll(() => emulators.close());
afterEach(() => {
  for (const close of closing) close();
  closing = [];
});

function tickets(change: Partial<{ token: string; repo: string; apiUrl: string }> = {}) {
  const { apiUrl, token, owner, repo } = emulators.github;
  return createGitHubTickets({ apiUrl, token, owner, repo, ...change });
}

function ticketOf(
  change: Partial<{ incidentId: string; title: string; bodyMarkdown: string; labels: string[] }> = {},
) {
  nextId += 1;
  const incidentId = `inc-000000000000-${String(nextId).padStart(8, '0')}`;
  return { incidentId, title: 'Harmful outputs', bodyMarkdown: 'What happened', labels: [], ...change };
}

async function issueOf(number: number) {
  const issue = (await emulators.github.issues()).find((candidate) => candidate.number === number);
  if (issue === undefined) throw new Error(`issue ${number} is not there`);
  return issue;
}

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure))
    throw new Error(`expected an ApplicationFailure, got ${String(error)}`);
  return error;
}

/** A vendor in a state that the emulator does not know: rate limited, down. */
async function answering(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('openTicket', () => {
  it('opens one issue an incident, however often it is called, and finds it when it is closed', async () => {
    const input = ticketOf({ labels: ['ai-harm', 'Firebreak', 'ai-harm', 'x'.repeat(60)] });
    const first = await tickets().openTicket(input);
    const again = await tickets().openTicket({ ...input, title: 'Another title' });

    expect(first).toEqual({
      number: expect.any(Number),
      url: expect.stringContaining(`/${first.number}`),
      created: true,
    });
    expect(again).toEqual({ ...first, created: false });
    const issues = (await emulators.github.issues()).filter(({ body }) => body.includes(input.incidentId));
    expect(issues).toHaveLength(1);
    expect(issues[0]).toMatchObject({ number: first.number, title: 'Harmful outputs' });
    expect(issues[0]?.labels.toSorted()).toEqual(['ai-harm', 'firebreak', `${'x'.repeat(49)}…`]);
  });

  it('opens an issue for every incident', async () => {
    const one = await tickets().openTicket(ticketOf());
    const two = await tickets().openTicket(ticketOf());
    expect(two).toMatchObject({ created: true });
    expect(two.number).not.toBe(one.number);
  });

  it("is not misled by another incident's marker inside a body", async () => {
    const mine = ticketOf();
    const marker = `<!-- firebreak:incident=${mine.incidentId} -->`;
    await tickets().openTicket(ticketOf({ bodyMarkdown: `${marker}\nnot yours` }));
    expect(await tickets().openTicket(mine)).toMatchObject({ created: true });
  });

  it("keeps to GitHub's limits and still finds the issue", async () => {
    const input = ticketOf({ title: 'T'.repeat(1_000), bodyMarkdown: '🔥'.repeat(40_000) });
    const { number } = await tickets().openTicket(input);
    const issue = await issueOf(number);
    expect(issue.title).toHaveLength(256);
    expect(issue.body.length).toBeLessThanOrEqual(65_536);
    expect(issue.body).toContain("The whole text is in the incident's record.");
    expect(await tickets().openTicket(input)).toMatchObject({ number, created: false });
  });

  it('shows the text of a hostile alert inert', async () => {
    const view = {
      incidentId: 'inc-hostile',
      title: HOSTILE,
      state: 'triggered',
      severity: 'SEV1',
      runbook: { name: 'ai-harm-response', version: 1, hash: 'f', owner: 'ml@example.com' },
      targetProblem: HOSTILE,
      alerts: [{ alertname: HOSTILE, summary: HOSTILE, startsAt: '2026-03-01T10:00:00Z' }],
      milestones: {},
    } as unknown as IncidentView;
    const { title, body } = renderTicket(view, [], Date.UTC(2026, 2, 1, 11));
    const { number } = await tickets().openTicket(ticketOf({ title, bodyMarkdown: body }));
    const issue = await issueOf(number);

    expect(issue.title).not.toMatch(/@[a-z]|#\d/);
    expect(issue.body).toContain('@\u200bchannel');
    const [, text = ''] = issue.body.split('-->');
    expect(text).not.toMatch(/@[a-z]/);
    expect(text).not.toMatch(/<(script|!)/);
    expect(text).not.toMatch(/(?<!\\)\]\(/);
    expect(text).not.toMatch(/(^|\n)\s*# heading/);
    expect(text).not.toMatch(/#\d/);
    expect(text).not.toMatch(/(?<!\\)\*\*b|(?<!\\)`c/);
  });
});

describe('commentTicket', () => {
  it('comments once for a key, and again for another', async () => {
    const { incidentId } = ticketOf();
    const { number } = await tickets().openTicket(ticketOf({ incidentId }));
    const comment = (commentKey: string) =>
      tickets().commentTicket({ number, incidentId, commentKey, bodyMarkdown: `about ${commentKey}` });
    const first = await comment('samples --> x');
    expect(await comment('samples --> x')).toEqual(first);
    await comment('outcome');

    const { comments } = await issueOf(number);
    expect(comments).toHaveLength(2);
    expect(comments[0]).toMatch(/^<!-- firebreak:comment=samples\S+ -->\nabout samples --> x$/);
    expect(comments[1]).toMatch(/\nabout outcome$/);
  });

  it('finds its comment behind a hundred others', { timeout: 60_000 }, async () => {
    const { incidentId } = ticketOf();
    const { number } = await tickets().openTicket(ticketOf({ incidentId }));
    const { apiUrl, token, owner, repo } = emulators.github;
    for (let index = 0; index < 100; index += 1) {
      await fetch(`${apiUrl}/repos/${owner}/${repo}/issues/${number}/comments`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ body: `chatter ${index}` }),
      });
    }
    const input = { number, incidentId, commentKey: 'outcome', bodyMarkdown: 'done' };
    await tickets().commentTicket(input);
    await tickets().commentTicket(input);
    const response = await fetch(`${apiUrl}/repos/${owner}/${repo}/issues/${number}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await response.json()).toMatchObject({ comments: 101 });
  });

  it('says which issue is not there', async () => {
    const failure = await failureOf(
      tickets().commentTicket({ number: 4_711, incidentId: 'inc-x', commentKey: 'k', bodyMarkdown: 'b' }),
    );
    expect(failure).toMatchObject({ type: 'NotFound', nonRetryable: true });
    expect(failure.message).toContain('issue acme/ai-operations#4711');
  });
});

describe('failures', () => {
  it('refuses where no ticket system is configured', async () => {
    const none = createGitHubTickets(undefined);
    for (const work of [
      none.openTicket(ticketOf()),
      none.commentTicket({ number: 1, incidentId: 'i', commentKey: 'k', bodyMarkdown: 'b' }),
    ]) {
      expect(await failureOf(work)).toMatchObject({
        type: 'Refused',
        message: 'no ticket system is configured: set tickets.github',
      });
    }
  });

  it('names the repository that is not there', async () => {
    const failure = await failureOf(tickets({ repo: 'nowhere' }).openTicket(ticketOf()));
    expect(failure).toMatchObject({ type: 'NotFound', nonRetryable: true });
    expect(failure.message).toContain('repository acme/nowhere');
  });

  const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;
  it.each([
    ['Retry-After', 429, () => ({ 'retry-after': '7' }), 7_000, 7_000],
    ['a secondary limit with Retry-After', 403, () => ({ 'retry-after': '30' }), 30_000, 30_000],
    [
      'an exhausted primary limit',
      403,
      () => ({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(inAnHour() - 3_000) }),
      590_000,
      601_000,
    ],
    ['a limit that names no time', 429, () => ({}), 60_000, 60_000],
  ])('waits as GitHub says after %s', async (_, status, headers, atLeastMs, atMostMs) => {
    let requests = 0;
    const apiUrl = await answering((_request, response) => {
      requests += 1;
      response.writeHead(status, { 'content-type': 'application/json', ...headers() });
      response.end('{"message":"You have exceeded a limit"}');
    });
    const failure = await failureOf(tickets({ apiUrl }).openTicket(ticketOf()));
    expect(failure).toMatchObject({ type: 'RateLimited', nonRetryable: false });
    expect(Number(failure.nextRetryDelay)).toBeGreaterThanOrEqual(atLeastMs);
    expect(Number(failure.nextRetryDelay)).toBeLessThanOrEqual(atMostMs);
    expect(requests).toBe(1);
  });

  it.each([
    [401, 'Unauthorized', 'Issues: read and write'],
    [403, 'Unauthorized', 'Issues: read and write'],
    [404, 'NotFound', 'repository acme/ai-operations'],
    [410, 'NotFound', 'acme/ai-operations'],
    [422, 'InvalidInput', '422'],
    [500, 'Unavailable', '500'],
    [503, 'Unavailable', '503'],
  ])('makes %i to %s, in one request and without what the vendor wrote', async (status, type, part) => {
    let requests = 0;
    const apiUrl = await answering((_request, response) => {
      requests += 1;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end('{"message":"vendor text with s3cret"}');
    });
    const failure = await failureOf(tickets({ apiUrl }).openTicket(ticketOf()));
    expect(failure).toMatchObject({ type, message: expect.stringContaining(part) });
    expect(JSON.stringify([failure.message, failure.stack, failure.cause?.message])).not.toContain('s3cret');
    expect(requests).toBe(1);
  });

  it('takes a page for people in place of an answer for no empty list of issues, and opens nothing', async () => {
    const methods: (string | undefined)[] = [];
    const apiUrl = await answering((request, response) => {
      methods.push(request.method);
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end('<html>Sign in, s3cret</html>');
    });
    const failure = await failureOf(tickets({ apiUrl }).openTicket(ticketOf()));
    expect(failure).toMatchObject({
      type: 'Unavailable',
      message: expect.stringContaining('tickets.github.apiUrl'),
    });
    expect(failure.message).not.toContain('s3cret');
    expect(methods).toEqual(['GET']);
  });

  it('is Unavailable where nothing answers', async () => {
    const failure = await failureOf(tickets({ apiUrl: 'http://127.0.0.1:1' }).openTicket(ticketOf()));
    expect(failure).toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });

  it('finds an issue whose labels GitHub dropped', async () => {
    const input = ticketOf();
    const { apiUrl, token, owner, repo } = emulators.github;
    await fetch(`${apiUrl}/repos/${owner}/${repo}/issues`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ title: 'x', body: `<!-- firebreak:incident=${input.incidentId} -->\nx` }),
    });
    expect(await tickets().openTicket(input)).toMatchObject({ created: false });
  });
});
