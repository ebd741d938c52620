import { formatRate, formatTimes } from './format.ts';
import { columnsOf, rateOf } from './history.ts';
import type { HarmHistory } from './types.ts';

/** Fits beside its words on a terminal of 80 columns. */
const WIDTH = 60;

/** The lowest is a rate of zero; the others divide what is above it. */
const BLOCKS = { zero: '▁', levels: ['▂', '▃', '▄', '▅', '▆', '▇', '█'], gap: '·' };
const ASCII = { zero: '_', levels: ['.', ':', '-', '=', '+', '*', '#'], gap: ' ' };

/**
 * The harm rate over time as one line of text, scaled to its highest rate, with what it shows in words: a line of blocks
 * says nothing to a screen reader.
 * @returns undefined where nothing was classified.
 */
export function sparkline(
  history: HarmHistory,
  options: { unicode: boolean },
): { line: string; words: string } | undefined {
  const { zero, levels, gap } = options.unicode ? BLOCKS : ASCII;
  const { stepMs, columns } = columnsOf(history, WIDTH);
  const rated = columns.flatMap((column) => {
    const rate = rateOf(column);
    return rate === undefined ? [] : [{ ...column, rate }];
  });
  const last = rated.at(-1);
  const [first] = columns;
  if (last === undefined || first === undefined) return undefined;
  const highest = rated.reduce((most, column) => (column.rate > most.rate ? column : most));

  const line = columns.map((column) => {
    const rate = rateOf(column);
    if (rate === undefined) return gap;
    if (rate === 0 || highest.rate === 0) return zero;
    const level = Math.ceil((rate / highest.rate) * levels.length) - 1;
    return levels[Math.max(0, level)] ?? zero;
  });

  const endMs = first.atMs + columns.length * stepMs;
  const [from, to, peak, at] = formatTimes([first.atMs, endMs, highest.atMs, last.atMs]);
  const gaps = columns.length - rated.length;
  const words = [
    `${from} to ${to} UTC`,
    highest.rate === 0
      ? 'no harm in it'
      : `highest ${formatRate(highest.rate)} at ${peak} (${highest.harmful} of ${highest.classified})`,
    `last ${formatRate(last.rate)} at ${at}`,
    ...(gaps === 0 ? [] : [`nothing classified in ${gaps} of ${columns.length} columns`]),
  ];
  return { line: line.join(''), words: words.join('; ') };
}
