import type { Random } from './random.ts';

/** What one scrape adds to the two counters. */
export interface Scrape {
  harmful: number;
  classified: number;
}

export interface Circumstances {
  /** Share (0..1) of harmful outputs: at all times, or in the long run where harm comes in bursts. */
  rate: number;
  /** Mean outputs in a scrape. */
  outputs: number;
  /** Where the rate moves: up from `rate` (never below it) or down from it (never above). */
  moves: 'up' | 'down';
}

/** A way for harm to come. `start` gives a stream of scrapes of one incident, from T0 on. */
export interface Scenario {
  name: string;
  /** One line for the report. */
  describes: string;
  start(random: Random, circumstances: Circumstances): () => Scrape;
}

const independent: Scenario = {
  name: 'independent',
  describes: 'each output is harmful or not by itself',
  start:
    (random, { rate, outputs }) =>
    () => {
      const classified = random.poisson(outputs);
      return { classified, harmful: random.binomial(classified, rate) };
    },
};

/** A user, or one prompt that is tried again. */
export const CLUSTER_SIZE = 10;

/**
 * The distribution of harmful outputs in one cluster: beta-binomial, whose correlation between two outputs of a cluster
 * is `correlation` (Polya's urn: each harmful output makes the next one likelier).
 * @returns P(0), ..., P(CLUSTER_SIZE)
 */
export function harmInCluster(rate: number, correlation: number): number[] {
  const weight = (1 - correlation) / correlation;
  let chances = [1];
  for (let drawn = 0; drawn < CLUSTER_SIZE; drawn += 1) {
    const next = new Array<number>(drawn + 2).fill(0);
    for (const [harmful, chance] of chances.entries()) {
      const hit = (rate * weight + harmful) / (weight + drawn);
      next[harmful] = (next[harmful] ?? 0) + chance * (1 - hit);
      next[harmful + 1] = (next[harmful + 1] ?? 0) + chance * hit;
    }
    chances = next;
  }
  return chances;
}

function pick(random: Random, chances: readonly number[]): number {
  let left = random.uniform();
  for (const [value, chance] of chances.entries()) {
    left -= chance;
    if (left < 0) return value;
  }
  return chances.length - 1;
}

function clusters(correlation: number): Scenario {
  return {
    name: `clusters ${correlation}`,
    describes: `clusters of ${CLUSTER_SIZE} outputs, intra-cluster correlation ${correlation}, each within one scrape`,
    start(random, { rate, outputs }) {
      const chances = harmInCluster(rate, correlation);
      return () => {
        const count = random.poisson(outputs / CLUSTER_SIZE);
        let harmful = 0;
        for (let i = 0; i < count; i += 1) harmful += pick(random, chances);
        return { classified: count * CLUSTER_SIZE, harmful };
      };
    },
  };
}

/** A session of ten outputs takes about a minute. */
const SESSION_SCRAPES = 4;

function sessions(correlation: number): Scenario {
  return {
    name: `sessions ${correlation}`,
    describes: `clusters of ${CLUSTER_SIZE} outputs, intra-cluster correlation ${correlation}, spread over ${SESSION_SCRAPES} scrapes`,
    start(random, { rate, outputs }) {
      const chances = harmInCluster(rate, correlation);
      const coming: Scrape[] = [];
      const begin = () => {
        while (coming.length < SESSION_SCRAPES) coming.push({ classified: 0, harmful: 0 });
        const count = random.poisson(outputs / CLUSTER_SIZE);
        for (let i = 0; i < count; i += 1) {
          let harmful = pick(random, chances);
          for (let output = CLUSTER_SIZE; output > 0; output -= 1) {
            const scrape = coming[Math.floor(random.uniform() * SESSION_SCRAPES)];
            if (scrape === undefined) continue;
            scrape.classified += 1;
            // Which of the outputs are the harmful ones is open: drawn without replacement.
            if (random.uniform() * output < harmful) {
              scrape.harmful += 1;
              harmful -= 1;
            }
          }
        }
        return coming.shift() ?? { classified: 0, harmful: 0 };
      };
      // Sessions that began before T0 are there from the first scrape on.
      for (let i = 1; i < SESSION_SCRAPES; i += 1) begin();
      return begin;
    },
  };
}

/**
 * Two states: quiet for 2 minutes on average, then a burst of half a minute on average with four times the traffic, which
 * is where the harm is. Half of all outputs are in bursts.
 */
const QUIET = { traffic: 0.6, scrapes: 8, harm: 0.1 };
const BURST = { traffic: 2.6, scrapes: 2 };

/** Of all outputs, those in quiet times. */
const IN_QUIET = QUIET.traffic * (QUIET.scrapes / (QUIET.scrapes + BURST.scrapes));
/** Harm in a burst, so that the rate over all outputs is the stated one. */
const BURST_HARM = (1 - IN_QUIET * QUIET.harm) / (1 - IN_QUIET);

const bursts: Scenario = {
  name: 'bursts',
  describes: 'traffic and harm in bursts of half a minute: 4 times the traffic, 18 times the harm rate',
  start(random, { rate, outputs }) {
    let bursting = random.uniform() < BURST.scrapes / (QUIET.scrapes + BURST.scrapes);
    return () => {
      const state = bursting ? BURST : QUIET;
      const classified = random.poisson(outputs * state.traffic);
      const harmful = random.binomial(classified, rate * (bursting ? BURST_HARM : QUIET.harm));
      if (random.uniform() < 1 / state.scrapes) bursting = !bursting;
      return { classified, harmful };
    };
  },
};

/** The mix of prompts stays for 2 minutes on average; half of all mixes are the mildest. */
const MIX_SCRAPES = 8;
const MIXES = [1, 1, 1.5, 3];

const mixShift: Scenario = {
  name: 'mix shift',
  describes: 'the mix of prompts changes every 2 minutes, and the harm rate with it, by up to 3 times',
  start(random, { rate, outputs, moves }) {
    const draw = () => MIXES[Math.floor(random.uniform() * MIXES.length)] ?? 1;
    let mix = draw();
    return () => {
      if (random.uniform() < 1 / MIX_SCRAPES) mix = draw();
      const classified = random.poisson(outputs);
      return { classified, harmful: random.binomial(classified, moves === 'up' ? rate * mix : rate / mix) };
    };
  },
};

export const SCENARIOS: readonly Scenario[] = [
  independent,
  clusters(0.1),
  clusters(0.3),
  bursts,
  mixShift,
  sessions(0.1),
  sessions(0.3),
  clusters(0.9),
];

/** @throws Error when there is no such scenario. */
export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found === undefined)
    throw new Error(`no scenario is named ${name}: see bench/verification/scenarios.ts`);
  return found;
}
