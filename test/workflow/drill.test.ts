/** Drills: people are really paged and asked, and nothing is changed unless it was asked for. */
import { describe, expect, it } from 'vitest';
import { type Drill, drillOf } from '../../domain/drill.ts';
import { reportDrill } from '../../domain/drill-report.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { targetWorkflowId } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, withIncident } from './harness.ts';
import { TARGET, World } from './world.ts';

const KIM = { person: 'kim', via: 'api' } as const;
const QUARTER_HOUR_MS = 15 * 60_000;
const drill = (change: Partial<Drill> = {}): { change: { drill: Drill } } => ({
  change: { drill: { by: 'kim', divert: false, forMs: QUARTER_HOUR_MS, ...change } },
});
const waitsForApproval = (view: IncidentView) => view.pendingApprovals.length === 1;
const isOver = ({ state }: IncidentView) => state === 'closed';
const acknowledge = (incident: IncidentDriver) =>
  incident.handle.executeUpdate(messages.acknowledgeUpdate, { args: [{ actor: KIM }] });

describe('a drill', () => {
  it('pages and asks people, tries the fallback, and changes nothing', async () => {
    const world = new World();
    // Nothing is wrong: no condition of the runbook would hold.
    world.harmRate = 0;
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const asking = await incident.until('asking', waitsForApproval);
        expect(asking.title).toMatch(/^DRILL: /);
        await incident.approve(incident.signed(asking, 'maria'));
        const view = await incident.until('over', isOver);
        expect(view).toMatchObject({ outcome: 'drill', actionItems: [] });
        expect(world.pages.length).toBeGreaterThan(0);
        expect(world.breakers).toEqual([]);
        expect(world.rollouts).toBe(0);
        expect(world.tickets).toBe(0);
        const would = view.steps.filter(({ status }) => status === 'would-have').map(({ id }) => id);
        expect(would).toEqual(
          expect.arrayContaining(['divert', 'ticket', 'sample', 'rollback', 'verify', 'restore']),
        );
        expect(view.steps.find(({ id }) => id === 'divert')?.reason).toContain(
          'llm-fallback could take the traffic',
        );
        expect(reportDrill(view).filter(({ ok }) => !ok)).toEqual([]);
      },
      drill(),
    );
  });

  it('does not hold the target, not even for the plan that people are shown', async () => {
    const world = new World();
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        await incident.until('asking', waitsForApproval);
        const actor = incident.env.client.workflow.getHandle(targetWorkflowId(TARGET));
        // Planning has woken it; it may be gone again, having nothing to do.
        const known = await actor.query(messages.describeTargetQuery);
        expect(known.holders).toEqual([]);
      },
      drill(),
    );
  });

  it('finds a fallback that could not serve', async () => {
    const world = new World();
    world.fallbackProblems = ['llm-fallback has no ready pod'];
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const view = await incident.until('found', ({ steps }) =>
          steps.some(({ status }) => status === 'failed'),
        );
        expect(view.steps.find(({ id }) => id === 'divert')).toMatchObject({
          status: 'failed',
          reason: expect.stringContaining('no ready pod'),
        });
        expect(reportDrill(view)).toContainEqual(expect.objectContaining({ what: 'step divert', ok: false }));
      },
      drill(),
    );
  });

  it('ends by itself when nobody answers, and says so', async () => {
    const world = new World();
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const view = await incident.until('over', isOver);
        const tookMs = (view.milestones.resolved ?? 0) - (view.milestones.triggered ?? 0);
        expect(tookMs).toBeGreaterThanOrEqual(QUARTER_HOUR_MS);
        expect(reportDrill(view)).toContainEqual(
          expect.objectContaining({
            what: 'acknowledged',
            ok: false,
            detail: 'nobody acknowledged: who was on call?',
          }),
        );
      },
      drill(),
    );
  });

  it('is no success where people were asked and nobody decided, whoever acknowledged', async () => {
    const world = new World();
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        await incident.until('asking', waitsForApproval);
        await acknowledge(incident);
        const view = await incident.until('over', isOver);
        expect(reportDrill(view)).toContainEqual({
          what: 'step rollback',
          ok: false,
          detail: 'people were asked, and nobody decided',
        });
      },
      drill(),
    );
  });

  it('leaves a breaker open that was open for something else, and has people called', async () => {
    const world = new World();
    await withIncident(
      world,
      async (incident) => {
        await incident.env.client.workflow.signalWithStart(messages.TARGET_WORKFLOW, {
          workflowId: targetWorkflowId(TARGET),
          taskQueue: 'firebreak',
          args: [{ target: TARGET }],
          signal: messages.targetCommandSignal,
          signalArgs: [
            {
              id: 'real',
              target: TARGET,
              incidentId: 'inc-real',
              action: { kind: 'divert', fallback: 'llm-fallback', reason: 'harm' },
            },
          ],
        });
        await incident.until('really diverted', () => world.breakers.length === 1).catch(() => undefined);
        await incident.send(incident.alert());
        const asking = await incident.until('asking', waitsForApproval);
        await incident.approve(incident.signed(asking, 'maria'));
        await incident.until('over', isOver);
        expect(world.breakers.map(({ state }) => state)).toEqual(['open']);
        expect(world.raised).toMatchObject([{ alertname: 'FirebreakBreakerNeedsHuman' }]);
      },
      drill({ divert: true }),
    );
  });

  it('diverts where it was asked for, and gives the traffic back at its end', async () => {
    const world = new World();
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const asking = await incident.until(
          'asking',
          (view) => waitsForApproval(view) && view.breaker?.share === 0,
        );
        await acknowledge(incident);
        await incident.approve(incident.signed(asking, 'maria'));
        const view = await incident.until('over', isOver);
        expect(world.breakers.map(({ state }) => state)).toEqual(['open', 'closed']);
        expect(world.rollouts).toBe(0);
        expect(reportDrill(view).filter(({ ok }) => !ok)).toEqual([]);
      },
      drill({ divert: true }),
    );
  });
});

describe('the label of a drill', () => {
  it.each([
    [{}, undefined],
    [{ firebreak_drill: '' }, undefined],
    [{ firebreak_drill: 'False' }, undefined],
    [{ firebreak_drill: 'friday' }, 'friday'],
    [{ firebreak_drill: 'true' }, 'true'],
  ])('%j', (labels, id) => {
    expect(drillOf(labels)?.id).toBe(id);
    // A label can ask for less than the runbook does, never for more.
    expect(drillOf(labels)?.drill.divert ?? false).toBe(false);
  });
});
