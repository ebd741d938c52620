import { describe, expect, it } from 'vitest';
import type { RawSeries } from '../../domain/verification/types.ts';
import { compare } from './await-diverted.ts';

const DIVERTED_MS = 1_800_000_000_000;
const HISTORY_MS = 400_000;
/** Looks between two scrapes, at least: what is seen changes with the scrapes, and with the window that slides. */
const LOOKS_PER_SCRAPE = 3;
const POLL_MS = 1_000;
/** Of what arrived before, as the divert step asks. */
const MAX_SHARE = 0.01;
const SEED = 20_260_101;

interface World {
  perMinute: number;
  scrapeMs: number;
  timeoutMs: number;
  /** How long after the diversion the gateway follows; absent: never. */
  followsAfterMs?: number;
}

/** Numbers in [0, 1) that look random: mulberry32, in the public domain. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** When requests arrive: a Poisson stream. */
function arrivals({ perMinute, scrapeMs, timeoutMs, followsAfterMs }: World, random: () => number): number[] {
  const endMs = DIVERTED_MS + (followsAfterMs ?? timeoutMs + scrapeMs);
  const times: number[] = [];
  if (perMinute === 0) return times;
  for (let tMs = DIVERTED_MS - HISTORY_MS; ; ) {
    tMs -= Math.log(1 - random()) * (60_000 / perMinute);
    if (tMs >= endMs) return times;
    times.push(tMs);
  }
}

/** What Prometheus scraped of a counter of these requests. */
function scrape(times: readonly number[], { scrapeMs, timeoutMs }: World, random: () => number): RawSeries {
  const values: RawSeries['values'] = [];
  let count = 0;
  let tMs = DIVERTED_MS - HISTORY_MS + random() * scrapeMs;
  for (; tMs <= DIVERTED_MS + timeoutMs + scrapeMs; tMs += scrapeMs) {
    while ((times[count] ?? Number.POSITIVE_INFINITY) <= tMs) count += 1;
    values.push([tMs / 1_000, String(count)]);
  }
  return { metric: { pod: 'llm-api-1', instance: '10.0.0.1:8080' }, values };
}

/** Looks as the activity does, until it is measured or the time is over. */
function wait(series: RawSeries, { scrapeMs, timeoutMs }: World) {
  const everyMs = Math.max(POLL_MS, scrapeMs / LOOKS_PER_SCRAPE);
  for (let waitedMs = 0; ; waitedMs += everyMs) {
    const atMs = DIVERTED_MS + waitedMs;
    const values = series.values.filter(
      ([seconds]) => seconds * 1_000 > DIVERTED_MS - 300_000 && seconds * 1_000 <= atMs,
    );
    const look = compare([{ ...series, values }], {
      divertedMs: DIVERTED_MS,
      atMs,
      maxShare: MAX_SHARE,
      timeoutMs,
    });
    if (look.effect === 'measured' || waitedMs >= timeoutMs) return { ...look, waitedMs };
  }
}

function runs(world: World, count: number) {
  const random = randomFrom(SEED);
  return Array.from({ length: count }, () => wait(scrape(arrivals(world, random), world, random), world));
}

function shareMeasured(world: World, count: number): number {
  return runs(world, count).filter(({ effect }) => effect === 'measured').length / count;
}

describe('compare', () => {
  it.each([
    { perMinute: 0.5, scrapeMs: 15_000, timeoutMs: 60_000 },
    { perMinute: 2, scrapeMs: 15_000, timeoutMs: 60_000 },
    { perMinute: 5, scrapeMs: 15_000, timeoutMs: 60_000 },
    { perMinute: 8, scrapeMs: 15_000, timeoutMs: 60_000 },
    { perMinute: 12, scrapeMs: 15_000, timeoutMs: 60_000 },
    { perMinute: 20, scrapeMs: 5_000, timeoutMs: 60_000 },
    { perMinute: 60, scrapeMs: 1_000, timeoutMs: 60_000 },
    { perMinute: 2, scrapeMs: 15_000, timeoutMs: 600_000 },
    { perMinute: 8, scrapeMs: 15_000, timeoutMs: 600_000 },
  ])('does not take a pause for a diversion: $perMinute/min, $scrapeMs ms, $timeoutMs ms', (world) => {
    expect(shareMeasured(world, world.scrapeMs === 1_000 ? 200 : 400)).toBeLessThanOrEqual(0.015);
  });

  it.each([
    { perMinute: 20, scrapeMs: 15_000, timeoutMs: 60_000, followsAfterMs: 2_000 },
    { perMinute: 60, scrapeMs: 15_000, timeoutMs: 60_000, followsAfterMs: 5_000 },
    { perMinute: 600, scrapeMs: 1_000, timeoutMs: 60_000, followsAfterMs: 5_000 },
    { perMinute: 2, scrapeMs: 15_000, timeoutMs: 600_000, followsAfterMs: 5_000 },
  ])('sees a diversion: $perMinute/min, $scrapeMs ms, $timeoutMs ms', (world) => {
    expect(shareMeasured(world, 200)).toBeGreaterThanOrEqual(0.95);
  });

  it('waits no longer than 2.5 scrapes where there is traffic enough, and never less', () => {
    const world = { perMinute: 6_000, scrapeMs: 15_000, timeoutMs: 60_000, followsAfterMs: 0 };
    for (const { effect, waitedMs } of runs(world, 20)) {
      expect(effect).toBe('measured');
      expect(waitedMs).toBeGreaterThanOrEqual(37_500);
      // Requests of before the diversion may show in the first scrape after it.
      expect(waitedMs).toBeLessThanOrEqual(55_000);
    }
  });

  it('knows nothing where nothing arrived before', () => {
    const [look] = runs({ perMinute: 0, scrapeMs: 15_000, timeoutMs: 60_000 }, 1);
    expect(look).toMatchObject({
      effect: 'unknown',
      detail: expect.stringMatching(/^no requests were seen/),
    });
  });

  it('says that the time does not suffice for so few requests', () => {
    const [look] = runs({ perMinute: 2, scrapeMs: 15_000, timeoutMs: 60_000, followsAfterMs: 0 }, 1);
    expect(look).toMatchObject({
      effect: 'not-seen',
      detail: expect.stringMatching(/^0\.\d requests per scrape before are too few to tell in 60 s/),
    });
  });

  it('is not fooled by a burst of before', () => {
    const world = { perMinute: 8, scrapeMs: 15_000, timeoutMs: 60_000 };
    const random = randomFrom(SEED);
    const burst = Array.from({ length: 10_000 }, (_, index) => DIVERTED_MS - 200_000 + index / 10);
    const series = scrape(
      [...arrivals(world, random), ...burst].sort((a, b) => a - b),
      world,
      random,
    );
    expect(wait(series, world).effect).toBe('not-seen');
  });
});
