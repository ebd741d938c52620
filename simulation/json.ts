import type { Rehearsed } from './rehearse.ts';
import { stillOpen } from './still-open.ts';

/** One scenario's result as `--json` prints it: times in milliseconds from the start. Nothing in it depends on the machine. */
export function rehearsedJson({ file, ok, problems, error, loaded, run, checks }: Rehearsed): object {
  const view = run?.incidents.at(-1)?.view;
  const since = (atMs: number): number => atMs - (run?.startMs ?? 0);
  return {
    file,
    ok,
    ...(problems.length > 0 ? { problems } : {}),
    ...(error === undefined ? {} : { error }),
    ...(loaded
      ? {
          scenario: loaded.scenario.metadata.name,
          runbook: {
            name: loaded.runbook.name,
            version: loaded.runbook.version,
            hash: loaded.runbook.hash,
            file: loaded.runbookFile,
          },
        }
      : {}),
    ...(loaded && run && view
      ? {
          startsAt: new Date(run.startMs).toISOString(),
          endedAfterMs: since(run.endMs),
          end: run.end,
          stillOpen: run.end === 'closed' ? [] : stillOpen(run, loaded.runbook),
          state: view.state,
          outcome: view.outcome ?? null,
          severity: view.severity,
          milestones: Object.fromEntries(
            Object.entries(view.milestones).map(([name, atMs]) => [name, since(atMs)]),
          ),
          steps: view.steps.map(({ id, uses, status, reason }) => ({ id, uses, status, reason })),
          humanNeeded: view.humanNeeded,
          actionItems: view.actionItems,
          breaker: run.observed.breaker,
          changes: run.observed.changes,
          paged: [...new Set(run.observed.paged)],
          notified: [...new Set(run.observed.notified)],
          refused: run.refused,
          incidents: run.incidents.map(({ view: { incidentId, state }, entries }) => ({
            incidentId,
            state,
            timeline: entries.map(({ seq, atMs, kind, text, actor, data }) => ({
              seq,
              atMs: since(atMs),
              kind,
              text,
              actor,
              ...(data === undefined ? {} : { data }),
            })),
          })),
          events: run.events.map(({ atMs, kind, text }) => ({ atMs: since(atMs), kind, text })),
          stats: run.stats,
        }
      : {}),
    checks,
  };
}
