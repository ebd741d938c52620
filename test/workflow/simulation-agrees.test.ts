/**
 * The simulation's own part (timers, retries, children, messages) stands in for the server's. Here the same world and the
 * same people meet the same workflows on both, and the incident must come out the same.
 */
import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../../domain/incident.ts';
import { createSimulation, type Simulation } from '../../simulation/runtime/index.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { targetWorkflowId } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { shippedRunbook, unhurried, withIncident } from './harness.ts';
import { TARGET, World } from './world.ts';

interface Story {
  name: string;
  world: (world: World) => void;
  /** What is decided on the approval that is asked for. */
  decision: 'approve' | 'reject';
  /** The incident has come this far. */
  until: (view: IncidentView) => boolean;
}

const STORIES: Story[] = [
  {
    name: 'recovered and closed',
    world: () => undefined,
    decision: 'approve',
    until: (view) => view.state === 'closed',
  },
  { name: 'rejected', world: () => undefined, decision: 'reject', until: allEnded },
  {
    name: 'not recovered',
    world: (world) => {
      world.verdicts = ['undecided', 'not-recovered'];
    },
    decision: 'approve',
    until: (view) => allEnded(view) && view.timeline.some(({ text }) => text.startsWith('commander paged')),
  },
  {
    name: 'a ticket system that refuses',
    world: (world) => {
      world.ticketProblem = 'no rights';
    },
    decision: 'approve',
    until: (view) => view.milestones.mitigated !== undefined && allEnded(view),
  },
];

function allEnded(view: IncidentView): boolean {
  return view.steps.every((step) => step.endedAtMs !== undefined);
}

/** What must be the same; side by side, steps may end in another order, and seconds differ. */
function essenceOf(view: IncidentView, world: World) {
  return {
    state: view.state,
    outcome: view.outcome,
    severity: view.severity,
    steps: view.steps.map(({ id, status, reason }) => [id, status, reason]),
    milestones: Object.keys(view.milestones).sort(),
    humanNeeded: view.humanNeeded,
    breakers: world.breakers.map(({ state, share }) => [state, share]),
    pages: world.pages.map(({ role }) => role).sort(),
    rollouts: world.rollouts,
    timeline: view.timeline
      .map(({ kind, text }) => `${kind} ${text.replace(/after \d+ s/g, 'after some time')}`)
      .sort(),
  };
}

async function onServer(story: Story) {
  const world = new World();
  story.world(world);
  return withIncident(world, async (incident) => {
    const alert = incident.alert({ fingerprint: 'f' });
    await incident.send(alert);
    const waiting = await incident.until(
      'waiting',
      (view) => view.pendingApprovals.length === 1 && isContained(view),
    );
    const signed = incident.signed(waiting, 'maria', { decision: story.decision });
    await (story.decision === 'approve' ? incident.approve(signed) : incident.reject(signed));
    await incident.until('decided', (view) => view.milestones.mitigated !== undefined || allEnded(view));
    await incident.send({ ...alert, status: 'resolved' });
    return essenceOf(await incident.until(story.name, story.until), world);
  });
}

function isContained(view: IncidentView): boolean {
  return view.milestones.contained !== undefined;
}

async function inSimulation(story: Story) {
  const world = new World();
  story.world(world);
  const bundlePath = await workflowBundle();
  const startMs = Date.parse('2026-01-01T00:00:00Z');
  const activities = world.activities({
    async commandTarget({ target, command }) {
      sim.signalWithStart({
        workflowType: messages.TARGET_WORKFLOW,
        workflowId: targetWorkflowId(target),
        args: [{ target }],
        signal: messages.targetCommandSignal.name,
        signalArgs: [command],
      });
    },
  }) as unknown as Record<string, (input: unknown) => Promise<unknown>>;
  const sim: Simulation = await createSimulation({
    bundlePath,
    startMs,
    activities: async ({ type, input }) => ({ result: await activities[type]?.(input) }),
  });
  const workflowId = 'incident-0123456789ab';
  const describeIt = async () => (await sim.query(workflowId, messages.describeQuery.name)) as IncidentView;
  const until = async (wanted: (view: IncidentView) => boolean) => {
    const ended = await sim.run({
      untilMs: sim.nowMs + 86_400_000,
      done: async () => wanted(await describeIt()),
    });
    expect(ended).toBe('done');
    return describeIt();
  };
  const send = (status: 'firing' | 'resolved') =>
    sim.signalWithStart({
      workflowType: messages.INCIDENT_WORKFLOW,
      workflowId,
      args: [{ runbook, correlation: {}, target: { ok: true, target: TARGET }, mode: 'approve' }],
      signal: messages.alertsReceivedSignal.name,
      signalArgs: [
        {
          groupKey: 'group',
          dedupKey: 'dedup',
          receivedAtMs: sim.nowMs,
          truncatedAlerts: 0,
          externalUrl: '',
          alerts: [
            {
              status,
              labels: { alertname: 'AiHarmfulOutputRateHigh', namespace: 'ai', deployment: 'llm-api' },
              annotations: { summary: 'harm' },
              startsAt: '2026-01-01T00:00:00Z',
              endsAt: '0001-01-01T00:00:00Z',
              generatorURL: '',
              fingerprint: 'f',
            },
          ],
        },
      ],
    });
  const runbook = unhurried(await shippedRunbook());
  try {
    send('firing');
    const waiting = await until((view) => view.pendingApprovals.length === 1 && isContained(view));
    const [pending] = waiting.pendingApprovals;
    sim.at(sim.nowMs, async () => {
      await sim.update(workflowId, story.decision, [
        {
          actor: { person: 'maria', via: 'api' },
          signed: {
            decision: {
              decision: story.decision,
              incidentId: waiting.incidentId,
              step: pending?.step,
              planHash: pending?.planHash,
              person: 'maria',
              groups: ['ml-oncall'],
              issuedAtMs: 0,
              expiresAtMs: Number.MAX_SAFE_INTEGER,
              accessVersion: 'v',
              via: 'api',
            },
            keyId: 'k',
            signature: 's',
          },
        },
      ]);
    });
    await until((view) => view.milestones.mitigated !== undefined || allEnded(view));
    send('resolved');
    return essenceOf(await until(story.until), world);
  } finally {
    await sim.dispose();
  }
}

describe('the simulation and the Temporal server', () => {
  it.each(STORIES)('agree on an incident that is $name', async (story) => {
    expect(await inSimulation(story)).toEqual(await onServer(story));
  });
});
