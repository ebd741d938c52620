import type { Ledger } from '../../activities/contract.ts';
import {
  type BreakerControl,
  type BreakerDecision,
  type BreakerEvent,
  decideBreaker,
  newBreakerControl,
  type RunningRevision,
} from '../../domain/breaker-machine.ts';
import type { FailureType } from '../../domain/failure.ts';
import type { GitOpsRef } from '../../domain/gitops-plan.ts';
import { AUTOMATIC_ROLLBACK_EVERY_MS } from '../../domain/rollback-plan.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import type { Target } from '../../domain/target.ts';
import { laneOf, type TargetCommand, type TargetReply, type WatchSpec } from '../../domain/target-command.ts';
import type { HarmLimits } from '../../domain/verification/judge-harm.ts';
import type { Frozen, TargetView } from '../messages.ts';

/** Answers remembered so that a repeated command is answered, not executed. An incident sends about ten. */
const REMEMBERED_REPLIES = 200;

export type Lane = 'traffic' | 'deployment';

/** A command that is not carried out, with the reason for whoever sent it. */
export class CommandRefused extends Error {
  readonly type: FailureType;
  constructor(type: FailureType, message: string) {
    super(message);
    this.type = type;
  }
}

/** Plain JSON: carried over continue-as-new. */
export interface TargetData {
  target: Target;
  control: BreakerControl;
  ledger: Ledger;
  queue: TargetCommand[];
  replies: TargetReply[];
  /** Ids of commands that are not to be begun. */
  withdrawn: string[];
  /** What gateways read was looked at, and taken over where it was not closed. */
  adopted: boolean;
  /** Id of the command that last wrote the breaker: what the projection must show. */
  projectedBy: string;
  projectedAtMs: number;
  /** Where the breaker could not be written, in words; written again until there are none. */
  projectionProblems: string[];
  /** Incident that was told last that another one waits for it. */
  askedToLetGo?: string;
  /** How often something else changed the projection back. */
  reverted: number;
  /** How the fallback is watched while it serves. */
  fallbackHarm?: { limits: HarmLimits; metrics: Record<string, MetricSpec> };
  /** Looks in a row that found the fallback unable to serve. */
  fallbackAway: number;
  /** Ready replicas when traffic was sent away: what must be there again for all of it. */
  capacityBefore?: number;
  /** GitOps objects whose sync was suspended with a rollback, and those of them that people were told of. */
  suspended: { ref: GitOpsRef; told?: string }[];
  suspendedLookAtMs: number;
  watch?: WatchSpec;
  /** Alerts that the actor raised and that are not over. */
  raised: { alertname: string; key: string }[];
  /** In mode observe: when the breaker would have tripped, told once in a recovery time. */
  wouldHaveTrippedAtMs?: number;
  frozen?: Frozen;
  /** When a runbook's version last approved a rollback that may have been made. */
  automaticRollbackAtMs?: number;
}

/** The state of a target's actor. Handlers delegate here; lanes take commands from here. */
export class TargetState {
  readonly data: TargetData;
  /** What each lane is doing, and how to stop it. Not carried over: a run ends with idle lanes. */
  readonly running: Partial<Record<Lane, { id: string; stop?: () => void }>> = {};
  /** A proved revision is being tried again. */
  probing = false;

  constructor(data: TargetData) {
    this.data = data;
  }

  static create(target: Target, nowMs: number): TargetState {
    return new TargetState({
      target,
      control: newBreakerControl(nowMs),
      ledger: {},
      queue: [],
      replies: [],
      withdrawn: [],
      adopted: false,
      projectedBy: '',
      projectedAtMs: 0,
      projectionProblems: [],
      reverted: 0,
      raised: [],
      suspended: [],
      suspendedLookAtMs: 0,
      fallbackAway: 0,
    });
  }

  get breaker() {
    return this.data.control.breaker;
  }

  get view(): TargetView {
    const { control, ledger, frozen, watch } = this.data;
    return {
      breaker: control.breaker,
      holders: Object.keys(control.holders),
      ledger,
      override: control.override,
      frozen,
      watching: watch !== undefined,
    };
  }

  /** What the breaker's machine says to an event; nothing is changed yet. @throws CommandRefused */
  decide(event: BreakerEvent): Extract<BreakerDecision, { ok: true }> {
    const decision = decideBreaker(this.data.control, event, Date.now());
    if (!decision.ok) throw new CommandRefused(decision.type, decision.message);
    return decision;
  }

  /** What runs on the target, as the ledger knows it. */
  runningRevision(templateHash: string): RunningRevision {
    const known = this.data.ledger[templateHash];
    return {
      templateHash,
      verdict: known?.verdict,
      reason: known?.reason,
      judgedAtMs: known?.atMs,
      changing: this.running.deployment !== undefined,
    };
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
    const waiting = this.data.queue.filter((command) => laneOf(command.action) === lane);
    // Containment waits for nothing that could give traffic back.
    return waiting.find(({ action }) => action.kind === 'divert' || action.kind === 'contain') ?? waiting[0];
  }

  replyTo(command: TargetCommand): TargetReply | undefined {
    return this.data.replies.find((reply) => reply.commandId === command.id);
  }

  answer(command: TargetCommand, reply: TargetReply): void {
    this.data.queue = this.data.queue.filter((queued) => queued.id !== command.id);
    if (!this.replyTo(command)) this.data.replies.push(reply);
    if (this.data.replies.length > REMEMBERED_REPLIES) this.data.replies.shift();
  }

  /** Why nothing but containment is done to the target now; undefined: it is not frozen. */
  frozenUntil(nowMs: number): string | undefined {
    const { frozen } = this.data;
    if (!frozen || frozen.untilMs <= nowMs) return undefined;
    return `frozen by ${frozen.person} until ${new Date(frozen.untilMs).toISOString()}`;
  }

  /** When the next rollback may be made without people; undefined: now. */
  nextAutomaticRollbackAtMs(nowMs: number): number | undefined {
    const { automaticRollbackAtMs } = this.data;
    if (automaticRollbackAtMs === undefined) return undefined;
    const nextAtMs = automaticRollbackAtMs + AUTOMATIC_ROLLBACK_EVERY_MS;
    return nextAtMs > nowMs ? nextAtMs : undefined;
  }

  get idle(): boolean {
    const { running } = this;
    return this.data.queue.length === 0 && !running.traffic && !running.deployment && !this.probing;
  }

  /** The actor may end: traffic is normal, nobody holds or watches the target, and nothing is known bad. */
  get finished(): boolean {
    const { control, ledger, watch, frozen } = this.data;
    return (
      this.idle &&
      this.data.adopted &&
      control.breaker.state === 'closed' &&
      control.override === undefined &&
      Object.keys(control.holders).length === 0 &&
      watch === undefined &&
      this.data.raised.length === 0 &&
      this.data.suspended.length === 0 &&
      this.data.projectionProblems.length === 0 &&
      frozen === undefined &&
      !Object.values(ledger).some((entry) => entry.verdict === 'known-bad')
    );
  }
}
