import type { CompiledRunbook, StepPlan } from '../domain/runbook.ts';
import { parseExpression } from '../runbooks/expressions.ts';
import { decidingTimes } from './deciding.ts';
import type { SimulatedRun } from './simulate.ts';
import type { Decided } from './world/world.ts';

/** Something that a step can come to: `divert: condition unknown`. */
export interface Branch {
  step: string;
  branch: string;
}

export interface RunbookCoverage {
  /** How many runs it is of. */
  scenarios: number;
  steps: { covered: number; all: number };
  branches: { covered: number; all: number };
  /** Steps that never succeeded and branches that were never taken, in the order of the runbook. */
  never: { step: string; branches: string[] }[];
  /** Part of steps and branches together, in percent. */
  percent: number;
}

const RAN = 'ran';
const HELD = 'condition held';
const NOT_HELD = 'condition did not hold';
const UNKNOWN = 'condition unknown';
const GIVEN = 'approval given';
const REJECTED = 'approval rejected';
const OVERDUE = 'approval overdue';
const PREAPPROVED = 'pre-approved';
const NOT_PREAPPROVED = 'not pre-approved';
const PREAPPROVAL_UNKNOWN = 'pre-approval unknown';
const FAILED = 'failed';
const SKIPPED = 'skipped since a need did not succeed';

/** Every branch of a runbook: what its conditions, approvals and failures can come to. */
export function branchesOf(runbook: CompiledRunbook): Branch[] {
  return runbook.steps.flatMap((step) => branchNames(step).map((branch) => ({ step: step.id, branch })));
}

function branchNames(step: StepPlan): string[] {
  const { when, whenever, approval, needs, always } = step;
  const conditions = [when, whenever].filter((text) => text !== undefined);
  return [
    ...conditions.flatMap((text) => [HELD, NOT_HELD, ...(canBeUnknown(text) ? [UNKNOWN] : [])]),
    ...(approval === undefined ? [] : [GIVEN, REJECTED, OVERDUE]),
    ...(approval?.preapprovedWhen === undefined
      ? []
      : [
          PREAPPROVED,
          NOT_PREAPPROVED,
          ...(canBeUnknown(approval.preapprovedWhen) ? [PREAPPROVAL_UNKNOWN] : []),
        ]),
    FAILED,
    ...(needs.length > 0 && !always ? [SKIPPED] : []),
  ];
}

/** Inputs, the incident and the time are always known. */
function canBeUnknown(expression: string): boolean {
  return parseExpression(expression).references.some(({ kind }) =>
    ['metric', 'step', 'label'].includes(kind),
  );
}

/** What the runs of one runbook have covered together. */
export class Coverage {
  readonly runbook: CompiledRunbook;
  readonly #covered = new Set<string>();
  #scenarios = 0;

  constructor(runbook: CompiledRunbook) {
    this.runbook = runbook;
  }

  add(run: SimulatedRun): void {
    for (const { entries } of run.incidents) {
      for (const { kind, text, actor } of entries) {
        if (kind === 'step') this.#takeEnd(text);
        if (kind === 'decision') this.#takeDecision(text, actor);
      }
    }
    this.#takeConditions(run);
    this.#scenarios++;
  }

  report(): RunbookCoverage {
    const steps = this.runbook.steps.map(({ id }) => ({ step: id, branch: RAN }));
    const branches = branchesOf(this.runbook);
    const isCovered = ({ step, branch }: Branch) => this.#covered.has(key(step, branch));
    const count = (all: Branch[]) => ({ covered: all.filter(isCovered).length, all: all.length });
    const total = count([...steps, ...branches]);
    return {
      scenarios: this.#scenarios,
      steps: count(steps),
      branches: count(branches),
      never: this.runbook.steps.flatMap(({ id }) => {
        const missing = [...steps, ...branches].filter((one) => one.step === id && !isCovered(one));
        return missing.length === 0 ? [] : [{ step: id, branches: missing.map(({ branch }) => branch) }];
      }),
      percent: total.all === 0 ? 100 : (total.covered / total.all) * 100,
    };
  }

  #cover(step: string, branch: string): void {
    this.#covered.add(key(step, branch));
  }

  /** Texts of the engine (workflows/incident/engine.ts): `divert: skipped (needs page, which was failed)`. */
  #takeEnd(text: string): void {
    const [, id = '', status = '', reason = ''] = /^(\S+): ([a-z-]+)(?: \((.*)\))?$/s.exec(text) ?? [];
    // What only would have run, in observe mode, has not.
    if (status === 'succeeded') this.#cover(id, RAN);
    if (status === 'failed') this.#cover(id, FAILED);
    if (status === 'rejected') this.#cover(id, reason.startsWith('rejected by') ? REJECTED : OVERDUE);
    if (status === 'skipped' && reason.startsWith('needs ')) this.#cover(id, SKIPPED);
    if (status === 'skipped' && reason.startsWith('not the case')) this.#cover(id, NOT_HELD);
    if (status === 'skipped' && reason.startsWith('unknown:')) this.#cover(id, UNKNOWN);
  }

  #takeDecision(text: string, actor: string): void {
    const approved = /^approved step (\S+)/.exec(text)?.[1];
    if (approved !== undefined && actor !== 'firebreak') this.#cover(approved, GIVEN);
    const overdue = /^Nobody has decided on (\S+) yet/.exec(text)?.[1];
    if (overdue !== undefined) this.#cover(overdue, OVERDUE);
    const preapproved = /^(\S+) is approved by /.exec(text)?.[1];
    if (preapproved !== undefined) this.#cover(preapproved, PREAPPROVED);
    const [, not, why = ''] = /^(\S+) is not pre-approved: (.*)$/s.exec(text) ?? [];
    if (not !== undefined)
      this.#cover(not, why.startsWith('it is not the case') ? NOT_PREAPPROVED : PREAPPROVAL_UNKNOWN);
  }

  /** What conditions came to while the step itself was deciding: another step with the same condition says nothing. */
  #takeConditions(run: SimulatedRun): void {
    for (const plan of this.runbook.steps) {
      for (const { fromMs, untilMs, started } of decidingTimes(plan, run, this.runbook.steps)) {
        const during = (text: string | undefined) =>
          (run.observed.decided.get(text ?? '') ?? []).filter(
            (one) => one.fromMs <= untilMs && one.toMs >= fromMs,
          );
        // Decided once; what it was skipped for is in its end.
        const [first] = during(plan.when);
        if (started && first?.result === 'held') this.#cover(plan.id, HELD);
        if (started && first?.result === 'unknown') this.#cover(plan.id, UNKNOWN);
        this.#takeWatched(plan, during(plan.whenever), started);
      }
    }
  }

  /** Up to the moment at which the step stopped watching. */
  #takeWatched(plan: StepPlan, results: Decided[], started: boolean): void {
    for (const { result, fromMs, toMs } of results) {
      if (result === 'held') {
        if (started) this.#cover(plan.id, HELD);
        return;
      }
      this.#cover(plan.id, result === 'not' ? NOT_HELD : UNKNOWN);
      const ran = result === 'unknown' && plan.whenUnknown === 'run';
      if (started && ran && toMs - fromMs >= this.runbook.watchEveryMs) return;
    }
  }
}

function key(step: string, branch: string): string {
  return `${step} ${branch}`;
}
