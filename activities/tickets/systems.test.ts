import { ApplicationFailure } from '@temporalio/common';
import { Octokit } from 'octokit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmulators } from '../../demo/vendors/emulators.ts';
import type { ActionItem } from '../../domain/incident.ts';
import type { TicketStatus } from '../../domain/ticket-status.ts';
import { type FaultProxy, type Seen, startFaultProxy, type Trouble } from '../../test/vendors/fault-proxy.ts';
import { type FakeNode, startFakeJira } from '../../test/vendors/jira/server.ts';
import type { TicketActivities } from '../contract.ts';
import { createGitHubTickets } from '../github/index.ts';
import { createJiraTickets } from '../jira/index.ts';
import { createTicketActivities, type TicketOptions } from './index.ts';
import { incidentLabel } from './labels.ts';
import type { TicketSystem } from './system.ts';

/** One table for every ticket system, against a server that keeps the vendor's rules, with troubles in front of it. */

const INCIDENT = 'inc-3f9a1c2b7d01-0a1b2c3d';
const HOSTILE =
  '@team <!channel> # heading [x](http://evil.example) <script>alert(1)</script> #1 **b** `c` \u202egnp.exe \u0007 \n second';
const SECRETS = /s3cret|emulated-github-token|fake-jira-token/;

/** What people see, whichever vendor it is. */
interface ShownTicket {
  key: string;
  title: string;
  text: string;
  labels: string[];
  closed: boolean;
  comments: string[];
  assignee: string | undefined;
}

interface Vendor {
  proxy: FaultProxy;
  system: TicketSystem;
  shown(): Promise<ShownTicket[]>;
  /** A person's edits: words below ours, and a label. */
  edit(key: string, words: string, label: string): Promise<void>;
  /** Whether a request makes a ticket. */
  creates(request: Seen): boolean;
  comments(request: Seen): boolean;
  maxTitle: number;
  maxBody: number;
  /** Somebody there who can be assigned. */
  account: string;
  /** How long after a creation without an answer nothing is tried. */
  afterLostAnswerMs: number;
  /** How a limit is told that is not 429. */
  secondary: { status: number; headers: Record<string, string> };
  close(): Promise<void>;
}

const SYSTEMS: { name: string; start(): Promise<Vendor> }[] = [
  { name: 'GitHub', start: startGitHub },
  { name: 'Jira', start: startJira },
];

async function startGitHub(): Promise<Vendor> {
  const emulators = await startEmulators();
  const { token, owner, repo, apiUrl } = emulators.github;
  const proxy = await startFaultProxy(apiUrl);
  const octokit = new Octokit({ baseUrl: apiUrl, auth: token, throttle: { enabled: false } });
  const issues = `/repos/${owner}/${repo}/issues`;
  return {
    proxy,
    system: createGitHubTickets({ apiUrl: proxy.url, token, owner, repo }),
    async shown() {
      const listed = await emulators.github.issues();
      return Promise.all(
        listed.map(async ({ number, title, body, labels, comments }) => {
          const { data } = await octokit.rest.issues.get({ owner, repo, issue_number: number });
          return {
            key: String(number),
            title,
            text: body,
            labels,
            comments,
            closed: data.state === 'closed',
            assignee: data.assignees?.[0]?.login,
          };
        }),
      );
    },
    async edit(key, words, label) {
      const at = { owner, repo, issue_number: Number(key) };
      const { data } = await octokit.rest.issues.get(at);
      await octokit.rest.issues.update({ ...at, body: `${words} above\n${data.body}\n${words} below` });
      await octokit.rest.issues.addLabels({ ...at, labels: [label] });
    },
    creates: ({ method, path }) => method === 'POST' && path === issues,
    comments: ({ method, path }) => method === 'POST' && path.endsWith('/comments'),
    maxTitle: 256,
    maxBody: 65_536,
    account: owner,
    afterLostAnswerMs: 0,
    secondary: { status: 403, headers: { 'retry-after': '30' } },
    close: async () => {
      await proxy.close();
      await emulators.close();
    },
  };
}

async function startJira(): Promise<Vendor> {
  const jira = await startFakeJira();
  const proxy = await startFaultProxy(jira.url);
  return {
    proxy,
    system: createJiraTickets({
      url: proxy.url,
      email: jira.email,
      apiToken: jira.apiToken,
      project: jira.project,
      issueType: 'Task',
      actionItemType: 'Task',
      linkType: 'Relates',
    }),
    shown: async () =>
      jira.issues.map((issue) => ({
        key: issue.key,
        title: issue.summary,
        text: textOf(issue.description?.content ?? []),
        labels: issue.labels,
        comments: issue.comments.map(({ body }) => textOf(body.content)),
        closed: issue.status.category === 'done',
        assignee: issue.assignee,
      })),
    async edit(key, words, label) {
      const issue = jira.issues.find((one) => one.key === key);
      const said = (text: string): FakeNode => ({ type: 'paragraph', content: [{ type: 'text', text }] });
      issue?.description?.content.unshift(said(`${words} above`));
      issue?.description?.content.push(said(`${words} below`));
      issue?.labels.push(label);
    },
    creates: ({ method, path }) => method === 'POST' && path === '/rest/api/3/issue',
    comments: ({ method, path }) => method === 'POST' && path.endsWith('/comment'),
    maxTitle: 255,
    maxBody: 32_767,
    account: jira.accountId,
    afterLostAnswerMs: 60_000,
    secondary: { status: 503, headers: { 'retry-after': '30' } },
    close: async () => {
      await proxy.close();
      await jira.close();
    },
  };
}

/** Each block on a line of its own. */
function textOf(nodes: readonly FakeNode[]): string {
  return nodes
    .map((node) => node.text ?? textOf(node.content ?? []) + (node.type === 'text' ? '' : '\n'))
    .join('');
}

function statusOf(change: Partial<TicketStatus> = {}): TicketStatus {
  return { severity: 'SEV1', state: 'triggered', markdown: '- State: triggered', ...change };
}

const OPENED = {
  incidentId: INCIDENT,
  title: '[SEV1] Harmful outputs',
  status: statusOf(),
  bodyMarkdown: 'What happened',
  labels: ['ai-harm'],
};

const ITEM: ActionItem = {
  id: `${INCIDENT}-safety-debt-known-bad-deployable`,
  lane: 'safety-debt',
  title: 'The known-bad image can still be deployed',
  owner: 'kim@acme.example',
  due: '2026-03-15',
  expires: '2026-03-31',
  rmfFunction: 'MANAGE',
};

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected an ApplicationFailure, got ${error}`);
  return error;
}

describe.each(SYSTEMS)('$name', ({ start }) => {
  let vendor: Vendor;
  let tickets: TicketActivities;

  beforeEach(async () => {
    vendor = await start();
    tickets = activities();
  });
  afterEach(() => vendor.close());

  function activities(change: Partial<TicketOptions> = {}): TicketActivities {
    return createTicketActivities({
      system: vendor.system,
      onResolved: 'leave',
      publicUrl: 'https://firebreak.example',
      assigneeOf: (owner) => (owner === 'kim@acme.example' ? vendor.account : undefined),
      records: {
        postmortem: async (incidentId) => ({
          incidentId,
          markdown: '# Postmortem\n\nWhat we learned',
          sha256: 'x',
          draft: false,
          atMs: 0,
        }),
      },
      ...change,
    });
  }

  const only = async () => {
    const [shown, ...others] = await vendor.shown();
    if (shown === undefined || others.length > 0) throw new Error(`${others.length + 1} tickets, not one`);
    return shown;
  };
  const once = (which: (request: Seen) => boolean, trouble: Trouble) => {
    let left = 1;
    vendor.proxy.plan((request) => (which(request) && left-- > 0 ? trouble : undefined));
  };

  it('opens one ticket an incident, labelled, however often it is asked', async () => {
    const first = await tickets.openTicket(OPENED);
    const again = await tickets.openTicket({ ...OPENED, title: 'Another' });
    expect(first).toMatchObject({ created: true, url: expect.stringMatching(/^https?:\/\//) });
    expect(again).toEqual({ ...first, created: false });
    const shown = await only();
    expect(shown).toMatchObject({ key: first.key, title: '[SEV1] Harmful outputs', closed: false });
    expect(shown.labels).toEqual(
      expect.arrayContaining([
        incidentLabel(INCIDENT),
        'firebreak-sev1',
        'firebreak-state-triggered',
        'ai-harm',
      ]),
    );
    expect(shown.text).toContain('State: triggered');
    expect(shown.text).toContain('What happened');
  });

  it('finds a ticket that was closed', async () => {
    const { key } = await tickets.openTicket(OPENED);
    await activities({ onResolved: 'close' }).updateTicket({
      key,
      incidentId: INCIDENT,
      status: statusOf(),
      outcome: 'recovered',
    });
    expect((await only()).closed).toBe(true);
    expect(await tickets.openTicket(OPENED)).toMatchObject({ key, created: false });
  });

  it('makes no second ticket, item or comment after an answer was lost', async () => {
    once(vendor.creates, { kind: 'lost-answer' });
    const lost = await failureOf(tickets.openTicket(OPENED));
    expect(lost).toMatchObject({ type: 'Unavailable', nonRetryable: false });
    expect(Number(lost.nextRetryDelay ?? 0)).toBe(vendor.afterLostAnswerMs);
    const { key, created } = await tickets.openTicket(OPENED);
    expect(created).toBe(false);

    once(vendor.creates, { kind: 'lost-answer' });
    const file = () => tickets.fileActionItem({ key, incidentId: INCIDENT, item: ITEM });
    expect(await failureOf(file())).toMatchObject({ type: 'Unavailable' });
    expect(await file()).toMatchObject({ created: false });
    expect(await vendor.shown()).toHaveLength(2);

    once(vendor.comments, { kind: 'lost-answer' });
    const comment = () =>
      tickets.commentTicket({ key, incidentId: INCIDENT, commentKey: 'outcome', bodyMarkdown: 'done' });
    expect(await failureOf(comment())).toMatchObject({ type: 'Unavailable' });
    await comment();
    expect((await vendor.shown())[0]?.comments).toHaveLength(1);
  });

  it.each([
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '7' } }, 7_000],
    ['its other limit', undefined, 30_000],
  ])('waits as the vendor says after %s', async (_, answer, delayMs) => {
    const trouble = { kind: 'answer' as const, ...(answer ?? vendor.secondary) };
    vendor.proxy.plan(() => trouble);
    const failure = await failureOf(tickets.openTicket(OPENED));
    expect(failure).toMatchObject({ nonRetryable: false });
    expect(failure.nextRetryDelay).toBe(delayMs);
    expect(vendor.proxy.seen).toHaveLength(1);
    vendor.proxy.plan(undefined);
    expect(await tickets.openTicket(OPENED)).toMatchObject({ created: true });
  });

  it.each([
    [401, 'Unauthorized', /was not accepted/],
    [403, 'Unauthorized', /needs .*[Ii]ssues/],
    [404, 'NotFound', /does not exist, or the token may not see it/],
    [410, 'NotFound', /deleted|archived/],
    [422, 'InvalidInput', /refused/],
    [500, 'Unavailable', /500/],
    [502, 'Unavailable', /502/],
    [503, 'Unavailable', /503/],
  ])(
    'makes %i to %s, says what to do, and passes on nothing the vendor wrote',
    async (status, type, text) => {
      vendor.proxy.plan(() => ({ kind: 'answer', status }));
      const failure = await failureOf(tickets.openTicket(OPENED));
      expect(failure).toMatchObject({ type, nonRetryable: type !== 'Unavailable' });
      expect(failure.message).toMatch(text);
      expect(JSON.stringify([failure.message, failure.stack, failure.cause?.message])).not.toMatch(SECRETS);
      expect(vendor.proxy.seen).toHaveLength(1);
      vendor.proxy.plan(undefined);
      expect(await vendor.shown()).toHaveLength(0);
    },
  );

  it('takes a page for people for no empty list, and creates nothing', async () => {
    vendor.proxy.plan(() => ({
      kind: 'answer',
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: '<html>Sign in, s3cret</html>',
    }));
    const failure = await failureOf(tickets.openTicket(OPENED));
    expect(failure).toMatchObject({ type: 'Unavailable', message: expect.stringMatching(/[uU]rl/) });
    expect(failure.message).not.toMatch(SECRETS);
    vendor.proxy.plan(undefined);
    expect(await vendor.shown()).toHaveLength(0);
  });

  it("keeps to the vendor's limits, and says that something was cut and where the rest is", async () => {
    const rows = Array.from({ length: 3_000 }, (_, at) => `| fact ${at} | ${'🔥'.repeat(20)} |`);
    const long = ['| a | b |', '|---|---|', ...rows].join('\n');
    const { key } = await tickets.openTicket({
      ...OPENED,
      title: `[SEV1] ${'T'.repeat(1_000)}`,
      bodyMarkdown: long,
    });
    const limited = activities({
      records: {
        postmortem: async (incidentId) => ({
          incidentId,
          markdown: long,
          sha256: 'x',
          draft: false,
          atMs: 0,
        }),
      },
    });
    await limited.publishPostmortem({ key, incidentId: INCIDENT });
    const shown = await only();
    expect(shown.title.length).toBeLessThanOrEqual(vendor.maxTitle);
    for (const text of [shown.text, ...shown.comments]) {
      expect(text.length).toBeLessThanOrEqual(vendor.maxBody);
      expect(text).toContain('fact 1');
      expect(text).toMatch(/Cut: longer than/);
    }
    expect(shown.comments[0]).toContain('The whole postmortem');
    expect(await tickets.openTicket(OPENED)).toMatchObject({ key, created: false });
  });

  it('shows hostile titles, labels and items as text', async () => {
    const { key } = await tickets.openTicket({ ...OPENED, title: HOSTILE, labels: ['a b,c\n'] });
    await tickets.fileActionItem({
      key,
      incidentId: INCIDENT,
      item: { ...ITEM, title: HOSTILE, evidence: HOSTILE },
    });
    for (const { title, text } of await vendor.shown()) {
      expect(title).not.toMatch(/[\p{Cc}\u202e]/u);
      expect(title).toContain('heading');
      expect(text).not.toMatch(/\u202e|\u0007/);
      // Markdown that is shown as it is: mentions, references and HTML are broken.
      if (vendor.system.name === 'GitHub') {
        expect(title).not.toMatch(/@team|#1/);
        expect(text.split('\n\n').at(-1)).not.toMatch(/@team|<script|(?<!\\)\*\*b|(?<!\\)\]\(http:\/\/evil/);
      }
    }
  });

  it('follows the incident, and leaves what people wrote', async () => {
    const { key } = await tickets.openTicket(OPENED);
    await vendor.edit(key, 'a person wrote', 'team-blue');
    const status = statusOf({
      severity: 'SEV2',
      state: 'mitigated',
      markdown: '- State: mitigated\n- Commander: kim',
    });
    const update = () => tickets.updateTicket({ key, incidentId: INCIDENT, status });
    expect(await update()).toEqual({ changed: true, closed: false });
    const shown = await only();
    expect(shown.title).toBe('[SEV2] Harmful outputs');
    expect(shown.labels).toEqual(
      expect.arrayContaining(['team-blue', 'firebreak-sev2', 'firebreak-state-mitigated']),
    );
    expect(shown.labels).not.toContain('firebreak-sev1');
    expect(shown.labels).not.toContain('firebreak-state-triggered');
    expect(shown.text).toContain('State: mitigated');
    expect(shown.text).toContain('Commander: kim');
    expect(shown.text).not.toContain('State: triggered');
    expect(shown.text).toContain('a person wrote above');
    expect(shown.text).toContain('a person wrote below');
    expect(shown.text).toContain('What happened');
    expect(await update()).toEqual({ changed: false, closed: false });
  });

  it('closes by policy, once, what is over, and leaves what is not', async () => {
    const { key } = await tickets.openTicket(OPENED);
    const closing = activities({ onResolved: 'close' });
    const update = (on: TicketActivities, outcome: 'handed-over' | 'recovered') =>
      on.updateTicket({ key, incidentId: INCIDENT, status: statusOf({ state: 'closed' }), outcome });
    expect((await update(tickets, 'recovered')).closed).toBe(false);
    expect((await update(closing, 'handed-over')).closed).toBe(false);
    expect((await only()).closed).toBe(false);
    expect((await update(closing, 'recovered')).closed).toBe(true);
    expect((await update(closing, 'recovered')).closed).toBe(false);
    expect((await only()).closed).toBe(true);
  });

  it('files an action item once, with owner, due date, lane and expiry', async () => {
    const { key } = await tickets.openTicket(OPENED);
    const file = (item: ActionItem) => tickets.fileActionItem({ key, incidentId: INCIDENT, item });
    const first = await file(ITEM);
    expect(await file(ITEM)).toEqual({ ...first, created: false });
    const other = await file({ ...ITEM, id: `${ITEM.id}-2`, owner: 'ml-oncall' });
    const shown = await vendor.shown();
    expect(shown).toHaveLength(3);
    const item = shown.find((one) => one.key === first.key);
    expect(item?.title).toBe(ITEM.title);
    expect(item?.labels).toEqual(
      expect.arrayContaining([
        'lane-safety-debt',
        'due-2026-03-15',
        'expires-2026-03-31',
        incidentLabel(INCIDENT),
      ]),
    );
    expect(item?.assignee).toBe(vendor.account);
    expect(item?.text.replaceAll('\\', '')).toContain('2026-03-31');
    expect(item?.text).toContain(vendor.system.name === 'GitHub' ? `#${key}` : key);
    expect(shown.find((one) => one.key === other.key)?.assignee).toBeUndefined();
    expect(await tickets.openTicket(OPENED)).toMatchObject({ key, created: false });
  });

  it('publishes the postmortem once', async () => {
    const { key } = await tickets.openTicket(OPENED);
    const first = await tickets.publishPostmortem({ key, incidentId: INCIDENT });
    expect(await tickets.publishPostmortem({ key, incidentId: INCIDENT })).toEqual(first);
    const { comments } = await only();
    expect(comments).toHaveLength(1);
    expect(comments[0]).toContain('What we learned');
  });

  it('says which ticket is not there', async () => {
    const key = vendor.system.name === 'GitHub' ? '4711' : 'OPS-4711';
    const failure = await failureOf(
      tickets.commentTicket({ key, incidentId: INCIDENT, commentKey: 'k', bodyMarkdown: 'b' }),
    );
    expect(failure).toMatchObject({ type: 'NotFound', message: expect.stringContaining(key) });
  });
});

describe('where no ticket system is configured', () => {
  it('refuses, and says what to set', async () => {
    const none = createTicketActivities(undefined);
    expect(await failureOf(none.openTicket(OPENED))).toMatchObject({
      type: 'Refused',
      message: 'no ticket system is configured: set tickets.github or tickets.jira',
    });
  });
});
