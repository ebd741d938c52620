import { writeDuration } from '../../domain/duration.ts';
import type { ApprovalSpec, CompiledRunbook, InputValue, StepPlan } from '../../domain/runbook.ts';
import { changesProduction } from '../steps/define.ts';
import { describeStep, stepDefinition } from '../steps/definitions.ts';
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
      .filter(isChange)
      .map((step) => `${step.id}: ${describeStep(step)}${gitText(step, runbook)}`),
    asked: runbook.steps.flatMap((step) =>
      step.approval === undefined
        ? []
        : [{ step: step.id, who: whoIsAsked(step.approval), at: boundText(bounds.asks(step)) }],
    ),
    containment: containmentText(runbook, bounds),
    humanNeeded: humanText(runbook, bounds),
    ends: endsText(runbook),
    mermaid: mermaidOf(runbook, describeStep),
  };
}

function isChange(step: StepPlan): boolean {
  return changesProduction(stepDefinition(step.uses), step.with);
}

/** Where nothing is said, a workload from Git is not rolled back at all. */
function gitText({ uses }: StepPlan, { gitops }: CompiledRunbook): string {
  if (uses !== 'rollback' || gitops === 'refuse') return '';
  return gitops === 'suspend'
    ? '; where Git writes the target, its sync is suspended with that, until Git no longer renders what was left'
    : '; where Git writes the target, it is not rolled back, and a pull request takes the change back in Git';
}

/** As workflows/incident/workflow.ts resolves it: what is not proved to be mitigated does not end by itself. */
function endsText(runbook: CompiledRunbook): string {
  const uses = (type: string) => runbook.steps.some((step) => step.uses === type);
  const quiet = `no alert has fired for ${writeDuration(runbook.resolveAfterMs)}`;
  const proved =
    uses('verify') && uses('restore')
      ? `by itself once recovery is proved, traffic is restored, ${quiet} and no human is needed; otherwise when a person resolves it, with a reason`
      : 'when a person resolves it, with a reason';
  if (runbook.target === undefined) return proved;
  return `${proved}; where the target is in observe mode, by itself too, when ${quiet}, all steps have ended or only watch, and no human is needed`;
}

function explainStep(step: StepPlan, runbook: CompiledRunbook): StepExplanation {
  const condition = conditionText(step, runbook);
  return {
    id: step.id,
    uses: step.uses,
    does: describeStep(step),
    changesProduction: isChange(step),
    ...(condition === undefined ? {} : { condition }),
    ...(step.approval === undefined ? {} : { asks: approvalText(step.approval) }),
    ifItFails: FAILURE_TEXT[step.onFailure],
    startsAfter: step.needs,
    always: step.always,
  };
}

/** What the failure of a step means where the runbook says nothing else. */
export const USUAL_FAILURE =
  'the commander is paged, and what needs it is skipped, unless it starts however that ended; the same where nobody approves in time and that means no; where a person says no, what needs it is skipped and the incident waits for people';

const FAILURE_TEXT: Record<StepPlan['onFailure'], string> = {
  continue: 'nobody is called, what needs it is skipped, and the rest goes on',
  escalate: USUAL_FAILURE,
  halt: 'the commander is paged, what waits, watches or asks is skipped, and nothing else starts',
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

function containmentText(runbook: CompiledRunbook, bounds: Bounds): string {
  const found = bounds.containment();
  if (found === undefined) return 'never: no step diverts traffic';
  const { step, bound, sinceCondition } = found;
  const others = runbook.steps.some((other) => other.uses === 'divert' && other !== step);
  const condition = step.when === undefined ? '' : `if, when it could start, ${step.when}${unless(step)}, `;
  const otherwise =
    step.when === undefined ? '' : `; otherwise ${others ? `not by ${step.id}` : 'it is not contained'}`;
  const silent = silentText(step, runbook);
  if ('unbounded' in bound) return `${condition}${boundText(bound)}${otherwise}${silent}`;
  const unknown = step.whenUnknown === 'run' ? ', or is unknown twice in a row' : '';
  const since = sinceCondition ? `of the moment at which ${step.whenever}${unknown}` : 'of the alert';
  const needed = step.needs.length === 0 || step.always ? '' : ' or what it needs';
  const no =
    step.approval === undefined
      ? ''
      : `; when people say no, ${step.id} does not run and the incident waits for them`;
  return `${condition}${boundText(bound)} ${since}, or ${step.id}${needed} has failed and the commander is paged${no}${otherwise}${silent}`;
}

function unless(step: StepPlan): string {
  return step.whenUnknown === 'run' ? ' (also when that cannot be measured)' : '';
}

/** What keeps a step from starting without anybody being called: steps before it that fail or are skipped quietly. */
function silentText(step: StepPlan, runbook: CompiledRunbook): string {
  const before = neededBy(step, runbook);
  const ids = (steps: StepPlan[]) => steps.map(({ id }) => id).join(' or ');
  const failing = before.filter(({ onFailure }) => onFailure === 'continue');
  const conditional = before.filter(({ when }) => when !== undefined);
  return [
    ...(failing.length === 0 ? [] : [`; when ${ids(failing)} fails, it is skipped and nobody is called`]),
    ...(conditional.length === 0
      ? []
      : [`; when ${ids(conditional)} is skipped by its condition, so is ${step.id}, and nobody is called`]),
  ].join('');
}

/** Steps that have to succeed before a step starts, near and far, in the order of the runbook. */
function neededBy(step: StepPlan, runbook: CompiledRunbook): StepPlan[] {
  const found = new Set<string>();
  const walk = ({ needs, always }: StepPlan): void => {
    if (always) return;
    for (const id of needs) {
      if (found.has(id)) continue;
      found.add(id);
      for (const other of runbook.steps) if (other.id === id) walk(other);
    }
  };
  walk(step);
  return runbook.steps.filter(({ id }) => found.has(id));
}

/** Who is woken first, and when the first decision is due. */
function humanText(runbook: CompiledRunbook, bounds: Bounds): string {
  const pages = runbook.steps.filter((step) => step.uses === 'page');
  const paged =
    pages.length === 0
      ? 'Nobody is paged.'
      : `${pages.map((step) => `${step.id} ${describeStep(step)}, starting ${boundText(bounds.start(step))}`).join('; ')}.`;
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
