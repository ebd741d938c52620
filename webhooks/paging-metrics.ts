import { Counter, Gauge, type Registry } from 'prom-client';
import type { RecordsStore } from '../activities/records/store.ts';
import type { PagesGateway } from './gateway/pages-gateway.ts';

/** Scrapes come every few seconds from several servers; the records are asked once for all of them. */
const ASK_EVERY_MS = 10_000;
/** Incidents that are open at once, by far. */
const MAX_INCIDENTS = 500;

/** Attempts of pages in the workers of this process. */
export class PageAttempts {
  readonly counts = { accepted: 0, refused: 0, unavailable: 0 };
  readonly count = (result: keyof PageAttempts['counts']): void => {
    this.counts[result]++;
  };
}

/**
 * Pages that nobody has taken: read from the records (and from the watchdog) when they are scraped, so that they are there
 * after a restart and in every process. What could not be read is NaN, which has an alert of its own.
 */
export function measurePages(
  registry: Registry,
  parts: {
    records: Pick<RecordsStore, 'listIncidents'>;
    pages?: PagesGateway | undefined;
    attempts?: PageAttempts | undefined;
    now?: () => number;
  },
): void {
  const now = parts.now ?? Date.now;
  let kept: { untilMs: number; undelivered: Promise<number> } | undefined;
  const undelivered = (): Promise<number> => {
    if (kept === undefined || kept.untilMs <= now()) {
      kept = { untilMs: now() + ASK_EVERY_MS, undelivered: count().catch(() => Number.NaN) };
    }
    return kept.undelivered;
  };
  async function count(): Promise<number> {
    const incidents = await parts.records.listIncidents({ limit: MAX_INCIDENTS });
    const watchdog = await parts.pages?.describeWatchdog();
    return incidents
      .filter(({ milestones }) => milestones.resolved === undefined)
      .reduce((sum, view) => sum + (view.undelivered?.length ?? 0), watchdog?.undelivered.length ?? 0);
  }
  new Gauge({
    name: 'firebreak_pages_undelivered',
    help: 'Pages of open incidents that no channel has taken; NaN: not known',
    registers: [registry],
    async collect() {
      this.set(await undelivered());
    },
  });
  const { attempts, pages } = parts;
  if (attempts !== undefined) {
    new Counter({
      name: 'firebreak_page_attempts_total',
      help: 'Attempts to page a role by what became of them: accepted, refused by every channel, unavailable (tried on)',
      labelNames: ['result'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [result, value] of Object.entries(attempts.counts)) this.inc({ result }, value);
      },
    });
  }
  if (pages === undefined) return;
  new Gauge({
    name: 'firebreak_watchdog_last_seen_timestamp_seconds',
    help: 'When the always-firing alert last arrived; NaN: not known, or never',
    registers: [registry],
    async collect() {
      const view = await pages.describeWatchdog().catch(() => undefined);
      this.set(view?.everSeen ? view.lastSeenMs / 1_000 : Number.NaN);
    },
  });
}
