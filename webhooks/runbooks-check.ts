import type { RunbookSource } from '../runbooks/live.ts';
import type { CheckResult } from './health.ts';

/** The log has them all; a probe's answer stays short. */
const SHOWN_PROBLEMS = 20;

/**
 * Readiness of the runbooks. A broken edit does not take a replica out of service: the working set answers alerts. Probes
 * need no credentials, so places and rules are shown, and nothing that a file says.
 */
export function runbooksCheck(source: RunbookSource): CheckResult {
  const { generation, hash, loadedAtMs, runbooks } = source.current();
  const { ok, problems, succeededAtMs, lookedAtMs, changingSinceMs } = source.status();
  const errors = problems.filter(({ severity }) => severity === 'error');
  const refused = `The runbook files as they are now cannot be used; the set of ${time(loadedAtMs)} answers alerts.`;
  const changing = `The runbook files have kept changing since ${time(changingSinceMs ?? 0)}; they are loaded when they stop.`;
  return {
    problems: runbooks.length > 0 ? [] : ['No runbook is loaded: see runbooks.paths in firebreak.yaml.'],
    degraded: ok ? [] : [refused],
    details: {
      generation,
      hash,
      runbooks: runbooks.length,
      loadedAt: time(loadedAtMs),
      succeededAt: time(succeededAtMs),
      lookedAt: time(lookedAtMs),
      ...(changingSinceMs === undefined ? {} : { changing }),
      problemCount: errors.length,
      problems: errors
        .slice(0, SHOWN_PROBLEMS)
        .map(({ file, line, column, rule }) => `${file}:${line}:${column} ${rule}`),
    },
  };
}

function time(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
