import { Counter, Histogram, type Registry } from 'prom-client';

/** Answers of the intake are mostly tens of milliseconds; 5 s is the deadline towards Temporal. */
const SECONDS_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counters of the inbound edges. Label values are fixed words, never text of a request. */
export interface EdgeMetrics {
  /** By `result`: accepted, or the code of webhooks/errors.ts that was answered. */
  deliveries: Counter<'result'>;
  /** By `disposition`: firing, resolved, unmatched, ignored (resolved only, nothing running), truncated. */
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
