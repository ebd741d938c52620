import type { Scrape } from '../scenarios.ts';
import { type Method, scrapesIn, sum } from './method.ts';

/** As the script of the hardening guide has it: `sleep 30`, then `rate(harmful[5m]) / rate(requests[5m])`, once. */
const SLEEP_SCRAPES = scrapesIn(30_000);
const WINDOW_SCRAPES = scrapesIn(300_000);

/**
 * One look, half a minute after the rollback. Both rates come from the same samples, so that their quotient is that of
 * the increments in the window.
 * @param servedBefore whether the bad revision served until the rollback, and so is in the window; else its traffic had
 *   been diverted.
 */
export function sleepAndLook(name: string, servedBefore: boolean): Method {
  return {
    name,
    watch({ threshold }, before) {
      const window: Scrape[] = servedBefore ? [...before] : [];
      let looks = 0;
      return (scrape) => {
        window.push(scrape);
        looks += 1;
        if (looks !== SLEEP_SCRAPES) return undefined;
        const { harmful, classified } = sum(window.slice(-WINDOW_SCRAPES));
        // 0 / 0 is NaN there, which shows nothing.
        if (classified === 0) return undefined;
        return harmful / classified < threshold ? 'recovered' : 'not-recovered';
      };
    },
  };
}
