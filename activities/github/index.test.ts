import type { RequestListener } from 'node:http';
import { ApplicationFailure } from '@temporalio/common';
import { createEmulator } from 'emulate';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Emulators, startEmulators } from '../../demo/vendors/emulators.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { renderTicket } from '../../domain/ticket.ts';
import type { TicketStatus } from '../../domain/ticket-status.ts';
import { startFaultProxy } from '../../test/vendors/fault-proxy.ts';
import { listening } from '../../test/vendors/listening.ts';
import { incidentLabel } from '../tickets/labels.ts';
import { createGitHubTickets } from './index.ts';

const HOSTILE = '@channel <!channel> # heading [x](http://e) <script>alert(1)</script> #1 **b** `c` | d';

const STATUS: TicketStatus = { severity: 'SEV1', state: 'triggered', markdown: '- State: triggered' };

let emulators: Emulators;
const closing: (() => unknown)[] = [];
let nextId = 0;

beforeAll(async () => {
  emulators = await startEmulators();
});
afterAll(() => emulators.close());
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));

function tickets(change: Partial<{ token: string; repo: string; apiUrl: string }> = {}) {
  const { apiUrl, token, owner, repo } = emulators.github;
  return createGitHubTickets({ apiUrl, token, owner, repo, ...change });
}

function ticketOf(
  change: Partial<{ incidentId: string; title: string; markdown: string; labels: string[] }> = {},
) {
  nextId += 1;
  const incidentId = `inc-000000000000-${String(nextId).padStart(8, '0')}`;
  return {
    incidentId,
    title: 'Harmful outputs',
    status: STATUS,
    markdown: 'What happened',
    labels: [],
    ...change,
  };
}

async function issueOf(key: string) {
  const issue = (await emulators.github.issues()).find((candidate) => String(candidate.number) === key);
  if (issue === undefined) throw new Error(`issue ${key} is not there`);
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
  const { url, close } = await listening(listener);
  closing.push(close);
  return url;
}

describe('open', () => {
  it('opens one issue an incident, however often it is called, and finds it when it is closed', async () => {
    const input = ticketOf({ labels: ['ai-harm', 'Firebreak', 'ai-harm', 'x'.repeat(60)] });
    const first = await tickets().open(input);
    const again = await tickets().open({ ...input, title: 'Another title' });

    expect(first).toEqual({
      key: expect.stringMatching(/^\d+$/),
      url: expect.stringContaining(`/${first.key}`),
      created: true,
    });
    expect(again).toEqual({ ...first, created: false });
    const issues = (await emulators.github.issues()).filter(({ body }) => body.includes(input.incidentId));
    expect(issues).toHaveLength(1);
    expect(issues[0]).toMatchObject({ number: Number(first.key), title: 'Harmful outputs' });
    expect(issues[0]?.labels.toSorted()).toEqual(
      [
        'ai-harm',
        'firebreak',
        incidentLabel(input.incidentId),
        'firebreak-sev1',
        'firebreak-state-triggered',
        'firebreak-ticket',
        `${'x'.repeat(49)}…`,
      ].toSorted(),
    );
  });

  it('opens an issue for every incident', async () => {
    const one = await tickets().open(ticketOf());
    const two = await tickets().open(ticketOf());
    expect(two).toMatchObject({ created: true });
    expect(two.key).not.toBe(one.key);
  });

  it("is not misled by another incident's marker inside a body", async () => {
    const mine = ticketOf();
    const marker = `<!-- firebreak:incident=${mine.incidentId} -->`;
    await tickets().open(ticketOf({ markdown: `${marker}\nnot yours` }));
    expect(await tickets().open(mine)).toMatchObject({ created: true });
  });

  it("keeps to GitHub's limits and still finds the issue", async () => {
    const input = ticketOf({ title: 'T'.repeat(1_000), markdown: '🔥'.repeat(40_000) });
    const { key } = await tickets().open(input);
    const issue = await issueOf(key);
    expect(issue.title).toHaveLength(256);
    expect(issue.body.length).toBeLessThanOrEqual(65_536);
    expect(issue.body).toContain("The whole text is in the incident's record.");
    expect(await tickets().open(input)).toMatchObject({ key, created: false });
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
    const { key } = await tickets().open(ticketOf({ title, markdown: body }));
    const issue = await issueOf(key);

    expect(issue.title).not.toMatch(/@[a-z]|#\d/);
    expect(issue.body).toContain('@\u200bchannel');
    const text = issue.body.slice(issue.body.indexOf('<!-- /firebreak:status -->') + 26);
    expect(text).toContain('Incident');
    expect(text).not.toMatch(/@[a-z]/);
    expect(text).not.toMatch(/<(script|!)/);
    expect(text).not.toMatch(/(?<!\\)\]\(/);
    expect(text).not.toMatch(/(^|\n)\s*# heading/);
    expect(text).not.toMatch(/#\d/);
    expect(text).not.toMatch(/(?<!\\)\*\*b|(?<!\\)`c/);
  });
});

describe('comment', () => {
  it('comments once for a key, and again for another', async () => {
    const { incidentId } = ticketOf();
    const { key } = await tickets().open(ticketOf({ incidentId }));
    const comment = (commentKey: string) =>
      tickets().comment({
        key,
        incidentId,
        commentKey,
        markdown: `about ${commentKey}`,
        rest: '',
        files: [],
      });
    const first = await comment('samples --> x');
    expect(await comment('samples --> x')).toEqual(first);
    await comment('outcome');

    const { comments } = await issueOf(key);
    expect(comments).toHaveLength(2);
    expect(comments[0]).toMatch(/^<!-- firebreak:comment=samples\S+ -->\nabout samples --> x$/);
    expect(comments[1]).toMatch(/\nabout outcome$/);
  });

  it('finds its comment behind a hundred others', { timeout: 60_000 }, async () => {
    const { incidentId } = ticketOf();
    const { key } = await tickets().open(ticketOf({ incidentId }));
    const { apiUrl, token, owner, repo } = emulators.github;
    for (let index = 0; index < 100; index += 1) {
      await fetch(`${apiUrl}/repos/${owner}/${repo}/issues/${key}/comments`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ body: `chatter ${index}` }),
      });
    }
    const input = { key, incidentId, commentKey: 'outcome', markdown: 'done', rest: '', files: [] };
    await tickets().comment(input);
    await tickets().comment(input);
    const response = await fetch(`${apiUrl}/repos/${owner}/${repo}/issues/${key}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await response.json()).toMatchObject({ comments: 101 });
  });

  it('says which issue is not there', async () => {
    const failure = await failureOf(
      tickets().comment({
        key: '4711',
        incidentId: 'inc-x',
        commentKey: 'k',
        markdown: 'b',
        rest: '',
        files: [],
      }),
    );
    expect(failure).toMatchObject({ type: 'NotFound', nonRetryable: true });
    expect(failure.message).toContain('issue acme/ai-operations#4711');
  });
});

describe('update', () => {
  it('keeps the labels that people add in the same moment', async () => {
    const { key } = await tickets().open(ticketOf());
    const { apiUrl, token, owner, repo } = emulators.github;
    const proxy = await startFaultProxy(apiUrl);
    closing.push(() => void proxy.close());
    let added: Promise<unknown> | undefined;
    proxy.plan(({ method }) => {
      // After the issue was read, and before the first change of ours.
      if (method !== 'GET') {
        added ??= fetch(`${apiUrl}/repos/${owner}/${repo}/issues/${key}/labels`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ labels: ['team-blue'] }),
        });
      }
      return undefined;
    });
    const status: TicketStatus = { severity: 'SEV2', state: 'contained', markdown: '- State: contained' };
    const update = () => tickets({ apiUrl: proxy.url }).update({ key, status });
    expect(await update()).toEqual({ changed: true });
    await added;
    const { labels } = await issueOf(key);
    expect(labels).toEqual(
      expect.arrayContaining(['team-blue', 'firebreak-sev2', 'firebreak-state-contained']),
    );
    expect(labels).not.toContain('firebreak-sev1');
    expect(await update()).toEqual({ changed: false });
    // Labels are never written as a whole.
    expect(proxy.seen.filter(({ method, path }) => method === 'PUT' && path.endsWith('/labels'))).toEqual([]);
  });

  it.each([403, 404])("does without labels where they are not the token's to set (%i)", async (status) => {
    const { key } = await tickets().open(ticketOf());
    const proxy = await startFaultProxy(emulators.github.apiUrl);
    closing.push(() => void proxy.close());
    proxy.plan(({ path }) => (path.includes('/labels') ? { kind: 'answer', status } : undefined));
    const changed: TicketStatus = { severity: 'SEV2', state: 'contained', markdown: '- State: contained' };
    expect(await tickets({ apiUrl: proxy.url }).update({ key, status: changed })).toEqual({ changed: true });
    expect((await issueOf(key)).body).toContain('State: contained');
  });

  it('has room for a section that grows below a body that was cut', async () => {
    const { key } = await tickets().open(ticketOf({ markdown: 'x'.repeat(100_000) }));
    const status: TicketStatus = { ...STATUS, markdown: `- State: contained\n- ${'w'.repeat(3_000)}` };
    await tickets().update({ key, status });
    expect((await issueOf(key)).body).toContain('State: contained');
  });
});

describe('somebody who writes our marker on an issue of theirs', () => {
  const SOMEBODY = 'somebody-token';

  async function forged() {
    const github = await createEmulator({
      service: 'github',
      port: 0,
      seed: {
        tokens: {
          'our-token': { login: 'acme', scopes: ['repo'] },
          [SOMEBODY]: { login: 'somebody', scopes: ['repo'] },
        },
        github: {
          users: [
            { login: 'acme', name: 'Acme', email: 'ops@acme.example' },
            { login: 'somebody', name: 'Somebody', email: 'somebody@acme.example' },
          ],
          repos: [{ owner: 'acme', name: 'ai-operations', auto_init: false }],
        },
      },
    });
    closing.push(() => void github.close());
    const { incidentId } = ticketOf();
    const body = (kind: string) => `<!-- firebreak:${kind} -->\nx`;
    for (const marker of [`incident=${incidentId}`, 'item=item-1']) {
      const answer = await fetch(`${github.url}/repos/acme/ai-operations/issues`, {
        method: 'POST',
        headers: { authorization: `Bearer ${SOMEBODY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ title: 'x', body: body(marker), labels: [incidentLabel(incidentId)] }),
      });
      expect(answer.status).toBe(201);
    }
    return { github, incidentId };
  }

  const filed = (incidentId: string, key: string) => ({
    key,
    incidentId,
    itemId: 'item-1',
    title: 'Block promotion',
    markdown: 'why',
    labels: [],
    due: '2026-03-15',
    assignee: undefined,
  });

  it('keeps neither the ticket nor an action item away', async () => {
    const { github, incidentId } = await forged();
    const ours = tickets({ apiUrl: github.url, token: 'our-token' });
    const { key, created } = await ours.open(ticketOf({ incidentId }));
    expect(created).toBe(true);
    expect(await ours.open(ticketOf({ incidentId }))).toMatchObject({ key, created: false });
    const item = await ours.file(filed(incidentId, key));
    expect(item.created).toBe(true);
    expect(await ours.file(filed(incidentId, key))).toEqual({ ...item, created: false });
  });

  it('is told from an app that may not ask who it is: people are no bots', async () => {
    const { github, incidentId } = await forged();
    const proxy = await startFaultProxy(github.url);
    closing.push(() => void proxy.close());
    proxy.plan(({ path }) => (path === '/user' ? { kind: 'answer', status: 403 } : undefined));
    const app = tickets({ apiUrl: proxy.url, token: 'our-token' });
    expect(await app.open(ticketOf({ incidentId }))).toMatchObject({ created: true });
    expect(proxy.seen.map(({ path }) => path)).toContain('/user');
  });
});

describe('failures', () => {
  it("refuses another vendor's key in words", async () => {
    const failure = await failureOf(tickets().update({ key: 'OPS-1', status: STATUS }));
    expect(failure).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('another ticket system'),
    });
  });

  it('names the repository that is not there', async () => {
    const failure = await failureOf(tickets({ repo: 'nowhere' }).open(ticketOf()));
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
    const failure = await failureOf(tickets({ apiUrl }).open(ticketOf()));
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
    const failure = await failureOf(tickets({ apiUrl }).open(ticketOf()));
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
    const failure = await failureOf(tickets({ apiUrl }).open(ticketOf()));
    expect(failure).toMatchObject({
      type: 'Unavailable',
      message: expect.stringContaining('tickets.github.apiUrl'),
    });
    expect(failure.message).not.toContain('s3cret');
    expect(methods).toEqual(['GET']);
  });

  it('is Unavailable where nothing answers', async () => {
    const failure = await failureOf(tickets({ apiUrl: 'http://127.0.0.1:1' }).open(ticketOf()));
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
    expect(await tickets().open(input)).toMatchObject({ created: false });
  });

  it('makes the issue of an action item a sub-issue, and does without where the server knows none', async () => {
    const { key } = await tickets().open(ticketOf());
    const asked: string[] = [];
    const answers = [404, 422, 201];
    const proxy = await startFaultProxy(emulators.github.apiUrl);
    closing.push(() => void proxy.close());
    proxy.plan(({ method, path }) => {
      if (!path.endsWith('/sub_issues')) return undefined;
      asked.push(`${method} ${path}`);
      return { kind: 'answer', status: answers.shift() ?? 500, body: '{}' };
    });
    const file = (itemId: string) =>
      tickets({ apiUrl: proxy.url }).file({
        key,
        incidentId: 'inc-1',
        itemId,
        title: 'Block promotion',
        markdown: 'why',
        labels: [],
        due: '2026-03-15',
        assignee: undefined,
      });
    for (const itemId of ['a', 'b', 'c']) expect(await file(itemId)).toMatchObject({ created: true });
    expect(asked).toEqual(Array(3).fill(`POST /repos/acme/ai-operations/issues/${key}/sub_issues`));
    // A link that may yet be made is tried again, and makes no second issue.
    expect(await failureOf(file('c'))).toMatchObject({ type: 'Unavailable' });
    const issues = await emulators.github.issues();
    expect(issues.filter(({ body }) => body.includes('item=c'))).toHaveLength(1);
  });

  it('files the item without the owner whom the repository does not take', async () => {
    const { key } = await tickets().open(ticketOf());
    const proxy = await startFaultProxy(emulators.github.apiUrl);
    closing.push(() => void proxy.close());
    let refused = 0;
    proxy.plan(({ method, path }) => {
      if (method !== 'POST' || !path.endsWith('/issues') || refused > 0) return undefined;
      refused += 1;
      return { kind: 'answer', status: 422 };
    });
    const filed = await tickets({ apiUrl: proxy.url }).file({
      key,
      incidentId: 'inc-1',
      itemId: 'unassigned',
      title: 'Review',
      markdown: 'why',
      labels: [],
      due: '2026-03-15',
      assignee: 'gone',
    });
    expect(filed.created).toBe(true);
    expect(refused).toBe(1);
  });
});
