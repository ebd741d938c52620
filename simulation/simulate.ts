import { createHash } from 'node:crypto';
import type { Alert, AlertsReceived } from '../domain/alert.ts';
import type { IncidentView, TimelineEntry } from '../domain/incident.ts';
import type { RollbackTo } from '../domain/rollback-plan.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import type { TargetResolution } from '../domain/target.ts';
import { sayRollbackTo, withRollbackTo } from '../runbooks/declared.ts';
import { correlationOf, resolveTarget } from '../runbooks/match.ts';
import { incidentWorkflowId, targetWorkflowId } from '../workflows/ids.ts';
import type { IncidentInput } from '../workflows/incident/state.ts';
import * as messages from '../workflows/messages.ts';
import { TargetState } from '../workflows/target/state.ts';
import type { TargetInput } from '../workflows/target/workflow.ts';
import { decides, deedOf, sayDeed } from './people.ts';
import { createSimulation, FailsAfter, type Simulation } from './runtime/index.ts';
import type { LoadedScenario } from './scenario/load.ts';
import type { PersonEvent, ScenarioSpec } from './scenario/schema.ts';
import { happeningsOf, Triggers } from './triggers.ts';
import { type Observed, World, type WorldEvent } from './world/world.ts';

/** What no cluster of the scenario is called otherwise. */
const DEFAULT_CLUSTER = 'local';
/** An incident of a day with a look every 15 s makes about 20,000: more is a runbook that never rests. */
const MAX_ACTIVITIES = 400_000;
/** Nothing new for this long, and nothing written for later: nothing will come of waiting on. */
const SETTLED_AFTER_MS = 2 * 3_600_000;
/** What follows from the last thing in a scenario does so within this. */
const AFTERMATH_MS = 30_000;
const FINGERPRINT_CHARS = 16;

export interface SimulatedIncident {
  view: IncidentView;
  entries: TimelineEntry[];
}

/** How it ended: closed, nothing new would happen, the scenario's time was over, or it did not come to rest. */
export type End = 'closed' | 'settled' | 'until' | 'restless';

export interface SimulatedRun {
  startMs: number;
  endMs: number;
  end: End;
  /** In the order in which they were opened; the last one is what expectations are about. */
  incidents: SimulatedIncident[];
  events: WorldEvent[];
  observed: Observed;
  /** What people tried and the incident did not take. */
  refused: { who: string; message: string }[];
  /** What people never came to do. */
  undone: string[];
  stats: { activations: number; activities: number };
}

/**
 * Runs a scenario: the real workflows over virtual time, everything else by the scenario. Nothing leaves the process.
 * @throws SimulationError where workflow code goes wrong.
 */
export async function simulate(loaded: LoadedScenario, bundlePath: string): Promise<SimulatedRun> {
  const run = new ScenarioRun(loaded);
  return run.run(bundlePath);
}

class ScenarioRun {
  readonly #spec: ScenarioSpec;
  readonly #runbook: CompiledRunbook;
  readonly #startMs: number;
  readonly #target: TargetResolution;
  readonly #correlation: Record<string, string>;
  readonly #workflowId: string;
  readonly #world: World;
  readonly #seen = new Set<string>();
  readonly #refused: SimulatedRun['refused'] = [];
  readonly #undone = new Map<PersonEvent, string>();
  #lastNewsMs: number;
  #simulation: Simulation | undefined;
  #triggers: Triggers | undefined;
  #end: End | undefined;

  constructor({ scenario, runbook }: LoadedScenario) {
    this.#spec = scenario.spec;
    const { declared } = scenario.spec;
    this.#runbook = declared?.to === undefined ? runbook : withRollbackTo(runbook, declared.to);
    this.#startMs = Date.parse(scenario.spec.startsAt);
    this.#lastNewsMs = this.#startMs;
    const labels = declared?.labels ?? this.#spec.alerts[0]?.labels ?? {};
    this.#correlation = correlationOf(runbook, labels);
    this.#target = resolveTarget(runbook, labels, [clusterOf(runbook, labels)]);
    this.#workflowId = incidentWorkflowId(runbook.name, this.#correlation, sha256);
    this.#world = new World({
      spec: this.#spec,
      runbook,
      target: this.#target.ok ? this.#target.target : undefined,
      startMs: this.#startMs,
      commandTarget: (target, command) => {
        const { data } = TargetState.create(target, this.#now.nowMs);
        const input: TargetInput = { target, data: { ...data, ledger: this.#world.ledger() } };
        this.#now.signalWithStart({
          workflowType: messages.TARGET_WORKFLOW,
          workflowId: targetWorkflowId(target),
          args: [input],
          signal: messages.targetCommandSignal.name,
          signalArgs: [command],
        });
      },
    });
  }

  async run(bundlePath: string): Promise<SimulatedRun> {
    const simulation = await createSimulation({
      bundlePath,
      startMs: this.#startMs,
      activities: async ({ type, input, nowMs }) => {
        const { result, failure, tookMs } = await this.#world.call(type, input, nowMs);
        if (type === 'appendRecord' || type === 'openRecord') this.#takeRecorded();
        if (failure) throw new FailsAfter(tookMs, failure);
        return { result, tookMs };
      },
    });
    this.#simulation = simulation;
    try {
      this.#script(simulation);
      const untilMs = this.#startMs + this.#spec.until;
      const how = await simulation.run({ untilMs, done: () => this.#isDone() });
      const incidents = await this.#incidents();
      const end = this.#end ?? (how === 'idle' ? 'settled' : 'until');
      return {
        startMs: this.#startMs,
        endMs: end === 'until' ? untilMs : lastMomentOf(incidents, this.#world.events),
        end,
        incidents,
        events: this.#world.events,
        observed: this.#world.observed,
        refused: this.#refused,
        undone: [...this.#undone.values()],
        stats: { ...simulation.stats },
      };
    } finally {
      await simulation.dispose();
    }
  }

  get #now(): Simulation {
    if (this.#simulation === undefined) throw new Error('the simulation has not begun');
    return this.#simulation;
  }

  /** Everything that the scenario says will happen. */
  #script(simulation: Simulation): void {
    const { alerts, declared, people, world } = this.#spec;
    const at = (timeMs: number, action: () => void | Promise<void>) => simulation.at(timeMs, action);
    const triggers = new Triggers(this.#startMs, at, this.#startMs + lastWrittenMs(this.#spec));
    this.#triggers = triggers;
    if (declared) at(this.#startMs, () => this.#declare(declared));
    for (const alert of alerts) {
      triggers.when(alert, () => {
        const startsAt = new Date(simulation.nowMs).toISOString();
        this.#deliver(alert, 'firing', startsAt);
        if (alert.resolved) triggers.when(alert.resolved, () => this.#deliver(alert, 'resolved', startsAt));
      });
    }
    for (const event of people) {
      const when = event.after === undefined ? '' : `: there was no ${event.after}`;
      this.#undone.set(event, `${sayDeed(event)}${when}`);
      triggers.when(event, async () => {
        this.#undone.delete(event);
        await this.#act(event);
      });
    }
    for (const shipped of world.shipped)
      at(this.#startMs + shipped.at, () => this.#world.ship(shipped, simulation.nowMs));
    for (const tampered of world.tampered)
      at(this.#startMs + tampered.at, () => this.#world.tamper(simulation.nowMs));
  }

  /** As the edge starts the incident that a person declares (webhooks/rollbacks/declare.ts). */
  #declare({ person, reason, to }: NonNullable<ScenarioSpec['declared']>): void {
    const step = this.#runbook.steps.find(({ uses }) => uses === 'rollback');
    const wanted = to ?? (step?.with.to as RollbackTo);
    const input: IncidentInput = {
      runbook: this.#runbook,
      correlation: this.#correlation,
      target: this.#target,
      mode: this.#spec.world.target.mode,
      declared: {
        person,
        via: 'cli',
        reason,
        atMs: this.#now.nowMs,
        dedupKey: sha256(`declared ${this.#workflowId}`),
        asked: `Rollback to ${sayRollbackTo(wanted)}`,
      },
    };
    this.#now.start({
      workflowType: messages.INCIDENT_WORKFLOW,
      workflowId: this.#workflowId,
      args: [input],
    });
  }

  #deliver(alert: ScenarioSpec['alerts'][number], status: Alert['status'], startsAt: string): void {
    const nowMs = this.#now.nowMs;
    const group = JSON.stringify(Object.entries(this.#correlation).sort());
    const received: AlertsReceived = {
      groupKey: group,
      dedupKey: sha256(group),
      receivedAtMs: nowMs,
      truncatedAlerts: 0,
      externalUrl: 'https://alertmanager.example',
      alerts: [
        {
          status,
          labels: alert.labels,
          annotations: alert.annotations,
          startsAt,
          endsAt: status === 'resolved' ? new Date(nowMs).toISOString() : '0001-01-01T00:00:00Z',
          generatorURL: '',
          fingerprint: sha256(JSON.stringify(Object.entries(alert.labels).sort())).slice(
            0,
            FINGERPRINT_CHARS,
          ),
        },
      ],
    };
    if (status === 'resolved') {
      // A delivery with only resolved alerts never starts an incident.
      this.#now.signal(this.#workflowId, messages.alertsReceivedSignal.name, [received]);
      return;
    }
    const input: IncidentInput = {
      runbook: this.#runbook,
      correlation: this.#correlation,
      target: this.#target,
      mode: this.#spec.world.target.mode,
    };
    this.#now.signalWithStart({
      workflowType: messages.INCIDENT_WORKFLOW,
      workflowId: this.#workflowId,
      args: [input],
      signal: messages.alertsReceivedSignal.name,
      signalArgs: [received],
    });
  }

  async #act(event: PersonEvent): Promise<void> {
    const who = sayDeed(event);
    try {
      const view = await this.#describe();
      if (decides(event) && event.step === undefined && view.pendingApprovals.length === 0)
        throw new Error('no step waits for an approval');
      const { update, input } = deedOf(event, view, this.#world, this.#now.nowMs);
      await this.#now.update(this.#workflowId, update, [input]);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#refused.push({ who, message });
      this.#world.note('person', `${who} was refused: ${message}`, this.#now.nowMs);
    }
  }

  async #describe(): Promise<IncidentView> {
    return (await this.#now.query(this.#workflowId, messages.describeQuery.name)) as IncidentView;
  }

  /** Looks for what is new in what was recorded. */
  #takeRecorded(): void {
    for (const { view, entries } of this.#world.recorded.values()) {
      for (const entry of entries.values()) this.#takeEntry(view.incidentId, entry);
    }
  }

  #takeEntry(incidentId: string, entry: TimelineEntry): void {
    const id = `${incidentId} ${entry.seq}`;
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    for (const name of happeningsOf(entry)) this.#triggers?.happened(name, entry.atMs);
    // The same thing with another number or time in it is no news: an escalation that goes on and on, say.
    const text = `${entry.kind} ${entry.text.replaceAll(/\d+/g, '#')}`;
    if (this.#seen.has(text)) return;
    this.#seen.add(text);
    this.#lastNewsMs = entry.atMs;
  }

  /** Asked after each moment in which something happened. */
  async #isDone(): Promise<boolean> {
    const simulation = this.#now;
    const { nowMs } = simulation;
    if (simulation.stats.activities > MAX_ACTIVITIES) return this.#ends('restless');
    // Where the records are away, the timeline is read from the workflow.
    if (this.#triggers?.someWait && this.#recordsAway()) {
      const view = await this.#describe();
      for (const entry of view.timeline) this.#takeEntry(view.incidentId, entry);
    }
    const lastMs = this.#triggers?.lastMs ?? 0;
    if (nowMs < lastMs) return false;
    const view = [...this.#world.recorded.values()].at(-1)?.view;
    if (view?.milestones.closed !== undefined) {
      if (!simulation.isRunning(this.#workflowId)) return this.#ends('closed');
      const closedLater = view.milestones.closed > lastMs;
      if (closedLater || nowMs >= lastMs + AFTERMATH_MS) return this.#ends('closed');
      return false;
    }
    if (nowMs - Math.max(lastMs, this.#lastNewsMs) < this.#settledAfterMs) return false;
    const { steps } = await this.#describe();
    if (steps.some(({ status }) => ['running', 'waiting'].includes(status))) {
      this.#lastNewsMs = nowMs;
      return false;
    }
    return this.#ends('settled');
  }

  #ends(end: End): true {
    this.#end = end;
    return true;
  }

  #recordsAway(): boolean {
    return this.#spec.vendors.some(({ vendor }) => vendor === 'records');
  }

  get #settledAfterMs(): number {
    const { resolveAfterMs, watchEveryMs, steps } = this.#runbook;
    const waits = steps.flatMap(({ approval, with: input }) => {
      const escalate = input.escalate as { afterMs?: number } | undefined;
      return [approval?.timeoutMs ?? 0, escalate?.afterMs ?? 0];
    });
    return Math.max(SETTLED_AFTER_MS, 2 * Math.max(resolveAfterMs, watchEveryMs, ...waits));
  }

  /** The recorded timelines, and what the last incident says of itself now. */
  async #incidents(): Promise<SimulatedIncident[]> {
    const view = await this.#describe();
    this.#world.record(view, view.timeline);
    return [...this.#world.recorded.values()].map(({ view, entries }) => ({
      view,
      entries: [...entries.values()].sort((a, b) => a.seq - b.seq),
    }));
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The cluster that the labels name is one that is configured. */
function clusterOf(runbook: CompiledRunbook, labels: Record<string, string>): string {
  const named = runbook.target?.cluster ?? '';
  if (named !== '' && !named.includes('${{')) return named;
  return labels.cluster || DEFAULT_CLUSTER;
}

/** The last time that is written anywhere in a scenario, from its start. */
function lastWrittenMs({ world, vendors }: ScenarioSpec): number {
  const points = [
    ...world.traffic.requestsPerSecond,
    ...world.traffic.classified,
    ...world.fallback.harmRate,
    ...world.revisions.flatMap(({ harmRate }) => harmRate),
    ...Object.values(world.metrics).flat(),
  ].map(({ atMs }) => atMs);
  const shipped = world.shipped.flatMap(({ at, harmRate }) => [at, ...harmRate.map(({ atMs }) => atMs)]);
  const tampered = world.tampered.map(({ at }) => at);
  const troubles = vendors.flatMap(({ from, until }) => [from, until ?? 0]);
  return Math.max(0, world.traffic.until ?? 0, ...points, ...shipped, ...tampered, ...troubles);
}

function lastMomentOf(incidents: SimulatedIncident[], events: WorldEvent[]): number {
  const moments = [...incidents.flatMap(({ entries }) => entries), ...events].map(({ atMs }) => atMs);
  return Math.max(...moments);
}
