import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RunbookSource } from '../runbooks/live.ts';

/** Answers of the intake are mostly tens of milliseconds; 5 s is the deadline towards Temporal. */
const SECONDS_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Half of a double's 53 bits would do to tell sets apart; 48 are whole hex digits. */
const HASH_HEX_DIGITS = 12;

/** Counters of the inbound edges. Label values are fixed words, never text of a request. */
export interface EdgeMetrics {
  /** By `result`: accepted, or the code of webhooks/errors.ts that was answered. */
  deliveries: Counter<'result'>;
  /** By `disposition`: firing, resolved, unmatched, ignored (resolved only, nothing running), truncated, watchdog. */
  alerts: Counter<'disposition'>;
  deliverySeconds: Histogram;
  /** Answers of every route by route pattern and status class (2xx, 4xx, 5xx). */
  requests: Counter<'route' | 'method' | 'status'>;
  /** People's actions by `action` and `verdict`. */
  actions: Counter<'action' | 'verdict' | 'via'>;
}

export function createEdgeMetrics(registry: Registry): EdgeMetrics {
  const registers = [registry];
  return {
    deliveries: new Counter({
      name: 'firebreak_deliveries_total',
      help: 'Alertmanager deliveries by result; everything but accepted was not taken',
      labelNames: ['result'],
      registers,
    }),
    alerts: new Counter({
      name: 'firebreak_alerts_total',
      help: 'Alerts of accepted deliveries by what became of them',
      labelNames: ['disposition'],
      registers,
    }),
    deliverySeconds: new Histogram({
      name: 'firebreak_delivery_seconds',
      help: 'Time to answer a delivery',
      buckets: SECONDS_BUCKETS,
      registers,
    }),
    requests: new Counter({
      name: 'firebreak_http_requests_total',
      help: 'Answers of the inbound HTTP server by route and status',
      labelNames: ['route', 'method', 'status'],
      registers,
    }),
    actions: new Counter({
      name: 'firebreak_actions_total',
      help: "People's actions on incidents by verdict",
      labelNames: ['action', 'verdict', 'via'],
      registers,
    }),
  };
}

/**
 * Which runbooks answer, and whether the last change of their files could be used. Read when they are scraped. The names
 * follow prometheus_config_last_reload_successful and alertmanager_config_hash.
 */
export function measureRunbooks(registry: Registry, runbooks: RunbookSource): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('firebreak_runbooks_loaded', 'Runbooks that answer alerts', () => runbooks.current().runbooks.length);
  gauge('firebreak_runbooks_hash', 'Hash of the runbooks that answer alerts', () =>
    Number.parseInt(runbooks.current().hash.slice(0, HASH_HEX_DIGITS), 16),
  );
  gauge(
    'firebreak_runbook_reload_success',
    'Whether the runbooks as they are now in the files are used',
    () => (runbooks.status().ok ? 1 : 0),
  );
  gauge(
    'firebreak_runbook_reload_success_timestamp_seconds',
    'When the files of the runbooks could last be used',
    () => runbooks.status().succeededAtMs / 1_000,
  );
  new Counter({
    name: 'firebreak_runbook_reloads_total',
    help: 'Changed runbook files by whether they could be used',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(runbooks.status().attempts)) this.inc({ result }, count);
    },
  });
}
