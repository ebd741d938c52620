/** What people say beside approving: it was a false positive, help is needed, stakeholders are to be told. */
import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../../domain/incident.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, withIncident } from './harness.ts';
import { World } from './world.ts';

const KIM = { person: 'kim', via: 'api' } as const;
const MINUTE_MS = 60_000;

const waitsForApproval = (view: IncidentView) => view.pendingApprovals.length === 1;
const shares = (world: World) => world.breakers.map(({ state, share }) => `${state} ${share}`);
const texts = (view: IncidentView) => view.timeline.map(({ text }) => text);

function falsePositive(incident: IncidentDriver): Promise<messages.Answer> {
  return incident.handle.executeUpdate(messages.markFalsePositiveUpdate, {
    args: [{ actor: KIM, reason: 'the classifier was wrong' }],
  });
}

describe('a false positive', () => {
  it('closes the breaker, rolls nothing back, and files the tuning of the classifier', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until(
        'diverted and asking',
        (view) => waitsForApproval(view) && view.breaker?.share === 0,
      );
      const { message } = await falsePositive(incident);
      expect(message).toContain('traffic goes back');
      const view = await incident.until('closed', ({ state }) => state === 'closed');
      expect(view).toMatchObject({ outcome: 'false-positive', breaker: { state: 'closed', share: 1 } });
      expect(view.breaker?.reason).toContain('kim says');
      expect(shares(world)).toEqual(['open 0', 'closed 1']);
      expect(world.rollouts).toBe(0);
      expect(view.milestones.rolledBack).toBeUndefined();
      expect(world.actionItems.map(({ title }) => title).join('\n')).toMatch(/classifier/i);
      expect(world.actionItems.every(({ owner, due }) => owner !== '' && due !== '')).toBe(true);
    });
  });

  it('waits for the pods that an autoscaler took away, before traffic goes back', async () => {
    const world = new World();
    world.facts = { ...world.facts, replicas: 4, readyReplicas: 4 };
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('diverted', (view) => waitsForApproval(view) && view.breaker?.share === 0);
      world.facts = { ...world.facts, readyReplicas: 1 };
      await falsePositive(incident);
      await incident.until('waiting for pods', (view) =>
        texts(view).some((text) => text.includes('1 of the 4 pods')),
      );
      expect(shares(world)).toEqual(['open 0']);
      world.facts = { ...world.facts, readyReplicas: 4 };
      await incident.until(
        'closed',
        ({ state, breaker }) => state === 'closed' && breaker?.state === 'closed',
      );
    });
  });

  it('sends nothing back to what was rolled back to and never proved: somebody is called', async () => {
    const world = new World();
    world.verdicts = ['undecided'];
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      await incident.until('rolled back', ({ milestones }) => milestones.rolledBack !== undefined);
      await falsePositive(incident);
      const view = await incident.until('closed', ({ state }) => state === 'closed');
      expect(texts(view).join('\n')).toContain('Traffic stays away from the target after a false positive');
      expect(world.breakers.at(-1)?.state).toBe('open');
      // Another incident, since this one ends with its pages.
      expect(world.raised).toMatchObject([
        { alertname: 'FirebreakBreakerNeedsHuman', summary: expect.stringContaining(view.incidentId) },
      ]);
    });
  });
});

describe('people', () => {
  it('who escalate page the commander each time, also once somebody has acknowledged', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('asking', waitsForApproval);
      await incident.handle.executeUpdate(messages.acknowledgeUpdate, { args: [{ actor: KIM }] });
      const escalated = () =>
        world.pages.filter(({ role, dedupKey }) => role === 'commander' && dedupKey.includes('escalated-'));
      for (const times of [1, 2]) {
        await incident.handle.executeUpdate(messages.escalateUpdate, {
          args: [{ actor: KIM, reason: 'out of my depth' }],
        });
        await incident.until(`paged ${times} times`, () => escalated().length === times);
      }
      expect(new Set(escalated().map(({ dedupKey }) => dedupKey)).size).toBe(2);
    });
  });

  it('who update the stakeholders are reminded once when the next update is due', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('asking', waitsForApproval);
      const inform = (text: string, remindAfterMs?: number) =>
        incident.handle.executeUpdate(messages.informUpdate, {
          args: [{ actor: KIM, text, ...(remindAfterMs === undefined ? {} : { remindAfterMs }) }],
        });
      expect((await inform('we look into it', 2 * MINUTE_MS)).message).toContain('due at');
      const due = (view: IncidentView) => texts(view).filter((text) => text.includes('is due')).length;
      await incident.until('told', () => world.stakeholders.length === 1);
      expect(world.stakeholders[0]?.text).toContain('we look into it');
      await incident.until('reminded', (view) => due(view) === 1 && world.reminded.length === 1);
      expect(world.reminded[0]).toMatchObject({
        person: 'kim',
        key: expect.stringMatching(/^update-due-\d+$/),
      });
      expect(world.reminded[0]?.text).toMatch(/is due.*\/firebreak update inc-/);
      await inform('diverted; nothing is lost');
      await incident.env.sleep(10 * MINUTE_MS);
      const view = await incident.view();
      expect(due(view)).toBe(1);
      expect(view.updateDueAtMs).toBeUndefined();
      expect(view.updates?.map(({ by, text }) => `${by}: ${text}`)).toEqual([
        'kim: we look into it',
        'kim: diverted; nothing is lost',
      ]);
      expect(new Set(world.stakeholders.map(({ key }) => key)).size).toBe(2);
      expect(world.reminded).toHaveLength(1);
    });
  });

  it('who could not be reminded is on the timeline, and the next reminder comes all the same', async () => {
    const world = new World();
    world.reminderProblem = 'Slack chat.postMessage: no answer';
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('asking', waitsForApproval);
      const inform = (text: string) =>
        incident.handle.executeUpdate(messages.informUpdate, {
          args: [{ actor: KIM, text, remindAfterMs: 2 * MINUTE_MS }],
        });
      await inform('we look into it');
      await incident.until('told so', (view) => texts(view).includes('kim could not be reminded in chat'));
      world.reminderProblem = undefined;
      await inform('diverted; nothing is lost');
      await incident.until('reminded', () => world.reminded.length === 1);
    });
  });
});

describe('an incident that nobody looks at', () => {
  it('goes on calling people for hours, and can be approved after them', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('asking', waitsForApproval);
      const calls: number[] = [];
      for (let hour = 1; hour <= 3; hour++) {
        await incident.env.sleep(60 * MINUTE_MS);
        calls.push(world.pages.length);
      }
      const [first = 0, second = 0, third = 0] = calls;
      expect(second).toBeGreaterThan(first);
      expect(third).toBeGreaterThan(second);
      await incident.approve(
        incident.signed(await incident.until('still asking', waitsForApproval), 'maria'),
      );
      await incident.until('rolled back', ({ milestones }) => milestones.rolledBack !== undefined);
    });
  });
});
