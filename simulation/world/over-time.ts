import type { Point } from '../scenario/fields.ts';

/** The value at a time: that of the last point at or before it; before the first point, the first one's. */
export function valueAt<T>(points: readonly Point<T>[], tMs: number): T | undefined {
  let found = points[0]?.value;
  for (const point of points) {
    if (point.atMs > tMs) break;
    found = point.value;
  }
  return found;
}

/** Points with times from the start, as points in time. */
export function absolute<T>(points: readonly Point<T>[], startMs: number): Point<T>[] {
  return points.map(({ atMs, value }) => ({ atMs: startMs + atMs, value }));
}

/** Adds a value that holds from a time on; what was written for later is replaced. */
export function setFrom<T>(points: Point<T>[], atMs: number, value: T): void {
  while (points.length > 0 && (points.at(-1)?.atMs ?? 0) >= atMs) points.pop();
  points.push({ atMs, value });
}
