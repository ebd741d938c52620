import { writeDuration } from '../../domain/duration.ts';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { stepDefinition } from '../steps/definitions.ts';

/** The longest that something can take, or why nothing bounds it. */
export type Bound = { ms: number } | { unbounded: string };

/** What a condition takes at the longest: then it counts as unknown (workflows/incident/services.ts, measure). */
export const MEASURE_WITHIN_MS = 30_000;

const NOW: Bound = { ms: 0 };

function later(a: Bound, b: Bound): Bound {
  if ('unbounded' in a) return a;
  if ('unbounded' in b) return b;
  return { ms: Math.max(a.ms, b.ms) };
}

function plus(bound: Bound, ms: number): Bound {
  return 'unbounded' in bound ? bound : { ms: bound.ms + ms };
}

/** When steps start, ask and end at the latest, counted from the alert. */
export class Bounds {
  private readonly runbook: CompiledRunbook;
  private readonly ends = new Map<string, Bound>();

  constructor(runbook: CompiledRunbook) {
    this.runbook = runbook;
  }

  /** All that it needs has ended. */
  start(step: StepPlan): Bound {
    return step.needs
      .flatMap((id) => this.runbook.steps.find((other) => other.id === id) ?? [])
      .map((needed) => this.end(needed))
      .reduce(later, NOW);
  }

  /** People are asked: its condition has been decided, and its plan is made. */
  asks(step: StepPlan): Bound {
    return planned(step, this.decided(step));
  }

  /** It has ended, however it ended. */
  end(step: StepPlan): Bound {
    const known = this.ends.get(step.id);
    if (known !== undefined) return known;
    const end = finish(step, this.decided(step));
    this.ends.set(step.id, end);
    return end;
  }

  /**
   * Containment: the first diversion is seen in traffic. `sinceCondition`: counted from the moment at which its standing
   * condition is seen to hold, not from the alert.
   */
  containment(): { step: StepPlan; bound: Bound; sinceCondition: boolean } | undefined {
    const [first, ...others] = this.runbook.steps
      .filter((step) => step.uses === 'divert')
      .map((step) => this.diversion(step));
    if (first === undefined) return undefined;
    return others.reduce((best, next) => (isSooner(next.bound, best.bound) ? next : best), first);
  }

  private diversion(step: StepPlan): { step: StepPlan; bound: Bound; sinceCondition: boolean } {
    if (step.whenever === undefined) return { step, bound: this.end(step), sinceCondition: false };
    // At worst it comes true just after a slow measurement has read its values: the next one sees it.
    const seen = plus(this.conditioned(step), 2 * MEASURE_WITHIN_MS + this.runbook.watchEveryMs);
    return { step, bound: finish(step, seen), sinceCondition: true };
  }

  /** Its `when` has been decided. */
  private conditioned(step: StepPlan): Bound {
    return plus(this.start(step), step.when === undefined ? 0 : MEASURE_WITHIN_MS);
  }

  private decided(step: StepPlan): Bound {
    const start = this.conditioned(step);
    if (step.whenever === undefined || 'unbounded' in start) return start;
    return { unbounded: `${step.id} waits until ${step.whenever}` };
  }
}

/** The end of a step whose condition has been decided at `decided`: its plan, its people, its own time. */
function finish(step: StepPlan, decided: Bound): Bound {
  const asked = planned(step, decided);
  const { approval } = step;
  if (approval === undefined) return plus(asked, step.timeoutMs);
  if (approval.onTimeout === 'reject') return plus(asked, approval.timeoutMs + step.timeoutMs);
  if ('unbounded' in asked) return asked;
  return {
    unbounded: `${step.id} waits for people, who are called again every ${writeDuration(approval.timeoutMs)}`,
  };
}

function isSooner(a: Bound, b: Bound): boolean {
  return 'ms' in a && (!('ms' in b) || a.ms < b.ms);
}

/** Its plan is made, within its timeout, and it is known whether the runbook approves by itself. */
function planned(step: StepPlan, decided: Bound): Bound {
  const plan = stepDefinition(step.uses)?.prepares ? step.timeoutMs : 0;
  return plus(decided, plan + (step.approval?.preapprovedWhen === undefined ? 0 : MEASURE_WITHIN_MS));
}

export function boundText(bound: Bound): string {
  return 'ms' in bound
    ? bound.ms === 0
      ? 'at once'
      : `within ${writeDuration(bound.ms)}`
    : `no limit: ${bound.unbounded}`;
}
