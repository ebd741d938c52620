import type { InputValue } from '../../domain/runbook.ts';
import { putInputs } from '../inputs.ts';
import type { Installation } from '../installation.ts';
import type { Path } from '../problem.ts';

/**
 * A runbook as far as it can be read, whatever else is wrong with it: checks across steps work on this, so that all
 * mistakes are told at once and not one layer after another.
 */
export interface RunbookView {
  name: string | undefined;
  /** Absent where it is no list. */
  match: unknown[] | undefined;
  correlateBy: string[];
  target: Record<string, unknown> | undefined;
  /** Values of the inputs: the installation's, or their defaults. */
  inputs: Record<string, InputValue>;
  /** Names under `spec.inputs`, whether or not they have a value that can be used. */
  declaredInputs: string[];
  /** What the installation sets for this runbook, right or wrong. */
  setInputs: Readonly<Record<string, InputValue>>;
  /** Names of the installation's configuration; absent: they are not known here. */
  installation: Installation | undefined;
  metrics: Map<string, Record<string, unknown>>;
  severity: unknown;
  gitops: unknown;
  steps: StepView[];
}

export interface StepView {
  index: number;
  path: Path;
  id: string | undefined;
  uses: string | undefined;
  needs: string[];
  always: boolean;
  when: unknown;
  whenever: unknown;
  whenUnknown: unknown;
  onFailure: unknown;
  timeout: unknown;
  hasApproval: boolean;
  approval: Record<string, unknown>;
  /** `with` after the values of inputs were put in (inputs.ts). */
  with: Record<string, unknown>;
  /** False where `with` is something else than a map. */
  withIsMap: boolean;
  /** `with` as it stands in the file: places in texts are places in this. */
  written: Record<string, unknown>;
}

export interface ViewOptions {
  /** Values of inputs that the installation sets, by runbook. */
  inputs?: Readonly<Record<string, Readonly<Record<string, InputValue>>>> | undefined;
  installation?: Installation | undefined;
}

export function viewOf(value: unknown, options: ViewOptions = {}): RunbookView {
  const root = recordOf(value);
  const spec = recordOf(root.spec);
  const name = textOf(recordOf(root.metadata).name);
  const set = options.inputs ?? {};
  const own = (name !== undefined && Object.hasOwn(set, name) ? set[name] : undefined) ?? {};
  const inputs: Record<string, InputValue> = {};
  for (const [input, declared] of Object.entries(recordOf(spec.inputs))) {
    const preset = recordOf(declared).default;
    if (!isInputValue(preset) || isTemplate(preset)) continue;
    const chosen = Object.hasOwn(own, input) && !isTemplate(own[input]) ? own[input] : undefined;
    // A value of another type is told; meanwhile the default keeps all else checked.
    inputs[input] = typeof chosen === typeof preset ? (chosen ?? preset) : preset;
  }
  return {
    name,
    inputs,
    declaredInputs: Object.keys(recordOf(spec.inputs)),
    setInputs: own,
    installation: options.installation,
    match: Array.isArray(spec.match) ? spec.match : undefined,
    correlateBy: listOf(spec.correlateBy).filter((item) => typeof item === 'string'),
    target: spec.target === undefined ? undefined : recordOf(spec.target),
    metrics: new Map(
      Object.entries(recordOf(spec.metrics)).map(([name, metric]) => [name, recordOf(metric)]),
    ),
    severity: spec.severity,
    gitops: spec.gitops,
    steps: listOf(spec.steps).map((item, index) => {
      const step = recordOf(item);
      return {
        index,
        path: ['spec', 'steps', index],
        id: textOf(step.id),
        uses: textOf(step.uses),
        needs: listOf(step.needs).filter((need) => typeof need === 'string'),
        always: step.always === true,
        when: step.when,
        whenever: step.whenever,
        whenUnknown: step.whenUnknown,
        onFailure: step.onFailure,
        timeout: step.timeout,
        hasApproval: step.approval !== undefined,
        approval: recordOf(step.approval),
        with: recordOf(putInputs(step.with, inputs)),
        withIsMap: step.with === undefined || isRecord(step.with),
        written: recordOf(step.with),
      };
    }),
  };
}

/** How messages name a step: by its id, or its place where it has none. */
export function nameOf(step: StepView): string {
  return step.id ?? `number ${step.index + 1}`;
}

export function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Values are put in once and never read again; such a one is told (checks/inputs.ts). */
function isTemplate(value: unknown): boolean {
  return typeof value === 'string' && value.includes('${{');
}

function isInputValue(value: unknown): value is InputValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
