/** One in a hundred million: nobody counts so far, and a bound that is not quite zero reads as one. */
const NONE_BELOW = 1e-8;

/** A rate in [0, 1] in per cent, three digits: `0.153%`, `12.3%`, `0%`. */
export function formatRate(rate: number): string {
  if (rate < NONE_BELOW) return '0%';
  return `${Number((rate * 100).toPrecision(3))}%`;
}

/** Counts with thousands apart: what is read aloud at night has to be read right. */
export function formatCount(amount: number): string {
  return new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 }).format(amount);
}

/** Moments in UTC: the first with its date, the others with theirs only where it is another day. */
export function formatTimes(timesMs: readonly number[]): string[] {
  const texts = timesMs.map((atMs) => new Date(atMs).toISOString().slice(0, 19).replace('T', ' '));
  const day = texts[0]?.slice(0, 10);
  return texts.map((text, index) => (index > 0 && text.startsWith(`${day} `) ? text.slice(11) : text));
}
