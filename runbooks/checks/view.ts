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
  with: Record<string, unknown>;
}

export type Check = (view: RunbookView, source: YamlSource) => Problem[];

export function viewOf(value: unknown): RunbookView {
  const root = recordOf(value);
  const spec = recordOf(root.spec);
  return {
    name: textOf(recordOf(root.metadata).name),
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
        with: recordOf(step.with),
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

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
