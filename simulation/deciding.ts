import { ENDED_STEP, type StepStatus } from '../domain/incident.ts';
import type { StepPlan } from '../domain/runbook.ts';
import type { SimulatedIncident, SimulatedRun } from './simulate.ts';

/** From the moment at which a step could start until it ended or asked; `started`: its conditions let it. */
export interface DecidingTime {
  fromMs: number;
  untilMs: number;
  started: boolean;
}

const NEW_ROUND = /^A new alert fired after mitigation/;
const STARTED: ReadonlySet<string> = new Set(['succeeded', 'would-have', 'failed', 'rejected']);

/** When a step was deciding about its conditions, over all incidents and rounds, by the timeline. */
export function decidingTimes(plan: StepPlan, run: SimulatedRun, steps: readonly StepPlan[]): DecidingTime[] {
  return run.incidents.flatMap((incident) => timesOf(plan, incident, run.endMs, steps));
}

function timesOf(
  plan: StepPlan,
  { entries }: SimulatedIncident,
  endMs: number,
  steps: readonly StepPlan[],
): DecidingTime[] {
  const times: DecidingTime[] = [];
  const ended = new Map<string, string>();
  let fromMs: number | undefined;
  const mayDecide = () => {
    const needs = plan.needs.map((id) => ended.get(id));
    if (needs.includes(undefined) || ended.has(plan.id)) return false;
    return plan.always || needs.every((status) => status === 'succeeded' || status === 'would-have');
  };
  const close = (untilMs: number, started: boolean) => {
    if (fromMs !== undefined) times.push({ fromMs, untilMs, started });
    fromMs = undefined;
  };
  let asked = false;
  for (const { atMs, kind, text } of entries) {
    const retried = kind === 'decision' ? /^retries step (\S+)$/.exec(text)?.[1] : undefined;
    if ((kind === 'alert' && NEW_ROUND.test(text)) || retried !== undefined) {
      const again = retried === undefined ? undefined : startedAnew(retried, steps);
      if (again === undefined || again.has(plan.id)) {
        close(atMs, false);
        asked = false;
      }
      for (const id of again ?? [...ended.keys()]) ended.delete(id);
    }
    if (kind === 'decision' && text.startsWith(`Approval of ${plan.id} asked from `)) {
      close(atMs, true);
      asked = true;
    }
    const [, id = '', status = ''] = (kind === 'step' ? /^(\S+): ([a-z-]+)/.exec(text) : null) ?? [];
    if (ENDED_STEP.has(status as StepStatus)) {
      if (id === plan.id) close(atMs, STARTED.has(status));
      ended.set(id, status);
    }
    if (fromMs === undefined && !asked && mayDecide()) fromMs = atMs;
  }
  close(endMs, false);
  return times;
}

/** What a retry starts anew: the step, and what needs it (workflows/incident/state.ts, dependentsOf). */
function startedAnew(id: string, steps: readonly StepPlan[]): Set<string> {
  const found = new Set([id]);
  for (const step of steps)
    if (!step.always && step.needs.some((need) => found.has(need))) found.add(step.id);
  return found;
}
