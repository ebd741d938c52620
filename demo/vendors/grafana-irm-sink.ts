import { type JsonListener, type JsonRequest, listenForJson, type SinkBehaviour } from './webhook-sink.ts';

/**
 * A formatted webhook of Grafana IRM:
 * https://grafana.com/docs/grafana-cloud/alerting-and-irm/irm/configure/integrations/webhooks/incoming-webhooks/oncall-webhooks
 * and its rate limit: https://grafana.com/docs/grafana-cloud/alerting-and-irm/irm/reference/rate-limits.md
 */
const MAX_BODY_BYTES = 1024 * 1024;
/** Alerts of one integration in a window. */
const MAX_ALERTS = 300;
const WINDOW_MS = 5 * 60_000;
const STATES: unknown[] = ['alerting', 'ok'];

export interface GrafanaAlertGroup {
  alertUid: string;
  title: string;
  message: string;
  severity: string;
  alerts: number;
  resolved: boolean;
}

export interface GrafanaIrmSink extends Pick<JsonListener, 'url' | 'requests' | 'close'> {
  groups(): GrafanaAlertGroup[];
  accepted(): unknown[];
  respondWith(behaviour: SinkBehaviour | undefined): void;
}

export async function startGrafanaIrmSink(): Promise<GrafanaIrmSink> {
  const groups: GrafanaAlertGroup[] = [];
  const accepted: unknown[] = [];
  const takenAtMs: number[] = [];

  function handle({ json, tooLarge }: JsonRequest) {
    const nowMs = Date.now();
    if (takenAtMs.filter((atMs) => atMs > nowMs - WINDOW_MS).length >= MAX_ALERTS) return { status: 429 };
    if (tooLarge || typeof json !== 'object' || json === null) return { status: 400 };
    const { alert_uid: alertUid, title, state, message, severity } = json as Record<string, unknown>;
    const texts = [alertUid, title, message];
    if (texts.some((text) => typeof text !== 'string') || !STATES.includes(state)) return { status: 400 };
    takenAtMs.push(nowMs);
    accepted.push(json);
    const group = groups.find((one) => one.alertUid === alertUid && !one.resolved);
    if (state === 'ok') {
      if (group) group.resolved = true;
    } else if (group) group.alerts += 1;
    else {
      groups.push({
        alertUid: String(alertUid),
        title: String(title),
        message: String(message),
        severity: String(severity ?? ''),
        alerts: 1,
        resolved: false,
      });
    }
    return { status: 200, body: 'Ok.' };
  }

  const listener = await listenForJson({ maxBodyBytes: MAX_BODY_BYTES, handle, failure: () => 'refused' });
  return { ...listener, groups: () => structuredClone(groups), accepted: () => structuredClone(accepted) };
}
