import type { RawSeries } from './types.ts';

/** Labels that tell one scraped process from another; counters that share them come out of the same scrape. */
const SCRAPE_LABELS = ['job', 'instance', 'namespace', 'pod', 'container'];

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

export interface Sample {
  tMs: number;
  /** NaN for anything that no counter can show. */
  value: number;
}

/** The process that a series was scraped from; undefined where its labels do not tell. */
export function scrapeKey({ metric }: RawSeries): string | undefined {
  if (!Object.hasOwn(metric, 'pod') && !Object.hasOwn(metric, 'instance')) return undefined;
  return JSON.stringify(SCRAPE_LABELS.map((label) => (Object.hasOwn(metric, label) ? metric[label] : null)));
}

/** Labels of a series in one order and one spelling, without some of them. */
export function identityWithout({ metric }: RawSeries, left: ReadonlySet<string>): string {
  const labels = Object.entries(metric).filter(([label]) => !left.has(label));
  return JSON.stringify(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function toMs(seconds: number): number {
  return Math.round(seconds * 1_000);
}

export function samplesOf(series: RawSeries, untilMs: number): Sample[] {
  return series.values
    .map(([seconds, value]) => ({ tMs: toMs(seconds), value: counterValue(value) }))
    .filter((sample) => !(sample.tMs > untilMs));
}

function counterValue(text: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) && value >= 0 ? value : Number.NaN;
}

/** Distances between neighbouring times, ascending. */
function gapsOf(timesMs: readonly number[]): number[] {
  const gaps: number[] = [];
  for (let i = 1; i < timesMs.length; i += 1) {
    const gapMs = (timesMs[i] ?? 0) - (timesMs[i - 1] ?? 0);
    if (gapMs > 0) gaps.push(gapMs);
  }
  return gaps.sort((a, b) => a - b);
}

/** The scrape interval: the median distance between neighbouring samples of any series; undefined where none has two. */
export function medianGapMs(all: readonly (readonly number[])[]): number | undefined {
  const gaps = all.flatMap(gapsOf).sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}
