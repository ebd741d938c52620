import { randomBinomial, randomPoisson } from 'd3-random';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { skipN } from 'pure-rand/utils/skipN';

/** A stream of random numbers: the same seed gives the same numbers on every machine. */
export interface Random {
  /** In [0, 1). */
  uniform(): number;
  /** Whole, with the given mean. */
  poisson(mean: number): number;
  /** Whole: hits among `trials`, each with probability `hit`. */
  binomial(trials: number, hit: number): number;
}

/** Odd factors, so that no two streams of one seed begin alike, that spread neighbours over all bits (Knuth, TAOCP 6.4). */
const SEED_FACTOR = 0x9e3779b1;
const STREAM_FACTOR = 0x85ebca6b;

/** The first numbers of the generator still show its seed. */
const SKIPPED = 16;

/**
 * One stream for each incident, so that neither the order nor the thread in which incidents are simulated can change
 * them.
 */
export function randomOf(seed: number, stream: number): Random {
  const start = Math.imul(seed + 1, SEED_FACTOR) ^ Math.imul(stream + 1, STREAM_FACTOR);
  const generator = xoroshiro128plus(start);
  skipN(generator, SKIPPED);
  const uniform = () => uniformFloat64(generator);
  // d3 makes a sampler of its parameters: kept, since the same few come again and again.
  const samplers = new Map<string, () => number>();
  const sample = (key: string, make: () => () => number): number => {
    const sampler = samplers.get(key) ?? make();
    samplers.set(key, sampler);
    return sampler();
  };
  return {
    uniform,
    poisson: (mean) => sample(`p${mean}`, () => randomPoisson.source(uniform)(mean)),
    binomial: (trials, hit) => sample(`b${trials},${hit}`, () => randomBinomial.source(uniform)(trials, hit)),
  };
}
