import type { CompiledRunbook, StepPlan } from '../domain/runbook.ts';
import type { SimulatedRun } from './simulate.ts';

/** Steps that had not ended when a scenario did, and what each waits for: `divert still watches for metrics.x > 1`. */
export function stillOpen(run: SimulatedRun, runbook: CompiledRunbook): string[] {
  const view = run.incidents.at(-1)?.view;
  return (view?.steps ?? []).flatMap(({ id, status }) => {
    const plan = runbook.steps.find((step) => step.id === id);
    const why = plan === undefined ? undefined : waitsFor(plan, status);
    return why === undefined ? [] : [`${id} ${why}`];
  });
}

function waitsFor({ whenever, approval, with: input, needs }: StepPlan, status: string): string | undefined {
  switch (status) {
    case 'watching':
      return `still watches for ${whenever}`;
    case 'awaiting-approval':
      return `still waits for ${approval?.count ?? 1} of ${approval?.from.join(' or ') ?? 'people'}`;
    case 'waiting':
      return typeof input.until === 'string'
        ? `still waits for ${input.until}, or its time`
        : 'still waits for its time';
    case 'running':
      return 'still runs';
    case 'pending':
      return `still waits for ${needs.join(', ') || 'its start'}`;
    default:
      return undefined;
  }
}
