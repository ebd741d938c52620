import type { Scrape } from '../scenarios.ts';

export type Outcome = 'recovered' | 'not-recovered';

/** What every method is asked for. */
export interface Question {
  /** The harm rate to be below, in (0, 1). */
  threshold: number;
  /** 1 - alpha. */
  confidence: number;
}

/** Sees each scrape after T0 once, in their order, until it says an outcome; undefined: not yet. */
export type Watch = (scrape: Scrape) => Outcome | undefined;

export interface Method {
  name: string;
  /** @param before the scrapes of the five minutes before T0, the bad revision's. */
  watch(question: Question, before: readonly Scrape[]): Watch;
}

/** Prometheus' most usual scrape interval, and the one of the shipped rules. */
export const SCRAPE_MS = 15_000;

/** How many scrapes a duration holds. */
export const scrapesIn = (durationMs: number): number => Math.round(durationMs / SCRAPE_MS);

export function sum(scrapes: readonly Scrape[]): Scrape {
  return scrapes.reduce(
    (total, scrape) => ({
      harmful: total.harmful + scrape.harmful,
      classified: total.classified + scrape.classified,
    }),
    { harmful: 0, classified: 0 },
  );
}
