import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { PagerEvent } from '../../domain/paging.ts';
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

function tell(incident: IncidentDriver, change: Partial<PagerEvent>) {
  const event: PagerEvent = { id: 'event-1', pager: 'pagerduty', kind: 'acknowledged', atMs: 1, ...change };
  return incident.handle.executeUpdate(messages.pagerEventUpdate, { args: [{ event }] });
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
