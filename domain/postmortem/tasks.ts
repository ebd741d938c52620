/** What workflows need of action items: apart, so that the rules which derive them are not in every cached workflow. */
import type { ActionItem } from '../incident.ts';

/** Items with the tasks that steps of the runbook made, as they stand among those known: nothing derives these again. */
export function withTasks(items: readonly ActionItem[], known: readonly ActionItem[]): ActionItem[] {
  const ids = new Set(items.map(({ id }) => id));
  return [...items, ...known.filter(({ id, step }) => step !== undefined && !ids.has(id))];
}

/** Day (UTC) as tasks have it: YYYY-MM-DD. */
export function isoDate(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}
