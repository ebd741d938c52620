/** Deliveries as Alertmanager sends them, sent to a running Firebreak over HTTP. */
import { connectKube } from '../../demo/world/kube-client.ts';
import { sha256Hex } from '../../webhooks/alertmanager/group.ts';
import { alertOf, deliveryOf } from '../../webhooks/test-support/deliveries.ts';
import { incidentWorkflowId } from '../../workflows/ids.ts';
import type { Installation } from '../e2e/installation.ts';

export const MODEL = 'llm-api';

interface AlertChange {
  status?: 'firing' | 'resolved';
  startsAt?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** Alertmanager makes the key of a group from the route and the labels that it groups by. */
function groupKeyOf(namespace: string): string {
  return `{}/{}:{alertname="AiHarmfulOutputRateHigh", deployment="${MODEL}", namespace="${namespace}"}`;
}

/** The dedup_key that Alertmanager's own PagerDuty integration uses for that group. */
export function dedupKeyOf(namespace: string): string {
  return sha256Hex(groupKeyOf(namespace));
}

/** One delivery of the guide's alert about the model of a namespace. */
export function harmDelivery(namespace: string, change: AlertChange = {}) {
  const { status = 'firing', labels = {}, startsAt, annotations } = change;
  const alert = alertOf(
    {
      status,
      fingerprint: sha256Hex(JSON.stringify([namespace, labels])).slice(0, 16),
      ...(startsAt === undefined ? {} : { startsAt }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(status === 'resolved' ? { endsAt: new Date().toISOString() } : {}),
    },
    { namespace, deployment: MODEL, cluster: 'local', ...labels },
  );
  return deliveryOf([alert], { status, groupKey: groupKeyOf(namespace) });
}

/** Workflow id of the incident that such a delivery opens. */
export function workflowIdFor(namespace: string): string {
  const correlation = { cluster: 'local', namespace, deployment: MODEL };
  return incidentWorkflowId('ai-harm-response', correlation, sha256Hex);
}

export interface IntakeAnswer {
  status: number;
  text: string;
  body: {
    accepted?: number;
    unmatched?: number;
    incidents?: string[];
    error?: { code: string; message: string; hint: string; problems?: string[] };
  };
}

/** Sends bytes to the intake. Headers given here replace the right ones; null leaves one out. */
export async function deliverRaw(
  installation: Installation,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream,
  headers: Record<string, string | null> = {},
): Promise<IntakeAnswer> {
  const all: Record<string, string | null> = {
    authorization: `Bearer ${installation.firebreak.webhookToken}`,
    'content-type': 'application/json',
    ...headers,
  };
  const answer = await fetch(installation.firebreak.webhookUrl, {
    method: 'POST',
    headers: Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null),
    body,
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, text, body: JSON.parse(text) as IntakeAnswer['body'] };
}

export function deliver(installation: Installation, delivery: unknown): Promise<IntakeAnswer> {
  return deliverRaw(installation, JSON.stringify(delivery));
}

/** What a change of the Deployment would change: everything but status and bookkeeping of its controller. */
export async function deploymentAsShipped(installation: Installation, namespace: string, name = MODEL) {
  const { apps } = connectKube(installation.stack.kube.kubeconfigPath);
  const { metadata, spec } = await apps.readNamespacedDeployment({ namespace, name });
  return {
    uid: metadata?.uid,
    generation: metadata?.generation,
    annotations: metadata?.annotations,
    image: spec?.template.spec?.containers[0]?.image,
    spec,
  };
}
