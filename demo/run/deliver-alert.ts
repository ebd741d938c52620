/** One alert, delivered as Alertmanager delivers it. */
import { createHash } from 'node:crypto';
import { pollUntil } from '../stack/poll.ts';
import type { Api } from './api.ts';
import type { Firebreak } from './firebreak-process.ts';

const LISTED_WITHIN_MS = 30_000;
/** Alertmanager's for an alert that has not ended. */
const NO_END = '0001-01-01T00:00:00Z';

export interface DeliveredAlert {
  labels: Record<string, string>;
  annotations?: Record<string, string>;
  status?: 'firing' | 'resolved';
}

/** @returns id of the incident's workflow. @throws Error where the delivery was not accepted. */
export async function deliverAlert(firebreak: Firebreak, alert: DeliveredAlert): Promise<string> {
  const { labels, annotations = {}, status = 'firing' } = alert;
  const groupKey = `{}:${JSON.stringify(labels)}`;
  const nowIso = new Date().toISOString();
  const answer = await fetch(firebreak.webhookUrl, {
    method: 'POST',
    headers: { authorization: `Bearer ${firebreak.webhookToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      version: '4',
      receiver: 'firebreak',
      status,
      alerts: [
        {
          status,
          labels,
          annotations,
          startsAt: nowIso,
          endsAt: status === 'firing' ? NO_END : nowIso,
          generatorURL: '',
          fingerprint: createHash('sha256').update(groupKey).digest('hex').slice(0, 16),
        },
      ],
      groupLabels: labels,
      commonLabels: labels,
      commonAnnotations: annotations,
      externalURL: '',
      groupKey,
      truncatedAlerts: 0,
    }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`the delivery was answered ${answer.status}: ${text}`);
  return (JSON.parse(text) as { incidents?: string[] }).incidents?.[0] ?? '';
}

/** The id of the incident that a workflow runs, once it is listed. */
export function incidentOf(api: Api, workflowId: string): Promise<string> {
  const prefix = workflowId.replace(/^incident-/, 'inc-');
  return pollUntil(`the incident of ${workflowId}`, LISTED_WITHIN_MS, async () => {
    const lines = await api.incidents();
    return lines.find(({ incidentId }) => incidentId.startsWith(prefix))?.incidentId;
  });
}
