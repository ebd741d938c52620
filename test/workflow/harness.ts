import { createHash } from 'node:crypto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import type { Alert, AlertsReceived } from '../../domain/alert.ts';
import type { Decision, SignedDecision } from '../../domain/decision.ts';
import type { IncidentView } from '../../domain/incident.ts';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { loadRunbooks } from '../../runbooks/load.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { createSignalingActivities } from '../../worker/signaling.ts';
import { clusterTaskQueue, incidentWorkflowId } from '../../workflows/ids.ts';
import type { IncidentInput } from '../../workflows/incident/state.ts';
import * as messages from '../../workflows/messages.ts';
import { withTimeSkipping } from './time-skipping.ts';
import { TARGET, type World } from './world.ts';

const SEARCH_ATTRIBUTES = Object.values(messages.SEARCH_ATTRIBUTES);
/** `INDEXED_VALUE_TYPE_KEYWORD` of the Temporal API. */
const KEYWORD = 2;

export interface RunOptions {
  change?: Partial<IncidentInput>;
  /** Instead of the shipped one, and as it is. */
  runbook?: CompiledRunbook;
}

/** Runs a test against a time-skipping server of its own. */
export function withIncident<T>(
  world: World,
  test: (incident: IncidentDriver) => Promise<T>,
  options: RunOptions = {},
): Promise<T> {
  return withTimeSkipping(async (env, orLost) => {
    await env.connection.operatorService.addSearchAttributes({
      namespace: env.namespace ?? 'default',
      searchAttributes: Object.fromEntries(SEARCH_ATTRIBUTES.map((name) => [name, KEYWORD])),
    });
    const runbook = options.runbook ?? unhurried(await shippedRunbook());
    return runOn(env, world, runbook, (incident) => orLost(test(incident)), options);
  });
}

/** Runs a test with workers on a server that is there already. */
export async function runOn<T>(
  env: TestWorkflowEnvironment,
  world: World,
  runbook: CompiledRunbook,
  test: (incident: IncidentDriver) => Promise<T>,
  options: RunOptions = {},
): Promise<T> {
  const taskQueue = 'firebreak';
  const activities = world.activities(
    createSignalingActivities(env.client, taskQueue, async () => ({ incidents: [] })),
  );
  const common = { connection: env.nativeConnection, namespace: env.namespace, activities };
  const bundle = await workflowBundle();
  const main = await Worker.create({ ...common, taskQueue, workflowBundle: { codePath: bundle } });
  const cluster = await Worker.create({ ...common, taskQueue: clusterTaskQueue(TARGET.cluster) });
  const driver = new IncidentDriver(env, taskQueue, TARGET, runbook, options.change ?? {});
  return main.runUntil(cluster.runUntil(test(driver)));
}

export async function shippedRunbook(): Promise<CompiledRunbook> {
  const { runbooks } = await loadRunbooks();
  const runbook = runbooks.find((candidate) => candidate.name === 'ai-harm-response');
  if (!runbook) throw new Error('the shipped runbook did not load');
  return runbook;
}

/** Each look costs real time even when the clock is skipped, so tests look less often than production does. */
export function unhurried(runbook: CompiledRunbook): CompiledRunbook {
  return {
    ...runbook,
    watchEveryMs: 10 * 60_000,
    steps: runbook.steps.map((step) =>
      step.uses === 'verify' ? { ...step, with: { ...step.with, pollEveryMs: 5 * 60_000 } } : outOfStep(step),
    ),
  };
}

/**
 * In skipped time an escalation and an approval that is overdue come in the same millisecond, and what one of them stops is a
 * timer that has fired: the time-skipping server fails that task for good ("invalid history builder state"), real ones take
 * the timer out of what is buffered. So they are moved apart.
 */
export function outOfStep(step: StepPlan): StepPlan {
  const { escalate } = step.with as { escalate?: { afterMs: number; to: string[] } };
  if (step.uses !== 'page' || escalate === undefined) return step;
  return { ...step, with: { ...step.with, escalate: { ...escalate, afterMs: escalate.afterMs + 7_001 } } };
}

let fingerprints = 0;

/** Sends alerts and decisions to one incident and waits for what it becomes. */
export class IncidentDriver {
  readonly env: TestWorkflowEnvironment;
  readonly workflowId: string;
  private readonly start: IncidentInput;
  private readonly taskQueue: string;

  constructor(
    env: TestWorkflowEnvironment,
    taskQueue: string,
    target: typeof TARGET,
    runbook: CompiledRunbook,
    change: Partial<IncidentInput>,
  ) {
    this.env = env;
    this.taskQueue = taskQueue;
    const correlation = { cluster: target.cluster, namespace: target.namespace, deployment: target.name };
    this.workflowId = incidentWorkflowId(runbook.name, correlation, (text) =>
      createHash('sha256').update(text).digest('hex'),
    );
    this.start = { runbook, correlation, target: { ok: true, target }, mode: 'approve', ...change };
  }

  alert(change: Partial<Alert> = {}): Alert {
    return {
      status: 'firing',
      labels: { alertname: 'AiHarmfulOutputRateHigh', namespace: 'ai', deployment: 'llm-api' },
      annotations: { summary: 'harm' },
      startsAt: '2026-01-01T00:00:00Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: '',
      fingerprint: `f${fingerprints++}`,
      ...change,
    };
  }

  async send(...alerts: Alert[]): Promise<void> {
    const received: AlertsReceived = {
      groupKey: 'group',
      dedupKey: 'dedup',
      receivedAtMs: await this.env.currentTimeMs(),
      truncatedAlerts: 0,
      externalUrl: 'http://alertmanager.example',
      alerts,
    };
    await this.env.client.workflow.signalWithStart(messages.INCIDENT_WORKFLOW, {
      workflowId: this.workflowId,
      taskQueue: this.taskQueue,
      args: [this.start],
      signal: messages.alertsReceivedSignal,
      signalArgs: [received],
    });
  }

  get handle() {
    return this.env.client.workflow.getHandle(this.workflowId);
  }

  async view(): Promise<IncidentView> {
    return this.handle.query(messages.describeQuery);
  }

  /** Lets time pass in small steps until the view is as wanted. */
  async until(
    what: string,
    wanted: (view: IncidentView) => boolean,
    limitMs = 3_600_000,
  ): Promise<IncidentView> {
    const end = (await this.env.currentTimeMs()) + limitMs;
    // Short steps first, where things happen within seconds; longer ones while only time passes.
    const longestStepMs = Math.max(120_000, limitMs / 100);
    for (let stepMs = 500; ; stepMs = Math.min(stepMs * 1.5, longestStepMs)) {
      const view = await this.view();
      if (wanted(view)) return view;
      if ((await this.env.currentTimeMs()) > end) {
        throw new Error(
          `never ${what}; it is ${view.state}:\n${view.timeline.map((entry) => entry.text).join('\n')}`,
        );
      }
      await this.env.sleep(stepMs);
    }
  }

  signed(view: IncidentView, person: string, change: Partial<Decision> = {}): SignedDecision {
    const pending = view.pendingApprovals[0];
    return {
      decision: {
        decision: 'approve',
        incidentId: view.incidentId,
        step: pending?.step ?? 'rollback',
        planHash: pending?.planHash ?? '',
        person,
        groups: ['ml-oncall'],
        issuedAtMs: 0,
        expiresAtMs: Number.MAX_SAFE_INTEGER,
        accessVersion: 'v',
        via: 'api',
        ...change,
      },
      keyId: 'k',
      signature: 's',
    };
  }

  approve(signed: SignedDecision, person = signed.decision.person) {
    return this.handle.executeUpdate(messages.approveUpdate, {
      args: [{ actor: { person, via: 'api' }, signed }],
    });
  }

  reject(signed: SignedDecision) {
    return this.handle.executeUpdate(messages.rejectUpdate, {
      args: [{ actor: { person: signed.decision.person, via: 'api' }, signed }],
    });
  }
}
