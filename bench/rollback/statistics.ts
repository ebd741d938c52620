/** Median and bootstrap interval: https://en.wikipedia.org/wiki/Bootstrapping_(statistics)#Deriving_confidence_intervals_from_the_bootstrap_distribution */

/** Enough for the second digit of a 95% interval of two dozen pairs. */
const RESAMPLES = 10_000;
/** Same data, same interval. */
const SEED = 20_260_301;

export interface RatioEstimate {
  /** Median of the first over median of the second. */
  ratio: number;
  /** 95%, percentile bootstrap over pairs. */
  interval: [number, number];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [upper = Number.NaN, lower = upper] = [sorted[middle], sorted[middle - 1]];
  return sorted.length % 2 === 1 ? upper : (lower + upper) / 2;
}

/** @param pairs what both took in the same round. @throws Error without any. */
export function ratioOfMedians(pairs: readonly (readonly [number, number])[]): RatioEstimate {
  if (pairs.length === 0) throw new Error('there are no pairs to compare');
  const ratioOf = (sample: readonly (readonly [number, number])[]) =>
    median(sample.map(([first]) => first)) / median(sample.map(([, second]) => second));
  const random = mulberry32(SEED);
  const ratios = Array.from({ length: RESAMPLES }, () =>
    ratioOf(pairs.map((pair) => pairs[Math.floor(random() * pairs.length)] ?? pair)),
  ).sort((a, b) => a - b);
  const at = (share: number) => ratios[Math.round(share * (RESAMPLES - 1))] ?? Number.NaN;
  return { ratio: ratioOf(pairs), interval: [at(0.025), at(0.975)] };
}

/** https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32: uniform in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
