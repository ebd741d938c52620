import type { VerificationSummary } from '../incident.ts';
import { finalVerdict } from './final-verdict.ts';
import type { Verdict } from './types.ts';

/** What incidents, tickets and chat keep of the last verdict; undecided at the deadline is insufficient evidence. */
export function summariseVerdict(
  verdict: Verdict,
  run: { seconds: number; share: number; confidence: number },
): VerificationSummary {
  const final = finalVerdict(verdict, true);
  return {
    outcome: final.outcome === 'undecided' ? 'insufficient-evidence' : final.outcome,
    harmful: final.harmful,
    classified: final.classified,
    threshold: final.threshold,
    confidence: run.confidence,
    interval: final.interval,
    designEffect: final.designEffect,
    seconds: run.seconds,
    share: run.share,
    unmet: final.unmet,
  };
}
