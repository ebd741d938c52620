import type { InputValue } from '../../domain/runbook.ts';
import { splitTemplate } from '../../domain/template.ts';
import type { Path, Problem } from '../rules.ts';
import type { YamlSource } from '../yaml-source.ts';

/**
 * A runbook as far as it can be read, whatever else is wrong with it: checks across steps work on this, so that all
 * mistakes are told at once and not one layer after another.
 */
export interface RunbookView {
  name: string | undefined;
  match: unknown[];
  correlateBy: string[];
  target: Record<string, unknown> | undefined;
  /** Values of the inputs: the installation's, or their defaults. */
  inputs: Record<string, InputValue>;
  metrics: Map<string, Record<string, unknown>>;
  severity: unknown;
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
  hasApproval: boolean;
  approval: Record<string, unknown>;
  /** With the values of inputs in place of `${{ inputs.<name> }}`. */
  with: Record<string, unknown>;
}

export type Check = (view: RunbookView, source: YamlSource) => Problem[];

/** @param set values of inputs that the installation sets, by runbook. */
export function viewOf(
  value: unknown,
  set: Readonly<Record<string, Readonly<Record<string, InputValue>>>> = {},
): RunbookView {
  const root = recordOf(value);
  const spec = recordOf(root.spec);
  const name = textOf(recordOf(root.metadata).name);
  const own = name !== undefined && Object.hasOwn(set, name) ? set[name] : undefined;
  const inputs: Record<string, InputValue> = {};
  for (const [input, declared] of Object.entries(recordOf(spec.inputs))) {
    const preset = recordOf(declared).default;
    const chosen = own !== undefined && Object.hasOwn(own, input) ? own[input] : preset;
    if (isInputValue(chosen)) inputs[input] = chosen;
  }
  return {
    name,
    inputs,
    match: listOf(spec.match),
    correlateBy: listOf(spec.correlateBy).filter((item) => typeof item === 'string'),
    target: spec.target === undefined ? undefined : recordOf(spec.target),
    metrics: new Map(
      Object.entries(recordOf(spec.metrics)).map(([name, metric]) => [name, recordOf(metric)]),
    ),
    severity: spec.severity,
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
        hasApproval: step.approval !== undefined,
        approval: recordOf(step.approval),
        with: recordOf(withInputs(step.with, inputs)),
      };
    }),
  };
}

/** How messages name a step: by its id, or its place where it has none. */
export function nameOf(step: StepView): string {
  return step.id ?? `number ${step.index + 1}`;
}

export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isInputValue(value: unknown): value is InputValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

const INPUT_REFERENCE = /^inputs\.([a-zA-Z_][a-zA-Z0-9_]*)$/;

/**
 * Puts the values of inputs in place of `${{ inputs.<name> }}`. A text that is nothing else becomes the value with its
 * type; other expressions stay for the run, and so do inputs that there are not (they are told by the checks).
 */
function withInputs(value: unknown, inputs: Readonly<Record<string, InputValue>>): unknown {
  if (Array.isArray(value)) return value.map((item) => withInputs(item, inputs));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withInputs(item, inputs)]));
  }
  if (typeof value !== 'string') return value;
  const parts = splitTemplate(value).map((part) => {
    if ('text' in part) return part.text;
    const name = INPUT_REFERENCE.exec(part.expression)?.[1];
    const known = name !== undefined && Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    return known ?? value.slice(part.start, part.end);
  });
  return parts.length === 1 ? parts[0] : parts.join('');
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
