/** What a whole incident leaves in a ticket system: one of everything, whatever answers are lost. */
import { ApplicationFailure } from '@temporalio/common';
import { afterEach, describe, expect, it } from 'vitest';
import { createGitHubTickets } from '../../activities/github/index.ts';
import { createJiraTickets } from '../../activities/jira/index.ts';
import { createTicketActivities } from '../../activities/tickets/index.ts';
import type { TicketSystem } from '../../activities/tickets/system.ts';
import { startEmulators } from '../../demo/vendors/emulators.ts';
import type { IncidentView } from '../../domain/incident.ts';
import * as messages from '../../workflows/messages.ts';
import { type Seen, startFaultProxy } from '../vendors/fault-proxy.ts';
import { startFakeJira } from '../vendors/jira/server.ts';
import { type IncidentDriver, shippedRunbook, withIncident } from './harness.ts';
import { World } from './world.ts';

/** The world with real ticket activities. */
class TicketWorld extends World {
  readonly system: TicketSystem;
  constructor(system: TicketSystem) {
    super();
    this.system = system;
  }

  override activities(signalTarget: Parameters<World['activities']>[0]) {
    return {
      ...super.activities(signalTarget),
      ...createTicketActivities({
        system: this.system,
        onResolved: 'close',
        assigneeOf: () => undefined,
        records: {
          postmortem: async (incidentId) => ({
            incidentId,
            markdown: `# Postmortem of ${incidentId}`,
            sha256: 'x',
            draft: false,
            atMs: 0,
          }),
        },
      }),
    };
  }
}

/** The first update meets a rate limit of an hour. */
class LimitedWorld extends World {
  limited = 0;

  override activities(signalTarget: Parameters<World['activities']>[0]) {
    const world = this;
    const activities = super.activities(signalTarget);
    return {
      ...activities,
      async updateTicket(input: Parameters<typeof activities.updateTicket>[0]) {
        if (world.limited > 0) return activities.updateTicket(input);
        world.limited++;
        throw ApplicationFailure.create({ type: 'RateLimited', message: 'limited', nextRetryDelay: HOUR_MS });
      },
    };
  }
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function jiraSystem() {
  const jira = await startFakeJira();
  closing.push(() => jira.close());
  const { url, email, apiToken, project } = jira;
  const names = { issueType: 'Task', actionItemType: 'Task', linkType: 'Relates' };
  return { jira, system: createJiraTickets({ url, email, apiToken, project, ...names }) };
}

const waitsForApproval = (view: IncidentView) => view.pendingApprovals.length === 1;
const hasTicket = ({ steps }: IncidentView) =>
  steps.some(({ uses, outputs }) => uses === 'ticket' && outputs?.key !== undefined);
const isClosed = (view: IncidentView) => view.state === 'closed';
const ticketTold = ({ timeline }: IncidentView) =>
  timeline.some(({ text }) => text.startsWith('The ticket has the outcome'));

describe('an incident that recovers', () => {
  it('leaves verdict, action items, outcome and postmortem in Jira, and closes the ticket', async () => {
    const { jira, system } = await jiraSystem();
    const world = new TicketWorld(system);
    world.verdicts = ['recovered'];
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      await incident.send({ ...alert, status: 'resolved' });
      const view = await incident.until('the ticket told', ticketTold);

      const [ticket, ...items] = jira.issues;
      expect(items.map(({ summary }) => summary).toSorted()).toEqual(
        view.actionItems.map(({ title }) => title).toSorted(),
      );
      expect(items.length).toBeGreaterThan(2);
      expect(ticket?.links).toHaveLength(items.length);
      expect(ticket?.labels).toContain('firebreak-state-closed');
      expect(ticket?.status.category).toBe('done');
      const comments = ticket?.comments.map(({ body }) => JSON.stringify(body)) ?? [];
      expect(comments.filter((text) => text.includes(', verification-recovered-'))).toHaveLength(1);
      const outcome = comments.find((text) => text.includes(', outcome"'));
      for (const { key } of items) expect(outcome).toContain(`/browse/${key}`);
      expect(comments.filter((text) => text.includes('Postmortem of'))).toHaveLength(1);
      expect(ticket?.attachments.map(({ filename }) => filename)).toContain(
        `postmortem-${view.incidentId}.md`,
      );
    });
  });
});

describe('a false positive', () => {
  it('has the item to tune the classifier filed, once, though every first answer is lost', async () => {
    const emulators = await startEmulators();
    closing.push(() => emulators.close());
    const { apiUrl, token, owner, repo } = emulators.github;
    const proxy = await startFaultProxy(apiUrl);
    closing.push(() => proxy.close());
    const lost = new Set<string>();
    proxy.plan(({ method, path }: Seen) => {
      const what = `${method} ${path}`;
      if (method === 'GET' || lost.has(what)) return undefined;
      lost.add(what);
      return { kind: 'lost-answer' };
    });
    const world = new TicketWorld(createGitHubTickets({ apiUrl: proxy.url, token, owner, repo }));
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      await incident.handle.executeUpdate(messages.markFalsePositiveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'all of them are harmless' }],
      });
      const view = await incident.until('the ticket told', ticketTold);
      const issues = await emulators.github.issues();
      const titles = issues.map(({ title }) => title);
      expect(titles.filter((title) => title.startsWith('Tune the harm classifier'))).toHaveLength(1);
      expect(titles).toHaveLength(1 + view.actionItems.length);
      const ticket = issues.find(({ labels }) => labels.includes('firebreak-ticket'));
      expect(ticket?.comments.filter((text) => text.includes('comment=outcome'))).toHaveLength(1);
      expect(lost.size).toBeGreaterThan(3);
    });
  });
});

describe('an incident that is followed by another while its ticket cannot be written', () => {
  it('has its last words all the same, in its own ticket', async () => {
    const jira = await startFakeJira();
    const proxy = await startFaultProxy(jira.url);
    closing.push(
      () => jira.close(),
      () => proxy.close(),
    );
    const { email, apiToken, project } = jira;
    const names = { issueType: 'Task', actionItemType: 'Task', linkType: 'Relates' };
    const world = new TicketWorld(createJiraTickets({ url: proxy.url, email, apiToken, project, ...names }));
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const first = await incident.until('waiting', waitsForApproval);
      await incident.until('its ticket', () => jira.issues.length === 1);
      proxy.plan(({ method }) => (method === 'GET' ? undefined : { kind: 'answer', status: 503 }));
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'by hand' }],
      });
      await incident.until('closed', isClosed);
      await incident.send(incident.alert());
      await incident.until('a linked incident', (view) => view.incidentId !== first.incidentId);
      proxy.plan(undefined);
      const [ticket] = jira.issues;
      const comments = () => ticket?.comments.map(({ body }) => JSON.stringify(body)).join() ?? '';
      await incident.until('the last words', () => comments().includes('Postmortem of'));
      expect(comments()).toContain(`Firebreak, ${first.incidentId}, outcome`);
      expect(ticket?.labels).toContain(`firebreak-${first.incidentId}`);
    });
  });
});

describe('a ticket that could not be opened before the incident was resolved', () => {
  it('is opened all the same, with the outcome', async () => {
    const jira = await startFakeJira();
    const proxy = await startFaultProxy(jira.url);
    closing.push(
      () => jira.close(),
      () => proxy.close(),
    );
    const { email, apiToken, project } = jira;
    const names = { issueType: 'Task', actionItemType: 'Task', linkType: 'Relates' };
    const world = new TicketWorld(createJiraTickets({ url: proxy.url, email, apiToken, project, ...names }));
    proxy.plan(() => ({ kind: 'answer', status: 503 }));
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      await incident.until('asked for a ticket', () => proxy.seen.length > 0);
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'by hand' }],
      });
      await incident.until('closed', isClosed);
      expect(jira.issues).toHaveLength(0);
      proxy.plan(undefined);
      await incident.until('the ticket told', ticketTold);
      const tickets = jira.issues.filter(({ labels }) => labels.includes('firebreak-ticket'));
      expect(tickets).toHaveLength(1);
      expect(JSON.stringify(tickets[0]?.comments)).toContain(', outcome');
    });
  });
});

const HOUR_MS = 3_600_000;
const byHand = { actor: { person: 'kim', via: 'api' as const }, reason: 'by hand' };
const GIVEN_UP = 'The outcome could not be added to the ticket';
const STALE = 'The ticket cannot be kept up to date; it is tried again';

/** Of the scripted world: a ticket is opened, and then the incident is resolved by hand in the given weather. */
async function resolveIn(incident: IncidentDriver, weather: () => void): Promise<IncidentView> {
  await incident.send(incident.alert());
  await incident.until('waiting', waitsForApproval);
  await incident.until('its ticket', hasTicket);
  weather();
  await incident.handle.executeUpdate(messages.resolveUpdate, { args: [byHand] });
  return incident.view();
}

function expectTheEndOnce(world: World): void {
  const ends = world.comments.filter((key) => key === 'outcome' || key === 'postmortem');
  expect(ends.toSorted()).toEqual(['outcome', 'postmortem']);
  expect(world.filed.toSorted()).toEqual(world.actionItems.map(({ id }) => id).toSorted());
  expect(world.filed.length).toBeGreaterThan(0);
  expect(world.ticketStates.at(-1)).toBe('closed');
}

describe('a ticket system that is away when the incident ends', () => {
  it('has all of the end, once, after two hours', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await resolveIn(incident, () => {
        world.commentProblem = 'away';
      });
      await incident.until('closed', isClosed);
      await incident.env.sleep(2 * HOUR_MS);
      expect(world.filed).toEqual([]);
      world.commentProblem = undefined;
      await incident.until('the ticket told', ticketTold);
      expectTheEndOnce(world);
      await incident.handle.result();
    });
  });

  it('is given up after hours, which the timeline and the record say', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await resolveIn(incident, () => {
        world.commentProblem = 'away for good';
      });
      const given = ({ timeline }: IncidentView) => timeline.some(({ text }) => text === GIVEN_UP);
      const view = await incident.until('given up', given, 12 * HOUR_MS);
      const problem = String(view.timeline.find(({ text }) => text === GIVEN_UP)?.data?.problem);
      for (const part of ['action item', 'the outcome', 'the postmortem', 'the last status'])
        expect(problem).toContain(part);
      expect(problem).toContain('away for good');
      await incident.handle.result();
      expect([...world.recorded.values()]).toContain(GIVEN_UP);
    });
  });

  it('keeps no alert from being looked at: what still fires after the quiet time opens a linked incident', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      const first = await incident.until('waiting', waitsForApproval);
      await incident.until('its ticket', hasTicket);
      world.commentProblem = 'away';
      await incident.handle.executeUpdate(messages.resolveUpdate, { args: [byHand] });
      await incident.until('closed', isClosed);
      const { quietForMs } = await shippedRunbook();
      await incident.env.sleep(quietForMs + 60_000);
      await incident.send(alert);
      const next = await incident.until('a linked incident', (view) => view.incidentId !== first.incidentId);
      expect(next.predecessorId).toBe(first.incidentId);
      await incident.handle.executeUpdate(messages.resolveUpdate, { args: [byHand] });
      await incident.until('closed', isClosed);
      await incident.send(incident.alert());
      await incident.until(
        'a third',
        (view) => ![first.incidentId, next.incidentId].includes(view.incidentId),
      );
      world.commentProblem = undefined;
      const outcomes = () => world.comments.filter((key) => key === 'outcome').length;
      await incident.until('the last words of the first two', () => outcomes() === 2, 4 * HOUR_MS);
    });
  });
});

describe('records that are down for longer than the quiet time', () => {
  it('keep the ticket from no last words', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await resolveIn(incident, () => {
        world.recordsProblem = 'the disk is full';
      });
      await incident.env.sleep((await shippedRunbook()).quietForMs + HOUR_MS);
      expect((await incident.view()).state).toBe('resolved');
      world.recordsProblem = undefined;
      await incident.handle.result();
      expectTheEndOnce(world);
      expect(ticketTold(await incident.view())).toBe(true);
    });
  });
});

describe('an update that waits as long as a rate limit asks', () => {
  it('does not keep the last words waiting', async () => {
    const world = new LimitedWorld();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      await incident.until('limited', () => world.limited > 0);
      await incident.handle.executeUpdate(messages.resolveUpdate, { args: [byHand] });
      await incident.until('the ticket told', ticketTold, 10 * 60_000);
      expectTheEndOnce(world);
      expect(world.limited).toBe(1);
    });
  });
});

describe('a ticket that cannot be kept up to date', () => {
  it('says so once, and follows by itself when it can', async () => {
    const world = new World();
    world.verdicts = ['recovered'];
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      await incident.until('its ticket', () => world.ticketStates.length > 0);
      world.commentProblem = 'away';
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      await incident.env.sleep(3 * HOUR_MS);
      const before = await incident.view();
      expect(before.timeline.filter(({ text }) => text === STALE)).toHaveLength(1);
      expect(world.ticketStates).not.toContain('mitigated');
      world.commentProblem = undefined;
      await incident.env.sleep(HOUR_MS / 2);
      expect(world.ticketStates.at(-1)).toBe('mitigated');
      expect(world.comments.filter((key) => key.startsWith('verification-'))).toHaveLength(1);
      const texts = (await incident.view()).timeline.map(({ text }) => text);
      expect(texts).toContain('The ticket is kept up to date again');
    });
  });
});

describe('a ticket system that is away', () => {
  it('keeps nothing from being contained, rolled back and closed', async () => {
    const { jira, system } = await jiraSystem();
    const world = new TicketWorld(system);
    world.verdicts = ['recovered'];
    await jira.close();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      const restored = await incident.until('restored', (view) => view.milestones.restored !== undefined);
      expect(restored.milestones.contained).toBeDefined();
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'proved' }],
      });
      await incident.until('closed', isClosed);
      expect(world.rollouts).toBe(1);
    });
  });
});
