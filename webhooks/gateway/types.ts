import type { AlertsReceived } from '../../domain/alert.ts';
import type { Drill } from '../../domain/drill.ts';
import type { IncidentView } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import type { Mode, TargetResolution } from '../../domain/target.ts';
import type { Declaration } from '../../workflows/incident/state.ts';
import type { Answer } from '../../workflows/messages.ts';

/** What a new incident's workflow is started with. */
export interface IncidentStart {
  runbook: CompiledRunbook;
  correlation: Record<string, string>;
  mode: Mode;
  target: TargetResolution;
  /** A person opened it, not an alert. */
  declared?: Declaration;
  drill?: Drill;
}

/** A running incident as visibility knows it. Visibility lags behind by a second or so. */
interface RunningIncident {
  workflowId: string;
  startedAtMs: number;
}

/** The update of workflows/messages.ts that a person's action is sent as. */
export interface UpdateRequest {
  workflowId: string;
  /** Name of the update. */
  name: string;
  /** The same id again is the same update: sending it twice does it once. */
  updateId: string;
  argument: unknown;
}

interface Readiness {
  ok: boolean;
  /** One line each, for people. */
  problems: string[];
}

/**
 * What the edges need of Temporal. Every method answers or throws within a few seconds.
 * Throws GatewayError only.
 */
export interface IncidentGateway {
  /** Delivers alerts to the incident, starting it when it does not run. Resolves when both are durable. */
  signalWithStart(input: { workflowId: string; start: IncidentStart; alerts: AlertsReceived }): Promise<void>;
  /** Delivers alerts to an incident that runs. */
  signal(input: { workflowId: string; alerts: AlertsReceived }): Promise<'signalled' | 'not-running'>;
  /** The live view; undefined when no such workflow runs. */
  describe(workflowId: string): Promise<IncidentView | undefined>;
  update(request: UpdateRequest): Promise<Answer>;
  /** Running incidents, newest first; `workflowIdPrefix` narrows them. */
  listRunning(filter: { limit: number; workflowIdPrefix?: string }): Promise<RunningIncident[]>;
  /** Whether the namespace answers and every search attribute is registered. */
  checkReady(): Promise<Readiness>;
}

/**
 * - unavailable: nothing is known about whether it arrived; trying again can help (and is safe: ids are idempotent).
 * - refused: Temporal or the workflow said no; `message` is the workflow's sentence for the person.
 * - not-running: there is no such workflow, or it has completed.
 */
export type GatewayProblem = 'unavailable' | 'refused' | 'not-running';

export class GatewayError extends Error {
  readonly problem: GatewayProblem;
  /** For `refused`: the failure type of domain/failure.ts, where the workflow gave one. */
  readonly failureType: string | undefined;

  constructor(
    problem: GatewayProblem,
    message: string,
    more: { cause?: unknown; failureType?: string } = {},
  ) {
    super(message, { cause: more.cause });
    this.name = 'GatewayError';
    this.problem = problem;
    this.failureType = more.failureType;
  }
}
