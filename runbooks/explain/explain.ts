import { writeDuration } from '../../domain/duration.ts';
import type { ApprovalSpec, CompiledRunbook, InputValue, StepPlan } from '../../domain/runbook.ts';
import { stepDefinition } from '../steps/definitions.ts';
import { type Bound, Bounds, boundText } from './bounds.ts';
import { mermaidOf } from './mermaid.ts';

export interface StepExplanation {
  id: string;
  uses: string;
  /** Continues "this step ...". */
  does: string;
  changesProduction: boolean;
  /** When it starts, beyond what it needs. */
  condition?: string;
  asks?: string;
  ifItFails: string;
  startsAfter: string[];
  /** Starts whatever became of them. */
  always: boolean;
}

/** What a runbook will do, before anything has happened. */
export interface Explanation {
  name: string;
  version: number;
  owner: string;
  hash: string;
  answers: string;
  oneIncident: string;
  actsOn: string;
  severity: string;
  /** Values that conditions read, as they are without an installation's own. */
  inputs: Record<string, InputValue>;
  /** Steps that can run side by side, in the order in which they become possible. */
  order: StepExplanation[][];
  changesProduction: string[];
  asked: { step: string; who: string; at: string }[];
  containment: string;
  humanNeeded: string;
  ends: string;
  mermaid: string;
}

/** Explains a compiled runbook in plain words. Every text of the runbook stays as it is: escape it where it is shown. */
export function explainRunbook(runbook: CompiledRunbook): Explanation {
  const bounds = new Bounds(runbook);
  return {
    name: runbook.name,
    version: runbook.version,
    owner: runbook.owner,
    hash: runbook.hash,
    answers:
      runbook.match.length === 0
        ? 'alerts with the label rmf_function that no other runbook answers'
        : `alerts with ${runbook.match.map(({ label, op, value }) => `${label}${op}${JSON.stringify(value)}`).join(' and ')}`,
    oneIncident: `for each ${runbook.correlateBy.join(', ')}`,
    actsOn:
      runbook.target === undefined
        ? 'nothing: it has no target'
        : `${runbook.target.kind} ${runbook.target.namespace}/${runbook.target.name} in cluster ${runbook.target.cluster || '(the only one configured)'}`,
    severity: runbook.severity,
    inputs: runbook.inputs,
    order: levelsOf(runbook).map((level) => level.map((step) => explainStep(step, runbook))),
    changesProduction: runbook.steps
      .filter((step) => step.mutates)
      .map((step) => `${step.id}: ${describe(step)}`),
    asked: runbook.steps.flatMap((step) =>
      step.approval === undefined
        ? []
        : [{ step: step.id, who: whoIsAsked(step.approval), at: boundText(bounds.asks(step)) }],
    ),
    containment: containmentText(bounds),
    humanNeeded: humanText(runbook, bounds),
    ends: `by itself once recovery is proved, traffic is restored and no alert has fired for ${writeDuration(runbook.resolveAfterMs)}; otherwise by a person, with a reason`,
    mermaid: mermaidOf(runbook, describe),
  };
}

function describe(step: StepPlan): string {
  return stepDefinition(step.uses)?.describe(step.with) ?? `runs ${step.uses}`;
}

function explainStep(step: StepPlan, runbook: CompiledRunbook): StepExplanation {
  const condition = conditionText(step, runbook);
  return {
    id: step.id,
    uses: step.uses,
    does: describe(step),
    changesProduction: step.mutates,
    ...(condition === undefined ? {} : { condition }),
    ...(step.approval === undefined ? {} : { asks: approvalText(step.approval) }),
    ifItFails: FAILURE_TEXT[step.onFailure],
    startsAfter: step.needs,
    always: step.always,
  };
}

/** What the failure of a step means where the runbook says nothing else. */
export const USUAL_FAILURE = 'the commander is paged, and what needs it is skipped';

const FAILURE_TEXT: Record<StepPlan['onFailure'], string> = {
  continue: 'the rest goes on, and nobody is called',
  escalate: USUAL_FAILURE,
  halt: 'the commander is paged, and nothing else starts',
};

function conditionText(step: StepPlan, runbook: CompiledRunbook): string | undefined {
  const unknown =
    step.whenUnknown === 'run' ? 'also when that cannot be measured' : 'not when that cannot be measured';
  if (step.when !== undefined) return `only if, when it could start, ${step.when} (${unknown})`;
  if (step.whenever === undefined) return undefined;
  return `as soon as ${step.whenever}, looked at every ${writeDuration(runbook.watchEveryMs)} (${unknown})`;
}

function whoIsAsked({ from, count }: ApprovalSpec): string {
  return `${count === 1 ? 'one person' : `${count} different people`} of ${from.join(' or ')}`;
}

function approvalText(approval: ApprovalSpec): string {
  const late =
    approval.onTimeout === 'reject'
      ? `nobody within ${writeDuration(approval.timeoutMs)} means no`
      : `the commander is paged every ${writeDuration(approval.timeoutMs)} until somebody decides`;
  return [
    `asks ${whoIsAsked(approval)}`,
    late,
    ...(approval.preapprovedWhen === undefined
      ? []
      : [`nobody is asked where the target's mode is auto and ${approval.preapprovedWhen}`]),
    ...(approval.breakGlass
      ? ['one person with the break-glass right may approve alone, with a reason']
      : []),
  ].join('; ');
}

function containmentText(bounds: Bounds): string {
  const found = bounds.containment();
  if (found === undefined) return 'never: no step diverts traffic';
  const { step, bound, sinceCondition } = found;
  if ('unbounded' in bound) return boundText(bound);
  if (!sinceCondition)
    return `${boundText(bound)} of the alert, or ${step.id} has failed and the commander is paged`;
  const unknown = step.whenUnknown === 'run' ? ', or is unknown twice in a row' : '';
  return `${boundText(bound)} of the moment at which ${step.whenever}${unknown}, or ${step.id} has failed and the commander is paged`;
}

/** Who is woken first, and when the first decision is due. */
function humanText(runbook: CompiledRunbook, bounds: Bounds): string {
  const pages = runbook.steps.filter((step) => step.uses === 'page');
  const paged =
    pages.length === 0
      ? 'Nobody is paged.'
      : `${pages.map((step) => `${step.id} ${describe(step)}, starting ${boundText(bounds.start(step))}`).join('; ')}.`;
  const asks = runbook.steps.filter((step) => step.approval !== undefined);
  if (asks.length === 0) return `${paged} Nobody has to decide anything unless a step fails.`;
  const first = asks.map((step): [StepPlan, Bound] => [step, bounds.asks(step)]);
  const text = first.map(([step, bound]) => `${step.id} asks ${boundText(bound)}`).join('; ');
  return `${paged} The first decision: ${text}.`;
}

/** Steps by the longest way of needs to them. */
function levelsOf(runbook: CompiledRunbook): StepPlan[][] {
  const depths = new Map<string, number>();
  const depthOf = (step: StepPlan): number => {
    const known = depths.get(step.id);
    if (known !== undefined) return known;
    const needed = step.needs.flatMap((id) => runbook.steps.find((other) => other.id === id) ?? []);
    const depth = needed.length === 0 ? 0 : 1 + Math.max(...needed.map(depthOf));
    depths.set(step.id, depth);
    return depth;
  };
  const levels: StepPlan[][] = [];
  for (const step of runbook.steps) {
    const depth = depthOf(step);
    levels[depth] = [...(levels[depth] ?? []), step];
  }
  return levels;
}
