import type { IncidentView } from '../incident.ts';
import { formatCount, formatRate, formatTimes } from './format.ts';
import { columnsOf, rateOf } from './history.ts';
import { type Mark, marksOf } from './marks.ts';
import { sparkline } from './sparkline.ts';

/** Columns that can be told apart on 700 pixels. */
const MAX_COLUMNS = 120;
/** 97.5% quantile of the normal distribution: a band of 95% for each column. */
const BAND_Z = 1.959964;
/** Room above the highest rate and the threshold. */
const HEADROOM = 1.25;
/** Without any harm the axis still needs a height; 1% is the shipped threshold. */
const LEAST_TOP = 0.01;

/** One column of a plot. `rate` and the band are absent where nothing was classified: a gap, never a zero. */
export interface PlotColumn {
  fromMs: number;
  toMs: number;
  harmful: number;
  classified: number;
  rate?: number;
  low?: number;
  high?: number;
}

export interface PlotData {
  columns: PlotColumn[];
  /** Ends of the axis of time, epoch ms; every column and mark is within. */
  fromMs: number;
  toMs: number;
  /** Top of the axis of rates, in (0, 1]. */
  top: number;
  /** Absent: nothing was verified. */
  threshold?: number;
  marks: Mark[];
  /** What the plot shows, for those who do not see it. */
  description: string;
}

/**
 * What is drawn of an incident's harm rate.
 * @returns undefined where nothing was ever classified, or nothing was read.
 */
export function plotData(
  view: Pick<IncidentView, 'harmHistory' | 'verification' | 'milestones' | 'timeline'>,
): PlotData | undefined {
  const { harmHistory: history, verification } = view;
  const shown = history && sparkline(history, { unicode: false });
  if (history === undefined || shown === undefined) return undefined;
  const { stepMs, columns: merged } = columnsOf(history, MAX_COLUMNS);
  // Harm that comes in clusters scatters more than single outputs would: the band is as wide as the verdict saw it.
  const designEffect = Math.max(1, verification?.designEffect ?? 1);
  const columns = merged.map((column): PlotColumn => {
    const { atMs, harmful, classified } = column;
    const place = { fromMs: atMs, toMs: atMs + stepMs, harmful, classified };
    const rate = rateOf(column);
    if (rate === undefined) return place;
    const [low, high] = wilsonInterval(rate, classified / designEffect);
    return { ...place, rate, low, high };
  });
  const marks = marksOf(view);
  const times = [...columns.flatMap(({ fromMs, toMs }) => [fromMs, toMs]), ...marks.map(({ atMs }) => atMs)];
  const threshold = verification?.threshold;
  const highest = Math.max(LEAST_TOP, threshold ?? 0, ...columns.map(({ rate = 0 }) => rate));
  return {
    columns,
    fromMs: Math.min(...times),
    toMs: Math.max(...times),
    top: Math.min(1, highest * HEADROOM),
    ...(threshold === undefined ? {} : { threshold }),
    marks,
    description: describe(shown.words, threshold, marks, columns),
  };
}

function describe(
  words: string,
  threshold: number | undefined,
  marks: readonly Mark[],
  columns: readonly PlotColumn[],
): string {
  const times = formatTimes(marks.map(({ atMs }) => atMs));
  const outputs = columns.reduce((total, { classified }) => total + classified, 0);
  return [
    `Harmful outputs as a share of classified outputs over time: ${words}.`,
    `${formatCount(outputs)} outputs were classified.`,
    ...(threshold === undefined ? [] : [`The threshold is ${formatRate(threshold)}.`]),
    ...(marks.length === 0
      ? []
      : [`Marked, in UTC: ${marks.map(({ label }, index) => `${label} at ${times[index]}`).join('; ')}.`]),
  ].join(' ');
}

/**
 * Interval for a share of `total` (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927): unlike the textbook's, it stays within
 * [0, 1] and has a width where nothing or everything was harmful. For the eye only: verdicts use the sequential test.
 * @param total more than 0, not necessarily whole.
 */
export function wilsonInterval(share: number, total: number): [low: number, high: number] {
  const z2 = BAND_Z ** 2;
  const middle = (share + z2 / (2 * total)) / (1 + z2 / total);
  const half = (BAND_Z / (1 + z2 / total)) * Math.sqrt((share * (1 - share)) / total + z2 / (4 * total ** 2));
  // Rounding may push an end past the share itself at 0 and 1.
  return [Math.max(0, Math.min(share, middle - half)), Math.min(1, Math.max(share, middle + half))];
}
