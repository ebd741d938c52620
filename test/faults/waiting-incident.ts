/** A model with two revisions and an incident of it, without traffic: its metrics are unknown. */
import { Api } from '../../demo/run/api.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { awaitRolledOut, createNamespace, shipModel } from '../../demo/world/models.ts';
import { type RunningNode, startNode } from '../../demo/world/node.ts';
import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import type { Installation } from '../e2e/installation.ts';
import { deliver, harmDelivery, MODEL } from './alert-deliveries.ts';

export const V1 = 'demo.invalid/llm:v1';
export const V2 = 'demo.invalid/llm:v2';
/** Two pods that get ready in 300 ms, on a machine that runs other tests beside. */
const ROLLOUT_MS = 60_000;
const INCIDENT_MS = 150_000;

export function apiOf(installation: Installation, person: 'maria' | 'sam' | 'kim' | 'eve'): Api {
  return new Api(installation.firebreak.url, installation.firebreak.tokens[person]);
}

export function modelIn(installation: Installation, namespace: string) {
  return { kubeconfig: installation.stack.kube.kubeconfigPath, namespace, name: MODEL };
}

/** Ships the images one after the other, as revisions 1, 2, ...; the node must be stopped at the end. */
export async function shipRevisions(
  installation: Installation,
  namespace: string,
  images: readonly string[] = [V1, V2],
): Promise<RunningNode> {
  const model = modelIn(installation, namespace);
  await createNamespace(model.kubeconfig, namespace);
  const node = await startNode({ kubeconfig: model.kubeconfig, namespaces: [namespace] });
  for (const image of images) {
    await shipModel({ ...model, image, replicas: 1 });
    await awaitRolledOut({ ...model, image, timeoutMs: ROLLOUT_MS });
  }
  return node;
}

/** The incident as soon as it is what is wanted. */
export async function incidentWhen(
  installation: Installation,
  incidentId: string,
  what: string,
  wanted: (view: IncidentView) => boolean,
): Promise<IncidentView> {
  const api = apiOf(installation, 'maria');
  let last: IncidentView | undefined;
  try {
    return await pollUntil(`incident ${incidentId} ${what}`, INCIDENT_MS, async () => {
      last = await api.incident(incidentId);
      return wanted(last) ? last : undefined;
    });
  } catch (error) {
    const lines = last?.timeline.map(({ kind, text, actor }) => `  ${kind}: ${text} (${actor})`) ?? [];
    throw new Error(`${(error as Error).message}; it is ${last?.state}:\n${lines.join('\n')}`);
  }
}

export function stepOf(view: IncidentView, id: string) {
  return view.steps.find((step) => step.id === id);
}

/** Delivers the alert, and gives the id of the incident that it opened. */
export async function openIncident(
  installation: Installation,
  namespace: string,
  delivery: unknown = harmDelivery(namespace),
): Promise<string> {
  const answer = await deliver(installation, delivery);
  if (answer.status !== 200) throw new Error(`the delivery was answered ${answer.status}: ${answer.text}`);
  return incidentIdOf(installation, answer.body.incidents?.[0] ?? '');
}

/** The id of the incident that a workflow runs. */
export async function incidentIdOf(installation: Installation, workflowId: string): Promise<string> {
  const prefix = workflowId.replace(/^incident-/, 'inc-');
  const api = apiOf(installation, 'maria');
  return pollUntil(`the incident of ${workflowId}`, INCIDENT_MS, async () => {
    const lines = await api.incidents();
    return lines.find((line) => line.incidentId.startsWith(prefix))?.incidentId;
  });
}

/**
 * A person chooses revision 1: without metrics none is known to be good, so the step fails first and asks for that.
 * @returns what then waits for approval.
 */
export async function askForRollback(
  installation: Installation,
  incidentId: string,
): Promise<{ view: IncidentView; pending: PendingApproval }> {
  await incidentWhen(
    installation,
    incidentId,
    'having its rollback step failed',
    (view) => stepOf(view, 'rollback')?.status === 'failed',
  );
  const answer = await apiOf(installation, 'sam').call('POST', `/incidents/${incidentId}/retry-step`, {
    step: 'rollback',
    reason: 'revision 1 served well last week',
    toRevision: 1,
  });
  if (answer.status !== 200)
    throw new Error(`the retry was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  const view = await incidentWhen(
    installation,
    incidentId,
    'waiting for approval',
    (candidate) => candidate.pendingApprovals.length > 0,
  );
  const [pending] = view.pendingApprovals;
  if (!pending) throw new Error('nothing waits for approval');
  return { view, pending };
}

interface Attempt {
  person?: string;
  decision: string;
  verdict: string;
  reason?: string;
  via: string;
  planHash?: string;
}

export async function attemptsOn(installation: Installation, incidentId: string): Promise<Attempt[]> {
  const { body } = await apiOf(installation, 'kim').call('GET', `/incidents/${incidentId}/attempts`);
  return body.attempts as Attempt[];
}
