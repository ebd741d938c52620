import type { AlertsReceived } from '../../domain/alert.ts';
import type { IncidentView } from '../../domain/incident.ts';
import type { Answer } from '../../workflows/messages.ts';
import {
  GatewayError,
  type IncidentGateway,
  type IncidentStart,
  type UpdateRequest,
} from '../gateway/types.ts';

/**
 * An IncidentGateway that keeps what it is given and behaves as Temporal does where the edges can tell: a signal to what
 * does not run is refused, and the same update id is answered once.
 */
export class RecordingGateway implements IncidentGateway {
  readonly started: { workflowId: string; start: IncidentStart; alerts: AlertsReceived }[] = [];
  readonly signalled: { workflowId: string; alerts: AlertsReceived }[] = [];
  readonly updates: UpdateRequest[] = [];
  readonly views = new Map<string, IncidentView>();
  readonly running = new Set<string>();
  /** Thrown by every call while set. */
  failure: GatewayError | undefined;
  /** What an update answers, or throws. */
  answer: (request: UpdateRequest) => Answer = (request) => ({ message: `${request.name} recorded` });
  /** Held open while set: calls wait for it. */
  gate: Promise<void> | undefined;
  readonly #answers = new Map<string, Answer>();

  async signalWithStart(input: {
    workflowId: string;
    start: IncidentStart;
    alerts: AlertsReceived;
  }): Promise<void> {
    await this.#pass();
    this.running.add(input.workflowId);
    this.started.push(input);
  }

  async signal(input: { workflowId: string; alerts: AlertsReceived }): Promise<'signalled' | 'not-running'> {
    await this.#pass();
    if (!this.running.has(input.workflowId)) return 'not-running';
    this.signalled.push(input);
    return 'signalled';
  }

  async describe(workflowId: string): Promise<IncidentView | undefined> {
    await this.#pass();
    return this.views.get(workflowId);
  }

  async update(request: UpdateRequest): Promise<Answer> {
    await this.#pass();
    this.updates.push(request);
    const before = this.#answers.get(request.updateId);
    if (before !== undefined) return before;
    if (!this.views.has(request.workflowId))
      throw new GatewayError('not-running', 'No such incident is running.');
    const answer = this.answer(request);
    this.#answers.set(request.updateId, answer);
    return answer;
  }

  async listRunning({ workflowIdPrefix = '' }: { limit: number; workflowIdPrefix?: string }) {
    await this.#pass();
    return [...this.views.keys()]
      .filter((workflowId) => workflowId.startsWith(workflowIdPrefix))
      .map((workflowId) => ({ workflowId, startedAtMs: 0 }));
  }

  async checkReady() {
    const problems = this.failure === undefined ? [] : [`Temporal: ${this.failure.message}`];
    return { ok: problems.length === 0, problems };
  }

  async #pass(): Promise<void> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
  }
}
