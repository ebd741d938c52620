import type { StepView } from './view.ts';

/** Steps by id; of duplicates the first, as messages about duplicates point at the later ones. */
export function stepsById(steps: readonly StepView[]): Map<string, StepView> {
  const byId = new Map<string, StepView>();
  for (const step of steps) {
    if (step.id !== undefined && !byId.has(step.id)) byId.set(step.id, step);
  }
  return byId;
}

/** Ids of all steps that have ended before this one starts. */
export function endedBefore(step: StepView, byId: ReadonlyMap<string, StepView>): Set<string> {
  return reach(step, byId, () => true);
}

/**
 * Ids of all steps that have succeeded once this one starts. A step with `always` starts whatever became of its needs, so
 * its success says nothing about theirs.
 */
export function succeededBefore(step: StepView, byId: ReadonlyMap<string, StepView>): Set<string> {
  return reach(step, byId, (through) => !through.always);
}

function reach(
  start: StepView,
  byId: ReadonlyMap<string, StepView>,
  goThrough: (step: StepView) => boolean,
): Set<string> {
  const found = new Set<string>();
  const open = [start];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (!goThrough(step)) continue;
    for (const need of step.needs) {
      const needed = byId.get(need);
      if (needed === undefined || found.has(need)) continue;
      found.add(need);
      open.push(needed);
    }
  }
  return found;
}

/** Cycles among steps, each as the ids along it; every cycle is told once. */
export function cyclesOf(byId: ReadonlyMap<string, StepView>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const visit = (id: string, way: string[]): void => {
    const at = way.indexOf(id);
    if (at !== -1) {
      cycles.push(way.slice(at));
      return;
    }
    if (done.has(id)) return;
    for (const need of byId.get(id)?.needs ?? []) if (byId.has(need)) visit(need, [...way, id]);
    done.add(id);
  };
  for (const id of byId.keys()) visit(id, []);
  return cycles;
}
