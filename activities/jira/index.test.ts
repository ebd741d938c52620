import { ApplicationFailure } from '@temporalio/common';
import { afterEach, describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../test/vendors/fault-proxy.ts';
import { type FakeJira, type JiraOptions, startFakeJira } from '../../test/vendors/jira/server.ts';
import { createTicketActivities } from '../tickets/index.ts';
import { createJiraTickets } from './index.ts';

const STATUS = { severity: 'SEV1', state: 'triggered', markdown: '- State: triggered' } as const;
const OPENED = {
  incidentId: 'inc-1',
  title: '[SEV1] Harm',
  status: STATUS,
  markdown: 'What happened',
  labels: [],
};
const FILED = {
  incidentId: 'inc-1',
  itemId: 'inc-1-control-x',
  title: 'Block promotion',
  markdown: 'why',
  labels: ['lane-control'],
  due: '2026-03-15',
};

let jira: FakeJira;
afterEach(() => jira.close());

async function system(
  options: JiraOptions = {},
  change: { doneTransition?: string; linkType?: string } = {},
) {
  jira = await startFakeJira(options);
  const { url, email, apiToken, project } = jira;
  return createJiraTickets({
    url,
    email,
    apiToken,
    project,
    issueType: 'Incident',
    actionItemType: 'Task',
    linkType: 'Relates',
    ...change,
  });
}

async function failureOf(work: Promise<unknown>): Promise<ApplicationFailure> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApplicationFailure)) throw new Error(`expected an ApplicationFailure, got ${error}`);
  return error;
}

describe('the search that lags behind', () => {
  it('finds the ticket once it has caught up, which is what the pause after a lost answer is for', async () => {
    const tickets = await system({ indexesAtOnce: false });
    const { key } = await tickets.open(OPENED);
    jira.index();
    expect(await tickets.open(OPENED)).toMatchObject({ key, created: false });
    expect(jira.issues).toHaveLength(1);
  });

  it('takes the oldest of several: copies that people made have the labels as well', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const [issue] = jira.issues;
    if (issue) jira.issues.push({ ...structuredClone(issue), id: '99', key: 'OPS-99' });
    expect(await tickets.open(OPENED)).toMatchObject({ key, created: false });
  });
});

describe('somebody who writes our labels on an issue of theirs', () => {
  it('keeps neither the ticket nor an action item away', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const item = await tickets.file({ ...FILED, key, assignee: undefined });
    const theirs = jira.issues.map((issue, at) => ({
      ...structuredClone(issue),
      id: String(at + 1),
      key: `OPS-${90 + at}`,
      creator: 'somebody',
    }));
    jira.issues.unshift(...theirs);
    expect(await tickets.open(OPENED)).toMatchObject({ key, created: false });
    jira.issues.splice(theirs.length);
    expect((await tickets.open(OPENED)).created).toBe(true);
    expect(await tickets.file({ ...FILED, key, assignee: undefined })).toMatchObject({ created: true });
    expect(item.created).toBe(true);
  });
});

function activities(onResolved: 'close' | 'leave', on: Awaited<ReturnType<typeof system>>) {
  return createTicketActivities({
    system: on,
    onResolved,
    assigneeOf: () => undefined,
    records: { postmortem: async () => undefined },
  });
}

describe('a description that is as long as Jira allows', () => {
  const LONG = {
    ...STATUS,
    state: 'contained',
    markdown: `- State: contained\n- Waits for: ${'x'.repeat(3_000)}`,
  } as const;

  it('leaves room for the section to grow when it is ours', async () => {
    const tickets = await system();
    const facts = Array.from({ length: 3_000 }, (_, at) => `fact ${at}`).join('\n\n');
    const { key } = await tickets.open({ ...OPENED, markdown: facts });
    expect(await tickets.update({ key, status: LONG })).toEqual({ changed: true });
    expect(JSON.stringify(jira.issues[0]?.description)).toContain('State: contained');
  });

  it('keeps neither title and labels from being written nor the ticket from being closed when people wrote it', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const [issue] = jira.issues;
    const room = 32_700 - JSON.stringify(issue?.description).length;
    issue?.description?.content.push({
      type: 'paragraph',
      content: [{ type: 'text', text: 'p'.repeat(room - 70) }],
    });
    const update = () =>
      activities('close', tickets).updateTicket({
        key,
        incidentId: 'inc-1',
        status: LONG,
        outcome: 'recovered',
      });
    expect(await update()).toEqual({ changed: true, closed: true });
    expect(issue?.labels).toContain('firebreak-state-contained');
    expect(JSON.stringify(issue?.description)).toContain('State: triggered');
    expect(issue?.status.category).toBe('done');
    expect(await update()).toEqual({ changed: false, closed: false });
  });

  it('is closed where the update is refused altogether, which is told', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const proxy = await startFaultProxy(jira.url);
    try {
      proxy.plan(({ method }) => (method === 'PUT' ? { kind: 'answer', status: 400 } : undefined));
      const { email, apiToken, project } = jira;
      const names = { issueType: 'Incident', actionItemType: 'Task', linkType: 'Relates' };
      const proxied = createJiraTickets({ url: proxy.url, email, apiToken, project, ...names });
      const failure = await failureOf(
        activities('close', proxied).updateTicket({
          key,
          incidentId: 'inc-1',
          status: LONG,
          outcome: 'recovered',
        }),
      );
      expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
      expect(jira.issues[0]?.status.category).toBe('done');
    } finally {
      await proxy.close();
    }
  });
});

describe('projects that lack something', () => {
  it.each([
    ['due date and assignee', { withoutFields: ['duedate', 'assignee'] } as const],
    ['only the due date', { withoutFields: ['duedate'] } as const],
  ])('files action items without %s', async (_, options) => {
    const tickets = await system({ withoutFields: [...options.withoutFields] });
    const { key } = await tickets.open(OPENED);
    const item = await tickets.file({ ...FILED, key, assignee: jira.accountId });
    const issue = jira.issues.find((one) => one.key === item.key);
    expect(issue?.duedate).toBeUndefined();
    expect(issue?.labels).toContain('lane-control');
  });

  it('files action items of people whom Jira does not know', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    await tickets.file({ ...FILED, key, assignee: 'gone' });
    expect(jira.issues[1]).toMatchObject({ assignee: undefined, duedate: '2026-03-15' });
  });

  it('opens nothing where labels cannot be set, since it would not be found again', async () => {
    const tickets = await system({ withoutFields: ['labels'] });
    expect(await failureOf(tickets.open(OPENED))).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('field Labels cannot be set'),
    });
    expect(jira.issues).toHaveLength(0);
  });

  it('names the fields that were refused, and nothing else of the answer', async () => {
    const tickets = await system();
    const failure = await failureOf(
      createJiraTickets({
        url: jira.url,
        email: jira.email,
        apiToken: jira.apiToken,
        project: 'NOPE',
        issueType: 'Unheard',
        actionItemType: 'Task',
        linkType: 'Relates',
      }).open(OPENED),
    );
    expect(failure).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('project, issuetype'),
    });
    expect(failure.message).not.toContain('valid');
    expect(tickets.name).toBe('Jira');
  });
});

it.each(['12', 'OPS-1/../OPS-2', 'ops-1', ''])(
  'addresses no issue by %j, which another system gave',
  async (key) => {
    const tickets = await system();
    await tickets.open(OPENED);
    for (const work of [
      () => tickets.update({ key, status: STATUS }),
      () => tickets.close({ key, done: true }),
      () =>
        tickets.comment({ key, incidentId: 'inc-1', commentKey: 'k', markdown: 'x', rest: '', files: [] }),
    ]) {
      expect(await failureOf(work())).toMatchObject({
        type: 'InvalidInput',
        message: expect.stringContaining('another ticket system'),
      });
    }
  },
);

describe('links', () => {
  it('links an action item to the ticket once', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const file = () => tickets.file({ ...FILED, key, assignee: undefined });
    await file();
    await file();
    expect(jira.issues[0]?.links).toEqual([{ type: 'Relates', to: 'OPS-2', as: 'outwardIssue' }]);
  });

  it.each([
    [{ links: false }, 'Relates'],
    [{}, 'Unheard of'],
  ])('does without where there is no such link', async (options, linkType) => {
    const tickets = await system(options, { linkType });
    const { key } = await tickets.open(OPENED);
    expect(await tickets.file({ ...FILED, key, assignee: undefined })).toMatchObject({ created: true });
    expect(JSON.stringify(jira.issues[1]?.description)).toContain(`/browse/${key}`);
  });
});

describe('comments', () => {
  it('are not kept away by somebody who writes the same last line', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const comment = () =>
      tickets.comment({
        key,
        incidentId: 'inc-1',
        commentKey: 'outcome',
        markdown: 'done',
        rest: '',
        files: [],
      });
    const text = 'Firebreak, inc-1, outcome';
    jira.commentAs('somebody', key, {
      version: 1,
      type: 'doc',
      content: [{ type: 'paragraph', content: [{ type: 'text', text }] }],
    });
    await comment();
    await comment();
    expect(jira.issues[0]?.comments).toHaveLength(2);
  });

  it('are found behind two hundred others', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    const comment = () =>
      tickets.comment({
        key,
        incidentId: 'inc-1',
        commentKey: 'outcome',
        markdown: 'done',
        rest: '',
        files: [],
      });
    await comment();
    const chatter = [{ type: 'paragraph', content: [{ type: 'text', text: 'chatter' }] }];
    for (let index = 0; index < 250; index += 1) {
      jira.commentAs('somebody', key, { version: 1, type: 'doc', content: chatter });
    }
    await comment();
    expect(jira.issues[0]?.comments).toHaveLength(251);
  });

  const plot = {
    incidentId: 'inc-1',
    title: 'Harm',
    harmHistory: {
      stepMs: 60_000,
      startMs: Date.UTC(2026, 2, 1),
      harmful: [8, 0, 0],
      classified: [100, 0, 100],
    },
    milestones: { triggered: Date.UTC(2026, 2, 1) },
    timeline: [],
  };
  it('have their own plot attached, once', async () => {
    const tickets = await system();
    const { key } = await tickets.open(OPENED);
    for (const commentKey of ['verification-1', 'verification-2', 'verification-2']) {
      await activities('leave', tickets).commentTicket({
        key,
        incidentId: 'inc-1',
        commentKey,
        bodyMarkdown: 'numbers',
        plot,
      });
    }
    const [issue] = jira.issues;
    expect(issue?.attachments).toEqual([
      {
        filename: 'harm-inc-1-verification-1.svg',
        type: 'image/svg+xml',
        text: expect.stringContaining('<svg'),
      },
      {
        filename: 'harm-inc-1-verification-2.svg',
        type: 'image/svg+xml',
        text: expect.stringContaining('<svg'),
      },
    ]);
    const texts = issue?.comments.map(({ body }) => JSON.stringify(body)) ?? [];
    expect(texts).toHaveLength(2);
    expect(texts[1]).toContain('Attached: harm-inc-1-verification-2.svg');
    expect(JSON.stringify(issue?.comments)).toContain('firebreak incident plot inc-1');
  });

  it('do without where attachments are switched off', async () => {
    const tickets = await system({ attachments: false });
    const { key } = await tickets.open(OPENED);
    await activities('leave', tickets).commentTicket({
      key,
      incidentId: 'inc-1',
      commentKey: 'v',
      bodyMarkdown: 'numbers',
      plot,
    });
    expect(jira.issues[0]?.comments).toHaveLength(1);
    expect(JSON.stringify(jira.issues[0]?.comments)).not.toContain('Attached');
  });
});

describe('closing', () => {
  it.each([
    ['the first way to Done', {}, {}, { status: { name: 'Done' } }],
    ['the way that is configured', {}, { doneTransition: 'cancelled' }, { status: { name: 'Cancelled' } }],
    ['a resolution where one is asked for', { requiredByDone: 'resolution' }, {}, { resolution: '10000' }],
  ] as const)('goes by %s', async (_, options, change, expected) => {
    const tickets = await system(options, change);
    const { key } = await tickets.open(OPENED);
    expect(await tickets.close({ key, done: true })).toBe(true);
    expect(jira.issues[0]).toMatchObject(expected);
    expect(await tickets.close({ key, done: true })).toBe(false);
  });

  it('says of a false positive that nothing was done', async () => {
    const tickets = await system({ requiredByDone: 'resolution' });
    const { key } = await tickets.open(OPENED);
    await tickets.close({ key, done: false });
    expect(jira.issues[0]?.resolution).toBe('10001');
  });

  it.each([
    [{ requiredByDone: 'customfield_10010' }, {}, /asks for the field customfield_10010/],
    [{}, { doneTransition: 'Ship' }, /no way by the transition "Ship"/],
  ] as const)('leaves it to people where only they can', async (options, change, text) => {
    const tickets = await system(options, change);
    const { key } = await tickets.open(OPENED);
    expect(await failureOf(tickets.close({ key, done: true }))).toMatchObject({
      type: 'Refused',
      message: expect.stringMatching(text),
    });
    expect(jira.issues[0]?.status.category).toBe('new');
  });
});
