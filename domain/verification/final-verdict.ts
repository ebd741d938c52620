import type { FinalVerdict, Verdict } from './types.ts';

/**
 * The verdict once the time is over: what is still undecided at the deadline is insufficient evidence, by the
 * names of the gates that were not ok, or `test-undecided` where only more outputs could have told.
 */
export function finalVerdict(verdict: Verdict, deadlineReached: boolean): FinalVerdict {
  if (verdict.outcome !== 'undecided') return { ...verdict, unmet: [] };
  const failed = new Set(verdict.gates.filter((gate) => !gate.ok).map((gate) => gate.name));
  const unmet: FinalVerdict['unmet'] = failed.size > 0 ? [...failed] : ['test-undecided'];
  return { ...verdict, outcome: deadlineReached ? 'insufficient-evidence' : 'undecided', unmet };
}
