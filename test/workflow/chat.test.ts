/** Chat is a view: whatever its vendor does, containment goes on, and people see the newest state once it is back. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { ChatActivities } from '../../activities/contract.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { addNoteUpdate } from '../../workflows/messages.ts';
import { withIncident } from './harness.ts';
import { World } from './world.ts';

const OUTAGE_MS = 3_600_000;
/** What a broken vendor may cost containment at most; besides, the server's clock moves in steps of workflow tasks. */
const MAX_SLOWDOWN = 1.2;
const TICK_MS = 1_000;

type Published = Parameters<ChatActivities['publishIncident']>[0];

const isContained = (view: IncidentView) =>
  view.milestones.contained !== undefined && view.pendingApprovals.length === 1;

function timeToContain({ milestones }: IncidentView): number {
  return (milestones.contained ?? Number.NaN) - (milestones.triggered ?? Number.NaN);
}

/** Chat that keeps what it was given; `fail` says how a call ends instead. */
function recordingChat(fail: () => Error | undefined) {
  const calls: Published[] = [];
  const shown: Published[] = [];
  const publishIncident: ChatActivities['publishIncident'] = async (input) => {
    calls.push(input);
    const error = fail();
    if (error) throw error;
    shown.push(input);
    const postedSeq = input.view.timeline.at(-1)?.seq ?? input.message?.postedSeq ?? -1;
    return { message: { channel: 'C1', ts: '1.0', postedSeq } };
  };
  return { calls, shown, publishIncident };
}

describe('while Slack is down for an hour', () => {
  it('an incident is contained as fast as ever, and its newest state is shown once Slack is back', async () => {
    const undisturbed = await withIncident(new World(), async (incident) => {
      await incident.send(incident.alert());
      return timeToContain(await incident.until('contained', isContained));
    });

    const world = new World();
    let down = true;
    const chat = recordingChat(() =>
      down ? ApplicationFailure.retryable('Slack chat.postMessage: no answer', 'Unavailable') : undefined,
    );
    world.chat = chat.publishIncident;
    await withIncident(world, async (incident) => {
      const startMs = await incident.env.currentTimeMs();
      await incident.send(incident.alert());
      const contained = await incident.until('contained', isContained);
      expect(timeToContain(contained)).toBeLessThanOrEqual(undisturbed * MAX_SLOWDOWN + TICK_MS);
      expect(world.pages.length).toBeGreaterThan(0);
      await incident.approve(incident.signed(contained, 'maria'));
      await incident.until('rolled back', (view) => view.milestones.rolledBack !== undefined);
      expect(chat.shown).toEqual([]);

      await incident.env.sleep(Math.max(0, startMs + OUTAGE_MS - (await incident.env.currentTimeMs())));
      // One call a minute, not one a second and change.
      expect(chat.calls.length).toBeGreaterThan(10);
      expect(chat.calls.length).toBeLessThan(90);

      down = false;
      await incident.env.sleep(65_000);
      const now = await incident.view();
      expect(chat.shown.length).toBeGreaterThan(0);
      expect(chat.shown[0]?.view.milestones.rolledBack).toBe(now.milestones.rolledBack);
      expect(chat.shown[0]?.view.timeline[0]?.seq).toBe(now.timeline[0]?.seq);
    });
  });
});

describe('a burst of changes', () => {
  it('becomes few publications, each with what is new since the last', async () => {
    const world = new World();
    const chat = recordingChat(() => undefined);
    world.chat = chat.publishIncident;
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('contained', isContained);
      await incident.env.sleep(10_000);
      const before = chat.shown.length;
      const notes = 60;
      for (let index = 0; index < notes; index += 1) {
        await incident.handle.executeUpdate(addNoteUpdate, {
          args: [{ actor: { person: 'maria', via: 'cli' }, text: `note ${index}` }],
        });
      }
      await incident.env.sleep(10_000);
      const burst = chat.shown.slice(before);
      expect(burst.length).toBeLessThan(notes / 2);
      const seqs = chat.shown.flatMap(({ view }) => view.timeline.map(({ seq }) => seq));
      const all = (await incident.view()).timeline.map(({ seq }) => seq);
      // Each entry once, in order: no publication carries what is posted already.
      expect(seqs).toEqual(all);
    });
  });

  it('does not wait for what the vendor wants to be asked again about much later', async () => {
    const world = new World();
    const chat = recordingChat(() => undefined);
    world.chat = async (input) => ({ ...(await chat.publishIncident(input)), wakeAfterMs: 600_000 });
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('contained', isContained);
      await incident.env.sleep(10_000);
      await incident.handle.executeUpdate(addNoteUpdate, {
        args: [{ actor: { person: 'maria', via: 'cli' }, text: 'news' }],
      });
      await incident.env.sleep(3_000);
      const shown = chat.shown.at(-1)?.view.timeline.map(({ text }) => text);
      expect(shown).toContain('added a note');
    });
  });

  it('is looked for after a publication without an answer, and not otherwise', async () => {
    const world = new World();
    let lost = false;
    const chat = recordingChat(() => (lost ? new Error('the worker lost the answer') : undefined));
    world.chat = chat.publishIncident;
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('contained', isContained);
      await incident.env.sleep(10_000);
      expect(chat.shown.length).toBeGreaterThan(1);
      expect(chat.shown.every(({ message }) => message?.uncertain !== true)).toBe(true);
      lost = true;
      const note = (text: string) =>
        incident.handle.executeUpdate(addNoteUpdate, {
          args: [{ actor: { person: 'maria', via: 'cli' }, text }],
        });
      await note('first');
      await incident.env.sleep(2_000);
      lost = false;
      const before = chat.shown.length;
      await incident.env.sleep(30_000);
      expect(chat.shown[before]?.message).toMatchObject({ channel: 'C1', uncertain: true });
    });
  });
});
