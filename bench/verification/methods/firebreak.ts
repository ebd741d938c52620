import { JUDGE_DEFAULTS } from '../../../domain/verification/defaults.ts';
import { decideRecovery } from '../../../domain/verification/judge.ts';
import type { CollectedCounts, JudgeOptions } from '../../../domain/verification/types.ts';
import { type Method, SCRAPE_MS } from './method.ts';

/**
 * Firebreak's own verification, by the function that decides in production, with every option that a runbook does not
 * set at its default: least exposure, blocks and duration count as they do there.
 */
export function firebreak(name: string, designEffect: JudgeOptions['designEffect']): Method {
  return {
    name,
    watch({ threshold, confidence }) {
      const options: JudgeOptions = { ...JUDGE_DEFAULTS, threshold, confidence, designEffect };
      const counts: CollectedCounts = {
        t0Ms: 0,
        harmful: 0,
        classified: 0,
        requests: 0,
        blocks: [],
        blockMs: SCRAPE_MS,
        newestSampleMs: 0,
        newestClassifiedIncrementMs: null,
        newestRequestIncrementMs: null,
        liveSeries: { harmful: 1, classified: 1, requests: 1 },
        problems: [],
      };
      let atMs = 0;
      return ({ harmful, classified }) => {
        atMs += SCRAPE_MS;
        counts.newestSampleMs = atMs;
        if (classified > 0) {
          counts.harmful += harmful;
          counts.classified = (counts.classified ?? 0) + classified;
          counts.requests = counts.classified;
          counts.newestClassifiedIncrementMs = atMs;
          counts.newestRequestIncrementMs = atMs;
          counts.blocks.push({ startMs: atMs, harmful, classified, requests: classified });
        }
        const { outcome } = decideRecovery({ counts, atMs, guards: [], problems: [], options });
        return outcome === 'undecided' ? undefined : outcome;
      };
    },
  };
}
