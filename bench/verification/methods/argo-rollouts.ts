import type { Scrape } from '../scenarios.ts';
import { type Method, scrapesIn, sum } from './method.ts';

/** `interval: 60s` and `count: 5`, as its documentation has them (docs/features/analysis.md). */
const INTERVAL_SCRAPES = scrapesIn(60_000);
const COUNT = 5;

/**
 * An AnalysisRun of Argo Rollouts 1.8: a measurement fails when `successCondition: result[0] < threshold` does not hold;
 * the run has failed once more than `failureLimit` have, and is successful when `count` have been taken and it has not
 * (assessMetricStatus and assessMetricFailureInconclusiveOrError in analysis/analysis.go). In its favour, the first
 * measurement waits for one interval (`initialDelay`), and each is of the outputs of its own interval alone.
 */
export function argoRollouts(name: string, failureLimit: number): Method {
  return {
    name,
    watch({ threshold }) {
      let interval: Scrape[] = [];
      let measured = 0;
      let failed = 0;
      return (scrape) => {
        interval.push(scrape);
        if (interval.length < INTERVAL_SCRAPES) return undefined;
        const { harmful, classified } = sum(interval);
        interval = [];
        measured += 1;
        // NaN is not below the threshold.
        if (!(harmful / classified < threshold)) failed += 1;
        if (failed > failureLimit) return 'not-recovered';
        return measured >= COUNT ? 'recovered' : undefined;
      };
    },
  };
}
