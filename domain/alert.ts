/** One alert of an Alertmanager webhook (v4) delivery. All text in it is untrusted. */
export interface Alert {
  status: 'firing' | 'resolved';
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** RFC 3339. */
  startsAt: string;
  /** RFC 3339; the zero time while firing. */
  endsAt: string;
  generatorURL: string;
  /** Alertmanager's fingerprint of the label set: the identity of an alert. */
  fingerprint: string;
}

/** Alertmanager webhook payload, version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config). */
export interface AlertDelivery {
  version: '4';
  groupKey: string;
  truncatedAlerts: number;
  status: 'firing' | 'resolved';
  receiver: string;
  groupLabels: Record<string, string>;
  commonLabels: Record<string, string>;
  commonAnnotations: Record<string, string>;
  externalURL: string;
  alerts: Alert[];
}

/** Signal payload: the alerts of (a part of) one delivery that correlate to one incident. */
export interface AlertsReceived {
  groupKey: string;
  /** SHA-256 (hex) of groupKey: what Alertmanager's own PagerDuty notifier uses as dedup_key. */
  dedupKey: string;
  receivedAtMs: number;
  truncatedAlerts: number;
  externalUrl: string;
  alerts: Alert[];
}

/** What an incident remembers of an alert: one entry a fingerprint; repeats only count. */
export interface AlertRecord {
  fingerprint: string;
  status: 'firing' | 'resolved';
  alertname: string;
  /** In views and records only those that the runbook has to do with (shown-labels.ts). */
  labels: Record<string, string>;
  summary: string;
  startsAt: string;
  firstReceivedAtMs: number;
  lastReceivedAtMs: number;
  resolvedAtMs?: number;
  deliveries: number;
}
