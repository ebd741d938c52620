const UNITS: [suffix: string, lengthMs: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** A time from the start as scenarios write it: `1h30m`, `90s` as `1m30s`, `-10m`. */
export function offset(durationMs: number): string {
  let left = Math.abs(Math.round(durationMs));
  let text = '';
  for (const [suffix, lengthMs] of UNITS) {
    const count = Math.floor(left / lengthMs);
    if (count > 0) text += `${count}${suffix}`;
    left -= count * lengthMs;
  }
  return text === '' ? '0s' : `${durationMs < 0 ? '-' : ''}${text}`;
}
