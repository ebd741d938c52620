import type { Mark } from '../../domain/harm-history/marks.ts';

/** Average width of a character of 11 px sans-serif, generously. */
const CHARACTER_PX = 6.6;
const GAP_PX = 10;

export interface PlacedLabel {
  label: string;
  /** Of the mark's line, from the left edge of the plot; the text is on the right of it. */
  xPx: number;
  /** 0 is the row next to the plot. The line goes up to its row. */
  row: number;
}

/**
 * Puts labels of marks into rows above a plot: where a label reaches a later mark, it goes above that one's. So no label
 * covers another, and no line runs through a label. The last one may run out at the right.
 * @param marks in the order of time.
 */
export function placeLabels(
  marks: readonly Mark[],
  axis: { fromMs: number; toMs: number; widthPx: number },
): PlacedLabel[] {
  const { fromMs, toMs, widthPx } = axis;
  const placed: PlacedLabel[] = [];
  for (const { label, atMs } of marks.toReversed()) {
    const xPx = ((atMs - fromMs) / Math.max(1, toMs - fromMs)) * widthPx;
    const endPx = xPx + label.length * CHARACTER_PX + GAP_PX;
    const reached = placed.filter((later) => later.xPx < endPx);
    placed.push({ label, xPx, row: Math.max(-1, ...reached.map(({ row }) => row)) + 1 });
  }
  return placed.reverse();
}
