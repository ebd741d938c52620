import { type CustomObjectsApi, RbacAuthorizationV1Api } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectKube } from '../../demo/world/kube-client.ts';
import { installCrds } from './crds.ts';
import { grant, rulesOf } from './gitops-fixture.ts';
import { type KubeWorld, openKubeWorld, until } from './kubernetes-fixture.ts';

const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const KINDS = {
  InferenceService: { group: 'serving.kserve.io', version: 'v1beta1', plural: 'inferenceservices' },
  LeaderWorkerSet: { group: 'leaderworkerset.x-k8s.io', version: 'v1', plural: 'leaderworkersets' },
  ScaledObject: { group: 'keda.sh', version: 'v1alpha1', plural: 'scaledobjects' },
} as const;

let world: KubeWorld;
let objects: CustomObjectsApi;
beforeAll(async () => {
  const { kubeconfigPath } = inject('stack').kube;
  // Twice at once, as files of tests do.
  const sets = ['kserve', 'lws', 'keda'] as const;
  await Promise.all([installCrds(kubeconfigPath, sets), installCrds(kubeconfigPath, sets)]);
  ({ objects } = connectKube(kubeconfigPath));
  world = await openKubeWorld();
});
afterAll(() => world?.stop());

async function create(
  kind: keyof typeof KINDS,
  name: string,
  spec: object,
  annotations: Record<string, string> = {},
): Promise<string> {
  const at = KINDS[kind];
  const { namespace } = world;
  const body = {
    apiVersion: `${at.group}/${at.version}`,
    kind,
    metadata: { name, namespace, annotations },
    spec,
  };
  const created = await objects.createNamespacedCustomObject({ ...at, namespace, body });
  return created.metadata.uid;
}

async function refusal(name: string): Promise<string> {
  const answer = await world.activities().planRollback({
    target: world.target(name),
    to: 'previous',
    ledger: {},
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse',
    served: { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} },
  });
  if ('plan' in answer) throw new Error(`a plan was made; owners: ${answer.plan.owners.join(', ')}`);
  return answer.none.reason;
}

interface Reference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
}

async function shipOwned(
  name: string,
  { owner, labels = {} }: { owner?: Reference; labels?: Record<string, string> },
): Promise<void> {
  for (const image of [V1, V2]) {
    await world.put(name, image, ({ metadata }) => {
      if (!metadata) return;
      metadata.labels = { ...metadata.labels, ...labels };
      if (owner) metadata.ownerReferences = [{ ...owner, controller: true }];
    });
    await until(`revision of ${image}`, async () => {
      const { metadata, status } = await world.read(name);
      return status?.observedGeneration === metadata?.generation;
    });
  }
}

const PREDICTOR = { predictor: { model: { modelFormat: { name: 'huggingface' }, storageUri: 's3://m' } } };

describe('a workload that another object controls', () => {
  it('is refused by the name of its KServe InferenceService, by reference and by label', async () => {
    const uid = await create('InferenceService', 'llm', PREDICTOR);
    const owner = { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name: 'llm', uid };
    await shipOwned('llm-predictor', { owner });
    expect(await refusal('llm-predictor')).toBe(
      'it is controlled by InferenceService llm, which would write its template again: act on that instead ' +
        '(give its predictor the former model or image, and KServe rolls that out)',
    );
    await shipOwned('llm-transformer', { labels: { 'serving.kserve.io/inferenceservice': 'llm' } });
    expect(await refusal('llm-transformer')).toMatch(/^it is controlled by InferenceService llm,/);
  });

  it('is refused by the name of its LeaderWorkerSet', async () => {
    const container = { name: 'm', image: V1 };
    const uid = await create('LeaderWorkerSet', 'big', {
      replicas: 1,
      leaderWorkerTemplate: { size: 2, workerTemplate: { spec: { containers: [container] } } },
    });
    const owner = { apiVersion: 'leaderworkerset.x-k8s.io/v1', kind: 'LeaderWorkerSet', name: 'big', uid };
    await shipOwned('big-leader', { owner });
    expect(await refusal('big-leader')).toMatch(/controlled by LeaderWorkerSet big.*leaderWorkerTemplate/);
  });

  it('is followed upwards to what is to be acted on, and to the Git that writes that, as far as it may be read', async () => {
    const { namespace } = world;
    const id = `models:serving.kserve.io/InferenceService:${namespace}/top`;
    const top = await create('InferenceService', 'top', PREDICTOR, { 'argocd.argoproj.io/tracking-id': id });
    await shipOwned('middle', {
      owner: { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name: 'top', uid: top },
    });
    const uid = (await world.read('middle')).metadata?.uid ?? '';
    await shipOwned('bottom', { owner: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'middle', uid } });
    // Firebreak's own Role lets it read Deployments, and nothing of KServe.
    expect(await refusal('bottom')).toMatch(
      /^it is controlled by Deployment middle, itself by InferenceService top, which would.*act on InferenceService top instead/,
    );
    expect(await refusal('bottom')).not.toMatch(/Argo CD/);
    const { config } = connectKube(inject('stack').kube.kubeconfigPath);
    const rbac = config.makeApiClient(RbacAuthorizationV1Api);
    await grant(rbac, namespace, world.rights.user, await rulesOf('firebreak-owners'));
    expect(await refusal('bottom')).toMatch(
      /; Argo CD application models writes that from Git: revert it there$/,
    );
  });

  it('is refused by any controller, whatever it calls itself, in one line', async () => {
    const owner = { apiVersion: 'x.example.com/v1', kind: 'Weird', name: 'a\u202eb', uid: 'not-a-real-uid' };
    await shipOwned('weird', { owner });
    expect(await refusal('weird')).toBe(
      'it is controlled by Weird a b, which would write its template again: act on that instead',
    );
    // A chain that ends where it began.
    await shipOwned('circle', {});
    const uid = (await world.read('circle')).metadata?.uid ?? '';
    await shipOwned('circle', { owner: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'circle', uid } });
    expect(await refusal('circle')).toMatch(/^it is controlled by Deployment circle,/);
  });
});

describe('an autoscaler', () => {
  it('is told, and no reason to refuse; KEDA`s by its own name', async () => {
    await shipOwned('scaled', {});
    await create('ScaledObject', 'burst', { scaleTargetRef: { name: 'scaled' }, triggers: [] });
    await objects.createNamespacedCustomObject({
      group: 'autoscaling',
      version: 'v2',
      plural: 'horizontalpodautoscalers',
      namespace: world.namespace,
      body: {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        // As KEDA makes it for the ScaledObject.
        metadata: { name: 'keda-hpa-burst', labels: { 'scaledobject.keda.sh/name': 'burst' } },
        spec: {
          maxReplicas: 3,
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'scaled' },
        },
      },
    });
    await expect(refusal('scaled')).rejects.toThrow('a plan was made; owners: KEDA ScaledObject burst');
  });
});
