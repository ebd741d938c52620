import { createHash } from 'node:crypto';
import type { ApplicationFailure } from '@temporalio/common';
import type { Evaluation } from '../../activities/contract.ts';
import { fail } from '../../activities/failure.ts';
import { createLookAtTarget } from '../../activities/look-at-target.ts';
import type { Breaker, BreakerState } from '../../domain/breaker.ts';
import type { Decision, SignedDecision } from '../../domain/decision.ts';
import type { FailureType } from '../../domain/failure.ts';
import type { IncidentView, TimelineEntry } from '../../domain/incident.ts';
import { deriveActionItems, renderPostmortem } from '../../domain/postmortem.ts';
import type { RolloutResult } from '../../domain/rollback-plan.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import type { Target } from '../../domain/target.ts';
import type { TargetCommand } from '../../domain/target-command.ts';
import { clusterTaskQueue } from '../../workflows/ids.ts';
import type { ScenarioSpec } from '../scenario/schema.ts';
import type { ActivitiesByName, ActivityInput, AllActivities } from './activities.ts';
import { Approvals } from './approvals.ts';
import { Cluster } from './cluster.ts';
import { Measurement } from './measurement.ts';
import { absolute, setFrom } from './over-time.ts';
import { SCRAPE_INTERVAL_MS, Traffic } from './traffic.ts';
import { asSeen, failureOf, NEVER_THROWS, subjectOf, takesMs, troubleOf, VENDOR_OF } from './vendors.ts';

/** As in activities/kubernetes/await-rollout.ts: progressDeadlineSeconds' default and the grace after it. */
const DEFAULT_ROLLOUT_TIMEOUT_MS = 660_000;
/** The configuration's default for the next level of a policy. */
const POLICY_LEVEL_MS = 5 * 60_000;
/** Hex digits of made-up ids and hashes. */
const ID_CHARS = 16;

/** Something that happened outside of the workflows, for the timeline. */
export interface WorldEvent {
  atMs: number;
  kind: 'world' | 'vendor' | 'person';
  text: string;
}

export interface WorldOptions {
  spec: ScenarioSpec;
  runbook: CompiledRunbook;
  /** Absent: the runbook has none, or the labels gave none. */
  target: Target | undefined;
  startMs: number;
  /** Wakes the target's actor: what the worker does by SignalWithStart. */
  commandTarget(target: Target, command: TargetCommand): void;
}

/** What an activity call came to. */
export interface Answered {
  result?: unknown;
  failure?: ApplicationFailure;
  tookMs: number;
}

/** What a condition came to, from the first to the last of the looks in a row that came to the same. */
export interface Decided {
  result: 'held' | 'not' | 'unknown';
  fromMs: number;
  toMs: number;
}

/** What is known at the end, beside the incident itself. */
export interface Observed {
  breaker: BreakerState[];
  changes: string[];
  paged: string[];
  notified: string[];
  /** What expressions came to, by their text, in the order of time. */
  decided: Map<string, Decided[]>;
}

/** Everything outside of the workflows: answers of Prometheus, Kubernetes and vendors, computed from the scenario. */
export class World {
  readonly events: WorldEvent[] = [];
  readonly observed: Observed = { breaker: [], changes: [], paged: [], notified: [], decided: new Map() };
  /** Timelines as they were recorded, by incident, and the newest view of each. */
  readonly recorded = new Map<string, { entries: Map<number, TimelineEntry>; view: IncidentView }>();
  readonly #options: WorldOptions;
  readonly #traffic: Traffic;
  readonly #measurement: Measurement;
  readonly #cluster: Cluster | undefined;
  readonly #approvals = new Approvals();
  readonly #failing = new Set<string>();
  readonly #endpointCalls = new Map<string, number>();
  readonly #activities: ActivitiesByName;
  #nowMs: number;
  #breaker: Breaker | undefined;
  #projectedBy = '';
  #diverted = 0;
  #fallback: string | undefined;
  #tickets = 0;
  readonly #filed = new Set<string>();

  constructor(options: WorldOptions) {
    this.#options = options;
    const { spec, startMs, target } = options;
    const { traffic, fallback, metrics } = spec.world;
    this.#nowMs = startMs;
    const requestsPerSecond = absolute(traffic.requestsPerSecond, startMs);
    if (traffic.until !== undefined) setFrom(requestsPerSecond, startMs + traffic.until, 0);
    this.#traffic = new Traffic({
      startMs,
      requestsPerSecond,
      classified: absolute(traffic.classified, startMs),
      fallbackHarmRate: absolute(fallback.harmRate, startMs),
    });
    this.#measurement = new Measurement({
      traffic: this.#traffic,
      metrics: Object.fromEntries(
        Object.entries(metrics).map(([name, points]) => [name, absolute(points, startMs)]),
      ),
      targetName: target?.name,
      fallback: () => this.#fallback,
      decided: (expression, result) => this.#decided(expression, result),
    });
    if (target !== undefined) this.#cluster = new Cluster(target, spec.world, this.#traffic, startMs);
    this.#activities = this.#makeActivities();
  }

  /** The ledger with which the target's actor starts. */
  ledger() {
    return this.#cluster?.ledger(this.#options.startMs) ?? {};
  }

  note(kind: WorldEvent['kind'], text: string, atMs: number): void {
    this.events.push({ atMs, kind, text });
  }

  /** A decision as the edge would sign it. */
  signed(decision: Decision): SignedDecision {
    return this.#approvals.sign(decision);
  }

  /** Somebody ships a new revision. */
  ship(shipped: ScenarioSpec['world']['shipped'][number], nowMs: number): void {
    if (this.#cluster === undefined) return;
    const revision = this.#cluster.ship(shipped, this.#options.startMs, nowMs);
    this.note('world', `Somebody ships ${shipped.image} as revision ${revision}`, nowMs);
  }

  /** Something else writes the breaker's ConfigMap. */
  tamper(nowMs: number): void {
    this.#projectedBy = 'something else';
    this.note('world', "Something else changes the breaker's ConfigMap", nowMs);
  }

  /** Does what an activity would do at this time. Never throws for what activities can fail by. */
  async call(type: string, input: unknown, nowMs: number): Promise<Answered> {
    this.#nowMs = nowMs;
    const vendor = VENDOR_OF[type];
    const subject = subjectOf(input);
    const { spec, startMs } = this.#options;
    const trouble = asSeen(troubleOf(spec.vendors, vendor, subject, nowMs - startMs));
    this.#tell(vendor, subject, trouble?.fails === 'slow' ? undefined : trouble?.fails);
    if (trouble && trouble.fails !== 'slow' && !NEVER_THROWS.has(type)) {
      return { failure: failureOf(trouble), tookMs: takesMs(trouble) };
    }
    const activity = Object.hasOwn(this.#activities, type) ? this.#activities[type] : undefined;
    if (activity === undefined) throw new Error(`the simulation has no activity ${type}`);
    try {
      const away = trouble && trouble.fails !== 'slow' ? failureOf(trouble).message : undefined;
      const { result, tookMs } = await activity(input as never, away);
      return { result, tookMs: tookMs + (trouble ? takesMs(trouble) : 0) };
    } catch (error) {
      if (!isFailure(error)) throw error;
      return { failure: error, tookMs: trouble ? takesMs(trouble) : 0 };
    }
  }

  /** An activity called by another one: its time is not told. */
  async #part<T>(type: string, input: unknown): Promise<T> {
    const { result, failure } = await this.call(type, input, this.#nowMs);
    if (failure) throw failure;
    return result as T;
  }

  #tell(vendor: string | undefined, subject: string | undefined, fails: string | undefined): void {
    if (vendor === undefined) return;
    const name = subject === undefined ? vendor : `${vendor} (${subject})`;
    if (fails !== undefined && !this.#failing.has(name)) {
      this.#failing.add(name);
      this.note('vendor', `${name}: ${fails}`, this.#nowMs);
    } else if (fails === undefined && this.#failing.delete(name)) {
      this.note('vendor', `${name}: works again`, this.#nowMs);
    }
  }

  #decided(expression: string, result: Evaluation): void {
    const all = this.observed.decided.get(expression) ?? [];
    const came = result.known ? (result.value === true ? 'held' : 'not') : 'unknown';
    const last = all.at(-1);
    if (last?.result === came) last.toMs = this.#nowMs;
    else all.push({ result: came, fromMs: this.#nowMs, toMs: this.#nowMs });
    this.observed.decided.set(expression, all);
  }

  #mustHaveCluster(): Cluster {
    if (this.#cluster === undefined) throw fail('InvalidInput', 'there is no target');
    return this.#cluster;
  }

  #makeActivities(): ActivitiesByName {
    const { spec, startMs, commandTarget } = this.#options;
    const world = this;
    const quick: AllActivities = {
      async commandTarget({ target, command }) {
        commandTarget(target, command);
      },
      // Workers are never away in a simulation; what a cluster's trouble is, is said by its own calls.
      async describeQueue({ cluster }) {
        return { queue: clusterTaskQueue(cluster), pollers: 1, lastSeenMs: world.#nowMs };
      },
      async raiseAlert({ alertname, summary }) {
        world.note('world', `Firebreak raises ${alertname}: ${summary}`, world.#nowMs);
        return { incidents: [] };
      },
      async readTarget() {
        return world.#mustHaveCluster().facts();
      },
      async readTemplateHash() {
        return { templateHash: world.#mustHaveCluster().snapshot().templateHash };
      },
      async takeSnapshot() {
        return world.#mustHaveCluster().snapshot();
      },
      async listChanges({ sinceMs }) {
        return world.#mustHaveCluster().listChanges(sinceMs, world.#nowMs);
      },
      async planRollback(input) {
        return world.#mustHaveCluster().planRollback(input, world.#nowMs);
      },
      async applyRollback(input) {
        const applied = await world.#applyRollback(input);
        if (applied.result === 'patched') world.observed.changes.push('rollback');
        return applied;
      },
      async checkSuspended() {
        return { suspensions: world.#mustHaveCluster().suspensions() };
      },
      async planResume() {
        return { none: { reason: 'Git has no other revision in a simulation' } };
      },
      async resumeSync() {
        return { suspensions: world.#mustHaveCluster().suspensions(), approvedBy: [] };
      },
      async checkFallback() {
        return { problems: spec.world.fallback.problems };
      },
      async projectBreaker({ breaker, commandId }) {
        return world.#projectBreaker(breaker, commandId);
      },
      async readBreaker() {
        return { breaker: world.#breaker, commandId: world.#projectedBy, drift: [], problems: [] };
      },
      async readMeasurementClock() {
        return { nowMs: world.#nowMs, scrapeIntervalMs: SCRAPE_INTERVAL_MS };
      },
      async evaluateUntargeted({ expressions, context }) {
        return world.#measurement.evaluateUntargeted(expressions, context, world.#nowMs);
      },
      async sendPage({ role, dedupKey }) {
        world.observed.paged.push(role);
        return { accepted: { channel: 'pager', atMs: world.#nowMs, reference: dedupKey } };
      },
      async resolvePolicy({ policy }) {
        // A scenario has no configuration: the policy stands for whoever it calls first.
        return { levels: [{ roles: [policy], afterMs: POLICY_LEVEL_MS }], repeats: 0 };
      },
      async updatePage() {
        return { updated: ['pager'] };
      },
      async proposeRevert() {
        return {
          state: 'opened',
          url: 'https://git.example/pulls/1',
          commit: '0000000000000000000000000000000000000000',
          files: ['deployment.yaml'],
        };
      },
      async openTicket() {
        const created = world.#tickets === 0;
        world.#tickets = 1;
        return { url: 'https://tickets.example/1', key: '1', created };
      },
      async commentTicket({ key }) {
        return { url: `https://tickets.example/${key}#comment` };
      },
      async updateTicket() {
        return { changed: true, closed: false };
      },
      async fileActionItem({ item }) {
        const created = !world.#filed.has(item.id);
        world.#filed.add(item.id);
        return { url: `https://tickets.example/${item.id}`, key: item.id, created };
      },
      async publishPostmortem({ key }) {
        return { url: `https://tickets.example/${key}#postmortem` };
      },
      async collectSamples({ source, fromMs, toMs, limit }) {
        const harmful = world.#traffic
          .revisions()
          .map(
            (key) =>
              world.#traffic.count(key, 'harmful', toMs) - world.#traffic.count(key, 'harmful', fromMs),
          )
          .reduce((sum, one) => sum + one, 0);
        const count = Math.min(limit, spec.world.samples?.count ?? Math.floor(harmful));
        const byCategory: Record<string, number> = count === 0 ? {} : { harmful: count };
        return { count, from: source, byCategory, items: Array.from({ length: count }, sampleOf) };
      },
      async destroyEvidence() {
        // No texts are kept in a simulation.
        return { texts: 0 };
      },
      async publishIncident() {
        return {};
      },
      async remindPerson() {
        return { told: false };
      },
      async openRecord({ incidentId, workflowId, view }) {
        const before = [...world.recorded.values()].findLast(
          (other) => other.view.workflowId === workflowId && other.view.incidentId !== incidentId,
        );
        world.record(view, []);
        return before === undefined ? {} : { predecessorId: before.view.incidentId };
      },
      async appendRecord({ view, entries }) {
        world.record(view, entries);
        return { lastSeq: entries.at(-1)?.seq ?? 0 };
      },
      async writePostmortem({ view, draft, atMs }) {
        const actionItems = deriveActionItems(view, atMs);
        const markdown = renderPostmortem({ ...view, actionItems }, { draft, atMs });
        return { actionItems, sha256: createHash('sha256').update(markdown).digest('hex') };
      },
      async sendNotification({ channel, key }) {
        world.observed.notified.push(channel);
        return { reference: key };
      },
      async tellStakeholders() {
        return { told: [], problems: [] };
      },
      async callEndpoint(input) {
        return world.#callEndpoint(input);
      },
    };
    const made: ActivitiesByName = {};
    for (const [name, activity] of Object.entries(quick)) {
      made[name] = async (input) => ({ result: await activity(input as never), tookMs: 0 });
    }
    return {
      ...made,
      evaluate: async (input: ActivityInput<'evaluate'>, away) => ({
        result: this.#measurement.evaluate(input, this.#nowMs, away),
        tookMs: 0,
      }),
      judgeRecovery: async (input: ActivityInput<'judgeRecovery'>, away) => ({
        result: this.#measurement.judgeRecovery(input, this.#nowMs, away),
        tookMs: 0,
      }),
      judgeHarm: async (input: ActivityInput<'judgeHarm'>, away) => ({
        result: this.#measurement.judgeHarm(input, this.#nowMs, away),
        tookMs: 0,
      }),
      readServed: async ({ revisions }: ActivityInput<'readServed'>, away) => ({
        result:
          away === undefined
            ? { served: this.#mustHaveCluster().readServed(revisions, this.#nowMs) }
            : { served: {}, problem: away },
        tookMs: 0,
      }),
      readHarmHistory: async (input: ActivityInput<'readHarmHistory'>, away) => ({
        result: this.#measurement.readHarmHistory(input, this.#nowMs, away),
        tookMs: 0,
      }),
      // Each part meets the trouble of its own vendor.
      lookAtTarget: async (input: ActivityInput<'lookAtTarget'>) => ({
        result: await createLookAtTarget({
          readBreaker: (part) => this.#part('readBreaker', part),
          checkFallback: (part) => this.#part('checkFallback', part),
          judgeHarm: (part) => this.#part('judgeHarm', part),
          readTemplateHash: (part) => this.#part('readTemplateHash', part),
        }).lookAtTarget(input),
        tookMs: 0,
      }),
      awaitDiverted: async (input: ActivityInput<'awaitDiverted'>, away) => this.#awaitDiverted(input, away),
      awaitRollout: async (input: ActivityInput<'awaitRollout'>) => this.#awaitRollout(input, startMs),
    };
  }

  /** Keeps what the records would hold. */
  record(view: IncidentView, entries: readonly TimelineEntry[]): void {
    const known = this.recorded.get(view.incidentId) ?? { entries: new Map(), view };
    for (const entry of entries) known.entries.set(entry.seq, entry);
    known.view = view;
    this.recorded.set(view.incidentId, known);
  }

  #projectBreaker(breaker: Breaker, commandId: string) {
    const before = this.#breaker;
    const changed =
      (before?.state ?? 'closed') !== breaker.state ||
      (before?.share ?? 1) !== breaker.share ||
      before?.fallback !== breaker.fallback;
    this.#projectedBy = commandId;
    this.#breaker = breaker;
    this.#fallback = breaker.fallback ?? this.#fallback;
    if (changed) {
      if (before?.state !== breaker.state) this.observed.breaker.push(breaker.state);
      // Ids of commands end in what they command (workflows/incident/services.ts).
      const command = commandId.split('.').at(-1)?.replace(/~\d+$/, '') ?? breaker.state;
      // What takes a share back diverts.
      const what = command === 'contain' ? 'divert' : command;
      // The steps of a restore are one.
      if (what !== 'restore' || this.observed.changes.at(-1) !== what) this.observed.changes.push(what);
      if (breaker.state === 'open' && before?.state !== 'open') this.#diverted++;
      // A gateway that does not read the breaker goes on as before.
      if (this.#diversion().effect !== 'not-seen') this.#traffic.setShare(this.#nowMs, breaker.share);
    }
    return { changed, resourceVersion: String(this.observed.breaker.length), problems: [] };
  }

  #diversion(): ScenarioSpec['world']['diversion'][number] {
    const turns = this.#options.spec.world.diversion;
    return turns[Math.max(0, Math.min(this.#diverted, turns.length) - 1)] ?? { effect: 'measured', takes: 0 };
  }

  #awaitDiverted(
    { metrics, timeoutMs }: ActivityInput<'awaitDiverted'>,
    away: string | undefined,
  ): { result: unknown; tookMs: number } {
    const answer = (effect: 'measured' | 'not-seen' | 'unknown', tookMs: number, detail: string) => ({
      result: { effect, atMs: this.#nowMs + tookMs, detail },
      tookMs,
    });
    if (metrics.requests?.type !== 'counter')
      return answer('unknown', 0, 'the runbook has no counter named requests');
    const diversion = this.#diversion();
    const { effect } = diversion;
    // It goes on looking while Prometheus is away, and sees it when that is over.
    const takes =
      away === undefined ? diversion.takes : Math.max(diversion.takes, this.#prometheusAwayForMs());
    if (away !== undefined && takes > timeoutMs) return answer('not-seen', timeoutMs, away);
    if (effect === 'not-seen' || takes > timeoutMs)
      return answer('not-seen', timeoutMs, 'requests still arrive at the target');
    if (effect === 'unknown') return answer('unknown', takes, 'there is no requests series of the target');
    return answer('measured', takes, 'no requests in the last scrapes');
  }

  async #applyRollback(input: ActivityInput<'applyRollback'>) {
    const { runbook } = this.#options;
    const cluster = this.#mustHaveCluster();
    const approvedBy = await this.#approvals.verify(input, {
      cluster,
      runbook,
      breaker: this.#breaker,
      nowMs: this.#nowMs,
      evaluate: async (measured) => this.#measurement.evaluate(measured, this.#nowMs, this.#prometheusAway()),
    });
    return { ...cluster.applyRollback(input.plan, this.#nowMs), approvedBy };
  }

  #prometheusAwayForMs(): number {
    const { spec, startMs } = this.#options;
    const sinceMs = this.#nowMs - startMs;
    const trouble = asSeen(troubleOf(spec.vendors, 'prometheus', undefined, sinceMs));
    return (trouble?.until ?? Number.POSITIVE_INFINITY) - sinceMs;
  }

  #prometheusAway(): string | undefined {
    const { spec, startMs } = this.#options;
    const trouble = asSeen(troubleOf(spec.vendors, 'prometheus', undefined, this.#nowMs - startMs));
    return trouble && trouble.fails !== 'slow' ? failureOf(trouble).message : undefined;
  }

  #awaitRollout(
    { timeoutMs = DEFAULT_ROLLOUT_TIMEOUT_MS, templateHash }: ActivityInput<'awaitRollout'>,
    startMs: number,
  ): { result: RolloutResult; tookMs: number } {
    const cluster = this.#mustHaveCluster();
    const { replicas } = cluster;
    const end = (outcome: RolloutResult['outcome'], tookMs: number, detail: string) => {
      const ready = outcome === 'complete' ? replicas : 0;
      const result = {
        outcome,
        detail,
        readyReplicas: ready,
        wantedReplicas: replicas,
        seconds: tookMs / 1_000,
      };
      return { result, tookMs };
    };
    if (cluster.deployedHash !== templateHash)
      return end('superseded', 0, 'another template was put in place meanwhile');
    const { outcome, takes } = cluster.rollOut(this.#nowMs);
    // What is shipped while the rollout is under way is known from the scenario.
    const shippedMs = this.#options.spec.world.shipped
      .map(({ at }) => startMs + at)
      .find((atMs) => atMs > this.#nowMs && atMs <= this.#nowMs + takes);
    if (shippedMs !== undefined)
      return end('superseded', shippedMs - this.#nowMs, 'another template was put in place meanwhile');
    if (takes > timeoutMs || outcome === 'deadline')
      return end('deadline', Math.min(takes, timeoutMs), `0 of ${replicas} pods became ready in time`);
    const details = {
      complete: `${replicas} of ${replicas} pods are ready`,
      unschedulable: `${replicas} pods cannot be scheduled`,
      superseded: 'another template was put in place meanwhile',
      paused: 'the Deployment was paused: resume it to go on',
    };
    return end(outcome, takes, details[outcome]);
  }

  #callEndpoint({ endpoint, method, expectStatus }: ActivityInput<'callEndpoint'>) {
    const calls = this.#endpointCalls.get(endpoint) ?? 0;
    this.#endpointCalls.set(endpoint, calls + 1);
    const answers = this.#options.spec.world.endpoints[endpoint] ?? [{ status: 200 }];
    const { status, json } = answers[Math.min(calls, answers.length - 1)] ?? { status: 200 };
    // None: any 2xx, as the real activity has it.
    const expected =
      expectStatus.length === 0 ? status >= 200 && status < 300 : expectStatus.includes(status);
    if (!expected) throw answeredOtherwise(`${method} http.${endpoint}`, status);
    if (method !== 'GET') this.observed.changes.push(`http ${endpoint}`);
    return { status, body: json ?? null };
  }
}

function isFailure(error: unknown): error is ApplicationFailure {
  return error instanceof Error && error.name === 'ApplicationFailure';
}

/** By the status, as the real adapters tell it (activities/failure.ts). */
function answeredOtherwise(what: string, status: number): ApplicationFailure {
  if (status < 400)
    return fail('InvalidInput', `${what} was answered ${status}, which the step does not expect`);
  const types: Record<number, FailureType> = {
    401: 'Unauthorized',
    403: 'Unauthorized',
    404: 'NotFound',
    408: 'Unavailable',
    409: 'Conflict',
    412: 'PreconditionFailed',
    429: 'RateLimited',
  };
  return fail(
    types[status] ?? (status >= 500 ? 'Unavailable' : 'InvalidInput'),
    `${what} was answered ${status}`,
  );
}

function sampleOf(_: unknown, index: number) {
  const sha256 = createHash('sha256').update(`sample ${index}`).digest('hex');
  const id = sha256.slice(0, ID_CHARS);
  return { id, sha256, length: 100, categories: ['harmful'], requestId: id };
}
