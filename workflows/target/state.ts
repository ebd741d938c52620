import type { Ledger } from '../../activities/contract.ts';
import type { Breaker } from '../../domain/breaker.ts';
import { AUTOMATIC_ROLLBACK_EVERY_MS } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { laneOf, type TargetCommand, type TargetReply } from '../../domain/target-command.ts';

/** Answers remembered so that a repeated command is answered, not executed. An incident sends about ten. */
const REMEMBERED_REPLIES = 200;

export type Lane = 'traffic' | 'deployment';

/** Plain JSON: carried over continue-as-new. */
export interface TargetData {
  target: Target;
  breaker: Breaker;
  /** Incidents that hold the target, with the workflow to tell news to. */
  holders: Record<string, { replyTo?: string; sinceMs: number }>;
  ledger: Ledger;
  queue: TargetCommand[];
  replies: TargetReply[];
  /** Ids of commands that are not to be begun. */
  withdrawn: string[];
  /** Id of the command that last wrote the breaker: what the projection must show. */
  projectedBy: string;
  /** A person's override, with its end; nobody but people and the end of their override changes the breaker meanwhile. */
  override?: { force: 'open' | 'closed'; person: string; reason: string; untilMs: number };
  /** When a runbook's version last approved a rollback that may have been made. */
  automaticRollbackAtMs?: number;
  /** How often something else changed the projection back. */
  reverted: number;
}

/** The state of a target's actor. Handlers delegate here; lanes take commands from here. */
export class TargetState {
  readonly data: TargetData;
  /** What each lane is doing, and how to stop it. Not carried over: a run ends with idle lanes. */
  readonly running: Partial<Record<Lane, { id: string; stop?: () => void }>> = {};

  constructor(data: TargetData) {
    this.data = data;
  }

  static create(target: Target, nowMs: number): TargetState {
    return new TargetState({
      target,
      breaker: { state: 'closed', sinceMs: nowMs, reason: 'no incident', share: 1 },
      holders: {},
      ledger: {},
      queue: [],
      replies: [],
      withdrawn: [],
      projectedBy: '',
      reverted: 0,
    });
  }

  receive(command: TargetCommand): void {
    const { data } = this;
    if (command.action.kind === 'withdraw') {
      this.withdraw(command.action.commandId);
      return;
    }
    // A command can arrive after its withdrawal: its sender was retrying.
    if (data.withdrawn.includes(command.id)) return;
    if (data.queue.some((queued) => queued.id === command.id)) return;
    data.queue.push(command);
  }

  private withdraw(id: string): void {
    const { data } = this;
    data.withdrawn.push(id);
    if (data.withdrawn.length > REMEMBERED_REPLIES) data.withdrawn.shift();
    const running = Object.values(this.running).find((entry) => entry.id === id);
    if (running) running.stop?.();
    else data.queue = data.queue.filter((queued) => queued.id !== id);
  }

  /** The next command of a lane, left in the queue until it was answered. */
  next(lane: Lane): TargetCommand | undefined {
    return this.data.queue.find((command) => laneOf(command.action) === lane);
  }

  replyTo(command: TargetCommand): TargetReply | undefined {
    return this.data.replies.find((reply) => reply.commandId === command.id);
  }

  answer(command: TargetCommand, reply: TargetReply): void {
    this.data.queue = this.data.queue.filter((queued) => queued.id !== command.id);
    if (!this.replyTo(command)) this.data.replies.push(reply);
    if (this.data.replies.length > REMEMBERED_REPLIES) this.data.replies.shift();
  }

  hold(command: TargetCommand, nowMs: number): void {
    this.data.holders[command.incidentId] ??= { replyTo: command.replyTo, sinceMs: nowMs };
  }

  /** When the next rollback may be made without people; undefined: now. */
  nextAutomaticRollbackAtMs(nowMs: number): number | undefined {
    const { automaticRollbackAtMs } = this.data;
    if (automaticRollbackAtMs === undefined) return undefined;
    const nextAtMs = automaticRollbackAtMs + AUTOMATIC_ROLLBACK_EVERY_MS;
    return nextAtMs > nowMs ? nextAtMs : undefined;
  }

  get idle(): boolean {
    return this.data.queue.length === 0 && !this.running.traffic && !this.running.deployment;
  }

  /** The actor may end: traffic is normal, nobody holds the target, and nothing is known bad. */
  get finished(): boolean {
    return (
      this.idle &&
      this.data.breaker.state === 'closed' &&
      this.data.override === undefined &&
      Object.keys(this.data.holders).length === 0 &&
      !Object.values(this.data.ledger).some((entry) => entry.verdict === 'known-bad')
    );
  }
}
