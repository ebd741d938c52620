import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { PagerEvent, PagerPage } from '../../domain/paging.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { pagingWorkflowId } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, shippedRunbook, unhurried, withIncident } from './harness.ts';
import { World } from './world.ts';

const MINUTE_MS = 60_000;

/** The shipped runbook's page step and nothing else, by a policy. */
async function pagingBy(policy: string): Promise<CompiledRunbook> {
  const runbook = unhurried(await shippedRunbook());
  return {
    ...runbook,
    steps: runbook.steps
      .filter(({ uses }) => uses === 'page')
      .map((step) => ({ ...step, with: { roles: [], policy } })),
  };
}

async function tell(incident: IncidentDriver, change: Partial<PagerEvent>) {
  const atMs = await incident.env.currentTimeMs();
  const event: PagerEvent = { id: 'event-1', pager: 'pagerduty', kind: 'acknowledged', atMs, ...change };
  return incident.handle.executeUpdate(messages.pagerEventUpdate, { args: [{ event }] });
}

async function acknowledge(incident: IncidentDriver, person: string, page?: PagerPage): Promise<string> {
  const actor = { person, via: 'pager' as const };
  const argument = { actor, ...(page && { page }) };
  return (await incident.handle.executeUpdate(messages.acknowledgeUpdate, { args: [argument] })).message;
}

const roles = (world: World) => world.pages.map(({ role }) => role);

describe('a step that pages by a policy', () => {
  it('has paged when its first level was reached, and the next follows when nobody acknowledges', async () => {
    const world = new World();
    world.policy = () => ({
      levels: [
        { roles: ['night'], afterMs: 5 * MINUTE_MS },
        { roles: ['lead'], afterMs: 5 * MINUTE_MS },
      ],
      repeats: 0,
    });
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const view = await incident.until('paged', ({ steps }) => steps[0]?.status === 'succeeded');
        expect(view.pages).toMatchObject([{ role: 'night', channel: 'pagerduty' }]);
        expect(view.milestones.paged).toBeDefined();
        expect(view.dedupKey).toBe('dedup');
        await incident.env.sleep('6m');
        expect(roles(world)).toEqual(['night', 'lead']);
        // Nobody has acknowledged, and nobody is left.
        const exhausted = await incident.until('exhausted', ({ humanNeeded }) => humanNeeded.length > 0);
        expect(exhausted.humanNeeded.join()).toContain('nobody acknowledges: policy by-hours');
      },
      { runbook: await pagingBy('by-hours') },
    );
  });

  it('whose pages nobody takes needs a human until somebody does', async () => {
    const world = new World();
    const activities = world.activities.bind(world);
    let away = true;
    world.activities = (signaling) => {
      const made = activities(signaling);
      return {
        ...made,
        sendPage: async (input) => {
          if (away)
            throw ApplicationFailure.create({
              type: 'Unavailable',
              message: 'no channel accepted',
              nextRetryDelay: MINUTE_MS,
            });
          return made.sendPage(input);
        },
      };
    };
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const view = await incident.until('undelivered', ({ undelivered = [] }) => undelivered.length > 0);
        expect(view.undelivered).toMatchObject([{ role: 'night' }]);
        expect(view.humanNeeded).toEqual(['nobody could page night']);
        expect(view.state).toBe('needs-human');
        expect(view.timeline.map(({ text }) => text).join('\n')).toContain('No channel has accepted so far');
        away = false;
        const taken = await incident.until('taken', ({ undelivered = [] }) => undelivered.length === 0);
        expect(taken.humanNeeded).toEqual([]);
        expect(taken.pages.map(({ role }) => role)).toContain('night');
      },
      { runbook: await pagingBy('night') },
    );
  });

  it('waits for nobody any more once somebody has acknowledged', async () => {
    const world = new World();
    const activities = world.activities.bind(world);
    world.activities = (signaling) => ({
      ...activities(signaling),
      sendPage: async () => {
        throw ApplicationFailure.create({
          type: 'Unavailable',
          message: 'no channel accepted',
          nextRetryDelay: MINUTE_MS,
        });
      },
    });
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        await incident.until('undelivered', ({ undelivered = [] }) => undelivered.length > 0);
        await acknowledge(incident, 'mara');
        const view = await incident.until('given up', ({ steps }) => steps[0]?.status === 'succeeded');
        expect([view.humanNeeded, view.undelivered]).toEqual([[], []]);
        expect(view.timeline.map(({ text }) => text)).toContain(
          'A page that nobody has taken is given up: somebody has acknowledged',
        );
      },
      { runbook: await pagingBy('night') },
    );
  });

  it('says so when there is no such policy', async () => {
    const world = new World();
    world.policy = () => {
      throw ApplicationFailure.nonRetryable('configure levels under paging.policies.gone', 'InvalidInput');
    };
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const view = await incident.until('told', ({ humanNeeded }) => humanNeeded.length > 0);
        expect(view.humanNeeded).toEqual(['nobody could page policy gone']);
        expect(view.undelivered).toMatchObject([{ role: 'policy gone' }]);
      },
      { runbook: await pagingBy('gone') },
    );
  });
});

describe('what happens in the pager', () => {
  async function paged(test: (incident: IncidentDriver, world: World) => Promise<void>) {
    const world = new World();
    world.policy = () => ({ levels: [{ roles: ['night'], afterMs: 5 * MINUTE_MS }], repeats: 20 });
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        await incident.until('paged', ({ pages }) => pages.length > 0);
        await test(incident, world);
      },
      { runbook: await pagingBy('night') },
    );
  }

  it('stops the escalation, and nothing else, by somebody who is not joined', async () => {
    await paged(async (incident, world) => {
      await tell(incident, { by: 'PagerDuty: Eve', notJoined: 'nobody has this e-mail' });
      await incident.env.sleep('1h');
      expect(roles(world)).toEqual(['night']);
      const view = await incident.view();
      expect(view.acknowledgedBy).toBeUndefined();
      expect(view.milestones.acknowledged).toBeUndefined();
      const told = view.timeline.find(({ text }) => text.startsWith('Acknowledged at the pager'));
      expect(told?.data).toMatchObject({ by: 'PagerDuty: Eve', notJoined: 'nobody has this e-mail' });
    });
  });

  it('arms it again when an acknowledgement lapses, once however often that is told', async () => {
    await paged(async (incident, world) => {
      const actor = { person: 'mara', via: 'pager' as const };
      await incident.handle.executeUpdate(messages.acknowledgeUpdate, { args: [{ actor }] });
      await incident.env.sleep('1h');
      expect(roles(world)).toEqual(['night']);
      expect((await incident.view()).acknowledgedBy).toBe('mara');
      await tell(incident, { kind: 'unacknowledged' });
      await tell(incident, { kind: 'unacknowledged' });
      await incident.env.sleep('6m');
      expect(roles(world)).toEqual(['night', 'night']);
      const view = await incident.view();
      expect(view.acknowledgedBy).toBeUndefined();
      expect(view.timeline.filter(({ text }) => text.includes('lapsed'))).toHaveLength(1);
      await incident.handle.executeUpdate(messages.acknowledgeUpdate, { args: [{ actor }] });
      await incident.env.sleep('1h');
      expect(roles(world)).toHaveLength(2);
    });
  });

  it('is stopped by whoever acknowledges after an escalation, who takes over', async () => {
    await paged(async (incident, world) => {
      expect(await acknowledge(incident, 'mara')).toBe('Acknowledged');
      const firstMs = (await incident.view()).acknowledgedAtMs ?? 0;
      await incident.env.sleep('1h');
      const actor = { person: 'mara', via: 'api' as const };
      const { message } = await incident.handle.executeUpdate(messages.escalateUpdate, { args: [{ actor }] });
      expect(message).toBe('Escalated: the commander is paged, and whoever is next');
      const called = () => roles(world).filter((role) => role === 'night').length;
      await incident.until('called', () => called() === 2);
      expect(await acknowledge(incident, 'ben')).toBe('Acknowledged: you take over from mara');
      await incident.env.sleep('1h');
      expect(called()).toBe(2);
      const view = await incident.view();
      expect(view.acknowledgedBy).toBe('ben');
      expect(view.acknowledgedAtMs).toBeGreaterThan(firstMs + 50 * MINUTE_MS);
      const texts = view.timeline.map(({ text }) => text);
      expect(texts).toContain('night paged by pagerduty (escalated)');
      expect(texts).toContain('acknowledged: takes over from mara');
    });
  });

  it('counts by when it happened there: what is told late changes nothing', async () => {
    await paged(async (incident, world) => {
      const atMs = await incident.env.currentTimeMs();
      await acknowledge(incident, 'mara', { key: 'A', atMs });
      await tell(incident, { id: 'lapsed', kind: 'unacknowledged', key: 'A', atMs: atMs + 2_000 });
      expect((await incident.view()).acknowledgedBy).toBeUndefined();
      const late = { key: 'A', atMs: atMs + 1_000 };
      await tell(incident, { id: 'late', ...late });
      expect(await acknowledge(incident, 'ben', late)).toBe('Noted: something newer is known of this page');
      expect((await incident.view()).acknowledgedBy).toBeUndefined();
      await incident.env.sleep('6m');
      expect(roles(world)).toEqual(['night', 'night']);
      await acknowledge(incident, 'ben', { key: 'A', atMs: atMs + 3_000 });
      await tell(incident, { id: 'late-lapse', kind: 'unacknowledged', key: 'A', atMs: atMs + 2_500 });
      expect((await incident.view()).acknowledgedBy).toBe('ben');
      // Given here, and told to the pager, later than the lapse that is told now.
      const lapsedMs = await incident.env.currentTimeMs();
      await incident.env.sleep('1m');
      await acknowledge(incident, 'mara');
      await tell(incident, { id: 'later-lapse', kind: 'unacknowledged', key: 'A', atMs: lapsedMs });
      expect((await incident.view()).acknowledgedBy).toBe('mara');
    });
  });

  it('is kept for each page: one that lapses leaves the acknowledgement of another', async () => {
    await paged(async (incident, world) => {
      await acknowledge(incident, 'mara', { key: 'A', atMs: await incident.env.currentTimeMs() });
      await tell(incident, { id: 'b', kind: 'unacknowledged', key: 'B' });
      expect((await incident.view()).acknowledgedBy).toBe('mara');
      await incident.env.sleep('1h');
      expect(roles(world)).toEqual(['night']);
      await tell(incident, { id: 'a', kind: 'unacknowledged', key: 'A' });
      expect((await incident.view()).acknowledgedBy).toBeUndefined();
      await incident.env.sleep('6m');
      expect(roles(world)).toEqual(['night', 'night']);
    });
  });

  it('does not resolve anything here', async () => {
    await paged(async (incident, world) => {
      await tell(incident, { kind: 'resolved', by: 'PagerDuty: Mara' });
      const view = await incident.view();
      expect(view.milestones.resolved).toBeUndefined();
      expect(view.timeline.map(({ text }) => text).join()).toContain('Resolved at the pager');
      const { status } = await incident.env.client.workflow
        .getHandle(pagingWorkflowId(view.incidentId))
        .describe();
      expect(status.name).toBe('RUNNING');
      expect(roles(world)).toEqual(['night']);
    });
  });
});
