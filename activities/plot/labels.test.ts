import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Mark } from '../../domain/harm-history/marks.ts';
import { placeLabels } from './labels.ts';

const AXIS = { fromMs: 0, toMs: 1_000, widthPx: 700 };
const mark = (atMs: number, label: string): Mark => ({ kind: 'alert', atMs, label });
const endOf = ({ xPx, label }: { xPx: number; label: string }) => xPx + label.length * 6.6;

describe('placeLabels', () => {
  it('leaves labels that have room next to the plot', () => {
    const placed = placeLabels([mark(0, 'alert'), mark(500, 'restored')], AXIS);
    expect(placed).toEqual([
      { label: 'alert', xPx: 0, row: 0 },
      { label: 'restored', xPx: 350, row: 0 },
    ]);
  });

  it('puts the earlier one of two close ones above', () => {
    const placed = placeLabels([mark(10, 'alert'), mark(11, 'diverted'), mark(900, 'restored')], AXIS);
    expect(placed.map(({ row }) => row)).toEqual([1, 0, 0]);
  });

  it('never covers a label by another, nor by the line of another mark', () => {
    const marks = fc.array(
      fc.record({
        atMs: fc.integer({ min: 0, max: 1_000 }),
        label: fc.string({ minLength: 1, maxLength: 40 }),
      }),
      { maxLength: 24 },
    );
    fc.assert(
      fc.property(marks, (given) => {
        const sorted = given.map(({ atMs, label }) => mark(atMs, label)).sort((a, b) => a.atMs - b.atMs);
        const placed = placeLabels(sorted, AXIS);
        expect(placed.map(({ label }) => label)).toEqual(sorted.map(({ label }) => label));
        placed.forEach((earlier, index) => {
          for (const later of placed.slice(index + 1)) {
            // Lines go from the plot up to their label's row.
            if (later.xPx < endOf(earlier)) expect(earlier.row).toBeGreaterThan(later.row);
          }
        });
      }),
    );
  });
});
