import { kubernetesStatus } from '../failure.ts';
import { gitOpsClaims } from '../gitops/claims.ts';
import type { ClusterClients } from './cluster-clients.ts';
import type { RawMetadata } from './raw-objects.ts';
import { oneLine } from './revisions.ts';

/** Kinds that control workloads, or what controls them; a chain that is longer was made by hand, to be followed for ever. */
const MAX_CHAIN = 5;
const MAX_NAME_CHARS = 120;
/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

interface Controller {
  kind: string;
  name: string;
  uid?: string;
}

interface Controlled {
  metadata: RawMetadata;
}

/** Where the API has what controls workloads, and what to do there. Of kinds that are not here, the name is told. */
const KNOWN: Record<string, { group: string; version: string; plural: string; advice?: string }> = {
  ReplicaSet: { group: 'apps', version: 'v1', plural: 'replicasets' },
  Deployment: { group: 'apps', version: 'v1', plural: 'deployments' },
  StatefulSet: { group: 'apps', version: 'v1', plural: 'statefulsets' },
  Rollout: { group: 'argoproj.io', version: 'v1alpha1', plural: 'rollouts' },
  InferenceService: {
    group: 'serving.kserve.io',
    version: 'v1beta1',
    plural: 'inferenceservices',
    // https://kserve.github.io/website/docs/model-serving/predictive-inference/rollout-strategies/canary
    advice: 'give its predictor the former model or image, and KServe rolls that out',
  },
  InferenceGraph: { group: 'serving.kserve.io', version: 'v1alpha1', plural: 'inferencegraphs' },
  LeaderWorkerSet: {
    group: 'leaderworkerset.x-k8s.io',
    version: 'v1',
    plural: 'leaderworkersets',
    // https://lws.sigs.k8s.io/docs/concepts/rollout-strategy/
    advice: 'give its leaderWorkerTemplate the former templates, and it updates group by group',
  },
  Service: {
    group: 'serving.knative.dev',
    version: 'v1',
    plural: 'services',
    advice: 'send its traffic to the former revision',
  },
};

/** Labels of those that make workloads, for where the reference to the controller was lost. */
const BY_LABEL: Record<string, string> = {
  'serving.kserve.io/inferenceservice': 'InferenceService',
  'leaderworkerset.sigs.k8s.io/name': 'LeaderWorkerSet',
};

/**
 * Why a workload that another object controls is not rolled back here, by its own references and labels alone; undefined
 * where nothing controls it.
 */
export function controlledBy({ metadata }: Controlled): string | undefined {
  const controller = directController(metadata);
  return controller === undefined ? undefined : refusal([controller]);
}

/** As `controlledBy`, following the chain upwards as far as it can be read, to the object to act on. */
export async function controlledByChain(
  clients: ClusterClients,
  { metadata }: Controlled,
): Promise<string | undefined> {
  const first = directController(metadata);
  if (first === undefined) return undefined;
  const chain = [first];
  let above: RawMetadata | undefined;
  for (let next: Controller | undefined = first; next !== undefined && chain.length < MAX_CHAIN; ) {
    above = await readMetadata(clients, metadata.namespace, next);
    next = above === undefined ? undefined : referenced(above);
    if (next === undefined || chain.some(({ uid }) => uid !== undefined && uid === next?.uid)) break;
    chain.push(next);
  }
  return refusal(chain, above === undefined ? undefined : fromGit(above, chain.at(-1)));
}

function refusal(chain: Controller[], git?: string): string {
  const top = chain.at(-1) ?? { kind: 'something', name: 'unknown' };
  const names = chain.map(nameOf).join(', itself by ');
  const advice = Object.hasOwn(KNOWN, top.kind) ? KNOWN[top.kind]?.advice : undefined;
  return (
    `it is controlled by ${names}, which would write its template again: act on ${chain.length === 1 ? 'that' : nameOf(top)} instead` +
    (advice === undefined ? '' : ` (${advice})`) +
    (git === undefined ? '' : `; ${git} writes that from Git: revert it there`)
  );
}

function nameOf({ kind, name }: Controller): string {
  return oneLine(`${kind} ${name}`, MAX_NAME_CHARS) ?? '';
}

function directController(metadata: RawMetadata): Controller | undefined {
  const reference = referenced(metadata);
  if (reference !== undefined) return reference;
  for (const [label, kind] of Object.entries(BY_LABEL)) {
    const name = metadata.labels?.[label];
    if (name !== undefined) return { kind, name };
  }
  return undefined;
}

function referenced({ ownerReferences }: RawMetadata): Controller | undefined {
  return ownerReferences?.find(({ controller }) => controller === true);
}

/** What the API says of a controller, where it is known, readable, and still the one that is referred to. */
async function readMetadata(
  clients: ClusterClients,
  namespace: string,
  { kind, name, uid }: Controller,
): Promise<RawMetadata | undefined> {
  const known = Object.hasOwn(KNOWN, kind) ? KNOWN[kind] : undefined;
  if (known === undefined || !OBJECT_NAME.test(name)) return undefined;
  const { group, version, plural } = known;
  try {
    const { metadata }: Controlled = await clients.objects.getNamespacedCustomObject({
      group,
      version,
      plural,
      namespace,
      name,
    });
    return uid === undefined || metadata.uid === uid ? metadata : undefined;
  } catch (error) {
    // The direct controller is named anyway: what is above it is a courtesy, for which no right is needed.
    if (kubernetesStatus(error) !== undefined) return undefined;
    throw error;
  }
}

function fromGit(metadata: RawMetadata, top: Controller | undefined): string | undefined {
  const known = top !== undefined && Object.hasOwn(KNOWN, top.kind) ? KNOWN[top.kind] : undefined;
  if (top === undefined || known === undefined) return undefined;
  const self = { group: known.group, kind: top.kind, namespace: metadata.namespace, name: metadata.name };
  const { claims } = gitOpsClaims(metadata, self);
  return claims.find(({ weak }) => !weak)?.owner;
}
