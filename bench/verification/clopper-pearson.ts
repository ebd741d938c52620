import { logBetaTails } from '../../domain/statistics/beta.ts';

/** Halvings of [0, 1]: past the resolution of a double. */
const BISECTIONS = 60;

/** The point in [0, 1] below which `holds`, and above which it does not. */
function turningPoint(holds: (rate: number) => boolean): number {
  let low = 0;
  let high = 1;
  for (let i = 0; i < BISECTIONS; i += 1) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * Exact confidence interval of a probability (Clopper and Pearson, Biometrika 26, 1934): the rates that leave more than
 * (1 - confidence) / 2 to so many hits or more, and to so many or fewer.
 */
export function clopperPearson(hits: number, trials: number, confidence = 0.95): [low: number, high: number] {
  const tail = Math.log((1 - confidence) / 2);
  const low =
    hits === 0 ? 0 : turningPoint((rate) => logBetaTails(rate, hits, trials - hits + 1).below < tail);
  const high =
    hits === trials ? 1 : turningPoint((rate) => logBetaTails(rate, hits + 1, trials - hits).above > tail);
  return [low, high];
}
