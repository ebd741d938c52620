/** A number in [0, 1). */
export type Random = () => number;

/** Largest mean for which one inversion is cheap and its starting probability is far from zero. */
const MAX_MEAN = 16;

/** Mulberry32 by Tommy Ettinger (public domain): small, fast, and the same sequence for the same seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * How many of `trials` independent events of probability `p` happen: an exact draw from the binomial distribution by
 * inversion (Kachitvichyanukul and Schmeiser 1988, BINV), in parts where the mean is large.
 */
export function drawBinomial(random: Random, trials: number, p: number): number {
  if (trials <= 0 || p <= 0) return 0;
  if (p >= 1) return trials;
  if (p > 0.5) return trials - drawBinomial(random, trials, 1 - p);
  const partSize = Math.max(1, Math.floor(MAX_MEAN / p));
  let total = 0;
  for (let left = trials; left > 0; left -= partSize) total += invert(random, Math.min(left, partSize), p);
  return total;
}

/** Spreads `count` over `parts` places, each equally likely for each. */
export function spread(random: Random, count: number, parts: number): number[] {
  const shares: number[] = [];
  let left = count;
  for (let remaining = parts; remaining > 0; remaining -= 1) {
    const share = drawBinomial(random, left, 1 / remaining);
    shares.push(share);
    left -= share;
  }
  return shares;
}

function invert(random: Random, trials: number, p: number): number {
  const odds = p / (1 - p);
  let probability = (1 - p) ** trials;
  let left = random();
  let events = 0;
  while (left > probability && events < trials) {
    left -= probability;
    events += 1;
    probability *= (odds * (trials - events + 1)) / events;
  }
  return events;
}
