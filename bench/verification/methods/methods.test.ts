import { describe, expect, it } from 'vitest';
import { collectCounts } from '../../../domain/verification/collect-counts.ts';
import { JUDGE_DEFAULTS } from '../../../domain/verification/defaults.ts';
import { judge } from '../../../domain/verification/judge.ts';
import type { RawSeries } from '../../../domain/verification/types.ts';
import { randomOf } from '../random.ts';
import { type Scrape, scenarioNamed } from '../scenarios.ts';
import { exactTest, sampleFor, samplesOf } from './fixed-sample.ts';
import { type Outcome, SCRAPE_MS } from './method.ts';
import { METHODS } from './methods.ts';

const question = { threshold: 0.01, confidence: 0.99 };
const steady = (scrapes: number, harmful: number, classified = 50): Scrape[] =>
  Array.from({ length: scrapes }, () => ({ harmful, classified }));

/** The outcome, and the scrape (from 1) at which it was said. */
function watch(method: keyof typeof METHODS, scrapes: Scrape[], before: Scrape[] = []) {
  const look = METHODS[method].watch(question, before);
  for (const [index, scrape] of scrapes.entries()) {
    const outcome = look(scrape);
    if (outcome !== undefined) return [outcome, index + 1];
  }
  return undefined;
}

describe('sleep and look', () => {
  it('still sees the bad revision in its window', () => {
    expect(watch('sleepAndLook', steady(9, 0), steady(20, 5))).toEqual(['not-recovered', 2]);
    expect(watch('sleepAndLook', steady(9, 4), steady(20, 0))).toEqual(['recovered', 2]);
  });

  it('has half a minute of outputs where traffic was diverted, and nothing to say without any', () => {
    expect(watch('sleepAndLookDiverted', steady(9, 0), steady(20, 5))).toEqual(['recovered', 2]);
    expect(watch('sleepAndLookDiverted', steady(9, 0, 0))).toBeUndefined();
  });
});

describe('Argo Rollouts', () => {
  const minutes = (...harm: number[]): Scrape[] =>
    harm.flatMap((harmful) => [...steady(3, 0), { harmful, classified: 50 }]);

  it('is successful after five measurements of which none failed', () => {
    expect(watch('argoStrict', minutes(1, 1, 1, 1, 1))).toEqual(['recovered', 20]);
  });

  it('fails at the first failed measurement beyond its limit', () => {
    expect(watch('argoStrict', minutes(1, 2, 0, 0, 0))).toEqual(['not-recovered', 8]);
    expect(watch('argoLenient', minutes(2, 2, 0, 2, 0))).toEqual(['recovered', 20]);
    expect(watch('argoLenient', minutes(2, 2, 0, 2, 2))).toEqual(['not-recovered', 20]);
  });
});

describe('the fixed-sample test', () => {
  it('is the exact one: 459 outputs without harm, or 9 harmful of 344', () => {
    // 0.99^459 = 0.0099, and tables of the binomial distribution.
    expect(exactTest(0, 458, question).recovered).toBe(false);
    expect(exactTest(0, 459, question).recovered).toBe(true);
    expect(exactTest(8, 344, question).notRecovered).toBe(false);
    expect(exactTest(9, 344, question).notRecovered).toBe(true);
  });

  it('is planned by the least sample of the power asked for', () => {
    expect(samplesOf(question)).toEqual({ recovered: 1_157, 'not-recovered': 344 });
    // Without harm in 459 outputs at a rate of 0.1%: a chance of 63%.
    expect(sampleFor(0.001, 0.6, question)).toBe(459);
  });

  it('looks once for each side', () => {
    expect(watch('fixedSample', steady(99, 0))).toEqual(['recovered', 24]);
    expect(watch('fixedSample', steady(99, 5))).toEqual(['not-recovered', 7]);
    // Too much harm for "recovered" when it is looked for; what comes later is not seen.
    expect(watch('fixedSample', [...steady(24, 0.4), ...steady(500, 0)])).toBeUndefined();
  });
});

describe('Firebreak', () => {
  /** What a Prometheus has of two pods that share the scrapes. */
  function seriesOf(scrapes: Scrape[], field: keyof Scrape): RawSeries[] {
    return ['a', 'b'].map((pod, index) => {
      let value = 0;
      const values = scrapes.map((scrape, i): [number, string] => {
        const half = Math.floor(scrape[field] / 2);
        value += index === 0 ? half : scrape[field] - half;
        return [((i + 1) * SCRAPE_MS) / 1_000, String(value)];
      });
      return { metric: { pod }, values: [[0, '0'], ...values] };
    });
  }

  /** The whole way, from raw samples, as judgeRecovery goes it. */
  function judged(scrapes: Scrape[]): [Outcome, number] | undefined {
    const [harmful, classified] = [seriesOf(scrapes, 'harmful'), seriesOf(scrapes, 'classified')];
    for (let look = 1; look <= scrapes.length; look += 1) {
      const atMs = look * SCRAPE_MS;
      const window = { t0Ms: 0, untilMs: atMs, podStartedAtMs: {} };
      const counts = collectCounts({ harmful, classified, requests: classified }, window);
      const options = { ...JUDGE_DEFAULTS, ...question };
      const { outcome } = judge({ counts, atMs, guards: [], problems: [], options });
      if (outcome !== 'undecided') return [outcome, look];
    }
    return undefined;
  }

  it.each([
    ['clusters 0.3', 0.1],
    ['bursts', 5],
    ['independent', 1],
  ])('decides as from raw samples: %s at %d times the threshold', (scenario, multiple) => {
    for (let incident = 0; incident < 5; incident += 1) {
      const rate = multiple * question.threshold;
      const next = scenarioNamed(scenario).start(randomOf(3, incident), { rate, outputs: 50, moves: 'up' });
      const scrapes = Array.from({ length: 60 }, next);
      expect(watch('firebreak', scrapes)).toEqual(judged(scrapes));
    }
  });
});
