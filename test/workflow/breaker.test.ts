import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../../domain/incident.ts';
import type { TargetCommand, WatchSpec } from '../../domain/target-command.ts';
import type { AftercareInput } from '../../workflows/aftercare/workflow.ts';
import { aftercareWorkflowId, targetWorkflowId } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, withIncident } from './harness.ts';
import { TARGET, World } from './world.ts';

const waitsForApproval = (view: IncidentView) => view.pendingApprovals.length === 1;
const shares = (world: World) => world.breakers.map(({ state, share }) => `${state} ${share}`);

const actor = (incident: IncidentDriver) => incident.env.client.workflow.getHandle(targetWorkflowId(TARGET));
const describeTarget = (incident: IncidentDriver) => actor(incident).query(messages.describeTargetQuery);

/** Wakes the actor without an incident. */
function command(incident: IncidentDriver, action: TargetCommand['action'], id = 'c1'): Promise<unknown> {
  return incident.env.client.workflow.signalWithStart(messages.TARGET_WORKFLOW, {
    workflowId: targetWorkflowId(TARGET),
    taskQueue: 'firebreak',
    args: [{ target: TARGET }],
    signal: messages.targetCommandSignal,
    signalArgs: [{ id, target: TARGET, incidentId: 'nobody', action }],
  });
}

/** Lets time pass until something is so. */
async function eventually(incident: IncidentDriver, what: string, so: () => Promise<boolean> | boolean) {
  for (let tries = 0; tries < 200; tries++) {
    if (await so()) return;
    await incident.env.sleep(10_000);
  }
  throw new Error(`never ${what}`);
}

describe('the breaker', () => {
  it('blocks all traffic and pages when the fallback is proved to harm as well', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('contained', (view) => view.breaker?.fallback === 'llm-fallback');
      world.harmLooks.set('llm-fallback', 'exceeded');
      const blocked = (view: IncidentView) => view.breaker?.fallback === undefined && waitsForApproval(view);
      const view = await incident.until('blocked', blocked);
      expect(view.breaker).toMatchObject({ state: 'open', share: 0 });
      expect(view.humanNeeded.join()).toContain('the fallback llm-fallback failed');
      await incident.until('commander paged', () => world.pages.some(({ role }) => role === 'commander'));
      await incident.approve(incident.signed(view, 'maria'));
      const restored = await incident.until('mitigated', ({ state }) => state === 'mitigated');
      expect(restored.humanNeeded).toEqual([]);
    });
  });

  it('does not divert to a fallback that is proved to harm: it blocks at once', async () => {
    const world = new World();
    world.harmLooks.set('llm-fallback', 'exceeded');
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('diverted', ({ breaker }) => breaker?.state === 'open');
      expect(view.breaker?.fallback).toBeUndefined();
      expect(view.timeline.map(({ text }) => text).join('\n')).toContain(
        'Traffic is blocked instead of diverted',
      );
    });
  });

  it('waits for ready pods before each part of the traffic that it gives back', async () => {
    const world = new World();
    world.facts = { ...world.facts, replicas: 4, readyReplicas: 4 };
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      // People may be asked before traffic is diverted, which is when the pods that it had are counted.
      const waiting = await incident.until(
        'waiting, and diverted',
        (view) => waitsForApproval(view) && view.milestones.contained !== undefined,
      );
      // An autoscaler takes pods away while there is no traffic.
      world.facts = { ...world.facts, replicas: 1, readyReplicas: 1 };
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.until('told', (view) =>
        view.timeline.some(({ text }) =>
          text.includes('1 of the 2 pods that 50% of the traffic needs are ready'),
        ),
      );
      expect(shares(world).at(-1)).toBe('half-open 0.25');
      world.facts = { ...world.facts, replicas: 4, readyReplicas: 4 };
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      expect(shares(world).at(-1)).toBe('closed 1');
    });
  });

  it('diverts again when harm comes back with the traffic', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      world.whileVerifying = () => world.harmLooks.set('llm-api', 'exceeded');
      await incident.approve(incident.signed(waiting, 'maria'));
      const view = await incident.until('needs human', ({ state }) => state === 'needs-human');
      expect(shares(world)).toEqual(['open 0', 'half-open 0.1', 'half-open 0.25', 'open 0']);
      expect(view.outcome).toBe('not-recovered');
    });
  });

  it('takes the share away by itself when nobody does who let it in', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await command(incident, { kind: 'divert', fallback: 'llm-fallback', reason: 'x' }, 'c1');
      await command(incident, { kind: 'half-open', share: 0.1, forMs: 60_000 }, 'c2');
      await eventually(incident, 'half-open', () => world.breakers.at(-1)?.state === 'half-open');
      await eventually(incident, 'open again', () => world.breakers.at(-1)?.state === 'open');
      expect(shares(world)).toEqual(['open 0', 'half-open 0.1', 'open 0']);
    });
  });

  it('takes the share away when another template is shipped while it is verified', async () => {
    const world = new World();
    world.verdicts = ['undecided'];
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.until('half-open', ({ breaker }) => breaker?.state === 'half-open');
      world.running = { ...world.running, revision: 4, templateHash: 'template-llm:v3' };
      const view = await incident.until('open again', ({ breaker }) => breaker?.state === 'open');
      expect(view.timeline.map(({ text }) => text).join('\n')).toContain('another template runs');
    });
  });

  it('adopts an open breaker that a new actor finds, and sends nothing back by itself', async () => {
    const world = new World();
    world.breakers = [
      { state: 'half-open', sinceMs: 1, reason: 'by hand', fallback: 'llm-fallback', share: 0.5 },
    ];
    world.projectedBy = 'emergency-1';
    await withIncident(world, async (incident) => {
      await command(incident, { kind: 'release' });
      await eventually(
        incident,
        'adopted',
        async () => (await describeTarget(incident)).breaker.state === 'open',
      );
      await incident.env.sleep('6 hours');
      expect(shares(world)).toEqual(['half-open 0.5', 'open 0']);
    });
  });

  it('takes over what people wrote by hand while an actor was running, and gives it back only by proof', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const nowMs = await incident.env.currentTimeMs();
      await command(incident, { kind: 'watch', spec: spec(nowMs + 86_400_000) }, 'c1');
      await eventually(incident, 'watching', async () => (await describeTarget(incident)).watching);
      world.breakers.push({
        state: 'open',
        sinceMs: nowMs,
        reason: 'by hand',
        fallback: 'llm-fallback',
        share: 0,
      });
      world.projectedBy = 'emergency-1';
      await command(incident, { kind: 'adopt' }, 'c2');
      await eventually(
        incident,
        'adopted',
        async () => (await describeTarget(incident)).breaker.state === 'open',
      );
      await incident.env.sleep('1 hour');
      expect(shares(world)).toEqual(['open 0']);
    });
  });

  it('refuses everything but containment while it is frozen', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      const by = { actor: { person: 'kim', via: 'api' as const }, reason: 'change freeze' };
      const frozen = await actor(incident).executeUpdate(messages.freezeUpdate, {
        args: [{ ...by, forMs: 4 * 3_600_000 }],
      });
      expect(frozen.message).toContain('Frozen until');
      await incident.approve(incident.signed(waiting, 'maria'));
      const refused = await incident.until('refused', ({ state }) => state === 'needs-human');
      expect(refused.timeline.map(({ text }) => text).join('\n')).toContain('frozen by kim until');
      expect(world.rollouts).toBe(0);
      expect(world.breakers.at(-1)?.state).toBe('open');
    });
  });

  const spec = (untilMs: number): WatchSpec => ({
    fallback: 'llm-fallback',
    runbook: 'ai-harm-response',
    limits: { harmRate: 0.02, minExposure: 100 },
    windowMs: 300_000,
    recoveryMs: 300_000,
    metrics: {},
    untilMs,
  });

  it('trips by itself where it is watched, raises an alert, and stays open without proof', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const nowMs = await incident.env.currentTimeMs();
      await command(incident, { kind: 'watch', spec: spec(nowMs + 86_400_000) });
      await incident.env.sleep('10 minutes');
      expect(world.breakers).toEqual([]);
      world.harmLooks.set('llm-api', 'exceeded');
      await eventually(incident, 'tripped', () => world.raised.length > 0);
      expect(world.raised).toMatchObject([
        { alertname: 'FirebreakBreakerTripped', runbook: 'ai-harm-response' },
      ]);
      expect(shares(world)).toEqual(['open 0']);
      world.harmLooks.set('llm-api', 'within');
      await incident.env.sleep('3 hours');
      expect(shares(world)).toEqual(['open 0']);
    });
  });

  it('trips nothing in observe mode, and says once in a while that it would have', async () => {
    const world = new World();
    world.facts = { ...world.facts, mode: 'observe' };
    world.harmLooks.set('llm-api', 'exceeded');
    await withIncident(world, async (incident) => {
      const nowMs = await incident.env.currentTimeMs();
      await command(incident, { kind: 'watch', spec: spec(nowMs + 86_400_000) });
      await eventually(incident, 'told', () => world.raised.length > 0);
      await incident.env.sleep('2 minutes');
      expect(world.raised.map(({ alertname }) => alertname)).toEqual(['FirebreakBreakerWouldHaveTripped']);
      expect(world.breakers).toEqual([]);
    });
  });

  it('is watched on for a day after an incident was closed', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      const waiting = await incident.until('waiting', waitsForApproval);
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      await incident.send({ ...alert, status: 'resolved' });
      const closed = await incident.until('closed', (view) => view.state === 'closed');
      const watch = incident.env.client.workflow.getHandle(aftercareWorkflowId(closed.incidentId));
      expect((await watch.describe()).type).toBe(messages.AFTERCARE_WORKFLOW);
    });
  });

  it('raises the alert of the closed incident again when harm returns, and ends it when it is gone', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const nowMs = await incident.env.currentTimeMs();
      const input: AftercareInput = {
        target: TARGET,
        incidentId: 'inc-1',
        labels: { namespace: 'ai', deployment: 'llm-api' },
        alertname: 'AiHarmfulOutputRateHigh',
        runbook: 'ai-harm-response',
        metrics: {},
        limits: { harmRate: 0.01, minExposure: 500 },
        sinceMs: nowMs,
        untilMs: nowMs + 24 * 3_600_000,
      };
      const watch = await incident.env.client.workflow.start(messages.AFTERCARE_WORKFLOW, {
        workflowId: aftercareWorkflowId('inc-1'),
        taskQueue: 'firebreak',
        args: [input],
      });
      await incident.env.sleep('3 hours');
      expect(world.raised).toEqual([]);
      world.harmLooks.set('llm-api', 'exceeded');
      await eventually(incident, 'raised', () => world.raised.length > 0);
      const { alertname, labels, runbook } = input;
      const key = 'inc-1-returned-1';
      expect(world.raised).toMatchObject([{ status: 'firing', alertname, labels, runbook, key }]);
      world.harmLooks.set('llm-api', 'within');
      await watch.result();
      expect(world.raised).toHaveLength(2);
      expect(world.raised.slice(1)).toMatchObject([{ status: 'resolved', alertname, labels, runbook, key }]);
    });
  });
});
