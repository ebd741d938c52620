import type { AlertDelivery } from '../../domain/alert.ts';
import type { Target } from '../../domain/target.ts';
import { sha256Hex } from './group.ts';

/** Alertmanager's fingerprints have 64 bits; ours are told apart from them by their own label set. */
const FINGERPRINT_LENGTH = 16;
const ZERO_TIME = '0001-01-01T00:00:00Z';

/** The labels by which runbooks find a target. */
export function targetLabels(target: Target): Record<string, string> {
  return {
    cluster: target.cluster,
    namespace: target.namespace,
    [target.kind.toLowerCase()]: target.name,
  };
}

/**
 * A delivery of one alert that Firebreak itself raises, as Alertmanager would send it.
 * @param key same for the same event: told again, it is the same alert.
 * @param labels with `alertname`.
 */
export function ownDelivery(
  {
    key,
    status,
    labels,
    summary,
  }: {
    key: string;
    status: 'firing' | 'resolved';
    labels: Record<string, string>;
    summary: string;
  },
  nowMs: number,
): AlertDelivery {
  const at = new Date(nowMs).toISOString();
  return {
    version: '4',
    groupKey: `firebreak:${key}`,
    truncatedAlerts: 0,
    status,
    receiver: 'firebreak',
    groupLabels: {},
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: '',
    alerts: [
      {
        status,
        labels,
        annotations: { summary },
        startsAt: at,
        endsAt: status === 'firing' ? ZERO_TIME : at,
        generatorURL: '',
        fingerprint: sha256Hex(`${key}\n${labels.alertname}`).slice(0, FINGERPRINT_LENGTH),
      },
    ],
  };
}
