/**
 * The rights of deploy/: everything works with them (every test on Kubernetes acts with them, see kubernetes-fixture.ts),
 * each of them is used, and nothing else is allowed.
 */
import type { V1ClusterRole, V1Role } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  createClusterClients,
  createKubernetesActivities,
  missingRights,
  RIGHTS,
} from '../../activities/kubernetes/index.ts';
import { attachStack, type StackKube } from '../../demo/stack/attach-stack.ts';
import { grantRights, rightsFor } from '../../demo/world/grant-rights.ts';
import { BREAKER_CONFIG_MAP } from '../../domain/breaker.ts';
import { installCrds } from './crds.ts';
import { CLUSTER, type KubeWorld, openKubeWorld } from './kubernetes-fixture.ts';
import { AskingApi, type Right, requestsOf, rightsOf, rightText, VERBS } from './rbac-review.ts';
import { tour } from './rbac-tour.ts';

const CRDS_MS = 180_000;
/** Some ten thousand questions, a millisecond each on an idle machine. */
const ASKING_MS = 180_000;

let kube: StackKube;
let world: KubeWorld;
let api: AskingApi;

beforeAll(async () => {
  kube = attachStack(inject('stack')).kube;
  await installCrds(kube.kubeconfigPath, ['gateway-api', 'argo-rollouts']);
  world = await openKubeWorld();
  api = await AskingApi.connect(kube);
}, CRDS_MS);
afterAll(async () => {
  api?.close();
  await world?.stop();
});

describe('deploy/rbac.yaml', () => {
  it('gives what the committed list says, by the API server`s own account', async () => {
    const { namespace } = world;
    const { authorization } = clientsOfWorld();
    const { status } = await authorization.createSelfSubjectRulesReview({ body: { spec: { namespace } } });
    if (status === undefined) throw new Error('the API server reviewed nothing');
    const list = {
      resources: rightsOf(status),
      nonResourceUrls: [
        ...new Set(status.nonResourceRules.flatMap((rule) => rule.nonResourceURLs ?? [])),
      ].sort(),
    };
    expect(status.incomplete).toBe(false);
    await expect(fixtureText(list)).toMatchFileSnapshot('../fixtures/rbac/rights.json');
  });

  it('grants each right once, and those that doctor asks for', async () => {
    const granted = (await roleRights()).map(rightText);
    expect(granted.filter((right, index) => granted.indexOf(right) !== index)).toEqual([]);
    const asked = [...RIGHTS.required, ...RIGHTS.optional].map(rightText);
    expect([...granted].sort()).toEqual([...asked].sort());
    expect(await missingRights(clientsOfWorld(), world.namespace)).toEqual([]);
    const elsewhere = await missingRights(clientsOfWorld(), 'default');
    expect(elsewhere.map(rightText)).toEqual(RIGHTS.required.map(rightText));
  });

  it(
    'allows nothing else: of every verb on every resource that the server has, in this namespace and others',
    async () => {
      const { namespace, rights } = world;
      const resources = await api.resources();
      expect(resources.length).toBeGreaterThan(100);
      const places: { namespace?: string; name?: string }[] = [
        { namespace },
        { namespace, name: BREAKER_CONFIG_MAP },
        { namespace: 'default' },
        // Of the whole cluster.
        {},
      ];
      const questions = places.flatMap((place) =>
        resources.flatMap(({ group, resource }) =>
          VERBS.map((verb) => ({ verb, group, resource, ...place })),
        ),
      );
      // What everybody may do who is known to the server, a service account without any binding too.
      const nobody = { user: `system:serviceaccount:${namespace}:default`, groups: rights.groups };
      const answeredYes = await api.allowed(rights, questions);
      const anybody = new Set(await api.allowed(nobody, answeredYes));
      const allowed = answeredYes.filter((one) => !anybody.has(one));

      const granted = await roleRights();
      const expected = questions.filter(
        (question) =>
          question.namespace === namespace &&
          granted.some(
            (right) =>
              rightText({ ...right, name: undefined }) === rightText({ ...question, name: undefined }) &&
              (right.name === undefined || right.name === question.name),
          ),
      );
      expect(allowed.map(placeText)).toEqual(expected.map(placeText));

      const may = allowed.map((one) => rightText({ ...one, name: undefined }));
      for (const never of [
        ...['get secrets', 'list secrets', 'list configmaps', 'delete configmaps', 'patch configmaps'],
        ...['create pods', 'delete pods', 'create pods/exec', 'create pods/eviction', 'get pods/log'],
        ...['create apps/deployments', 'delete apps/deployments', 'update apps/deployments'],
        ...['patch apps/deployments/scale', 'patch apps/replicasets', 'create serviceaccounts/token'],
        ...['patch rbac.authorization.k8s.io/roles', 'impersonate users', 'get nodes'],
      ]) {
        expect(may).not.toContain(never);
      }
    },
    ASKING_MS,
  );

  it('grants nothing that is not used: rollback and breaker, on every kind, as the audit log has it', async () => {
    const { auditLogPath } = kube;
    if (auditLogPath === undefined) throw new Error('the stack keeps no audit log');
    await tour(world);
    const requests = (await requestsOf(auditLogPath, world.rights.user)).filter(
      ({ namespace }) => namespace === world.namespace,
    );
    const used = (right: Right) =>
      requests.some(
        ({ status, ...request }) =>
          status > 0 &&
          status < 300 &&
          rightText({ ...request, name: undefined }) === rightText({ ...right, name: undefined }) &&
          (right.name === undefined || right.name === request.name),
      );
    const granted = await roleRights();
    expect(granted.filter((right) => !used(right)).map(rightText)).toEqual([]);
    expect(requests.filter(({ status }) => status === 403).map(rightText)).toEqual([]);
  });

  it('is no more with deploy/rbac-gitops.yaml than the objects of GitOps tools, and what may own a workload', async () => {
    const { namespace } = world;
    const tools = `${namespace}-tools`;
    await world.core.createNamespace({ body: { metadata: { name: tools } } });
    const more = await grantRights({
      kube,
      namespaces: [namespace],
      toolNamespaces: [tools],
      files: ['rbac-gitops.yaml'],
    });
    const file = `${attachStack(inject('stack')).dir}/${tools}.kubeconfig`;
    const clients = createClusterClients({ kubeconfig: await more.writeKubeconfig(file), namespaces: {} });
    const rightsIn = async (place: string) => {
      const body = { spec: { namespace: place } };
      const { status } = await clients.authorization.createSelfSubjectRulesReview({ body });
      return status === undefined ? [] : rightsOf(status).map(rightText);
    };
    const before = new Set([...(await roleRights()).map(rightText), ...(await rightsIn('default'))]);
    const added = async (place: string) => (await rightsIn(place)).filter((right) => !before.has(right));
    expect({ tools: await added(tools), models: await added(namespace) }).toEqual({
      tools: [
        'get argoproj.io/applications',
        'patch argoproj.io/applications',
        'get argoproj.io/applicationsets',
        'get helm.toolkit.fluxcd.io/helmreleases',
        'patch helm.toolkit.fluxcd.io/helmreleases',
        'get kustomize.toolkit.fluxcd.io/kustomizations',
        'patch kustomize.toolkit.fluxcd.io/kustomizations',
        'get source.toolkit.fluxcd.io/buckets',
        'get source.toolkit.fluxcd.io/gitrepositories',
        'get source.toolkit.fluxcd.io/ocirepositories',
      ],
      models: [
        'get apps/replicasets',
        'get leaderworkerset.x-k8s.io/leaderworkersets',
        'get serving.knative.dev/services',
        'get serving.kserve.io/inferencegraphs',
        'get serving.kserve.io/inferenceservices',
      ],
    });
    await world.core.deleteNamespace({ name: tools });
  });

  it('says what is lacking where there is no Role', async () => {
    const kubeconfig = await world.rights.writeKubeconfig(
      `${attachStack(inject('stack')).dir}/nobody.kubeconfig`,
    );
    const elsewhere = createKubernetesActivities({
      clusters: {
        [CLUSTER]: createClusterClients({ kubeconfig, namespaces: { default: { mode: 'approve' } } }),
      },
      trustedEdgeKeys: {},
    });
    await expect(
      elsewhere.readTarget({ target: { ...world.target('llm-api'), namespace: 'default' } }),
    ).rejects.toMatchObject({ type: 'Unauthorized' });
  });
});

function clientsOfWorld() {
  const clients = world.clusters[CLUSTER];
  if (clients === undefined) throw new Error('no clients');
  return clients;
}

/** As the Role in the file has them. */
async function roleRights(): Promise<Right[]> {
  const objects = await rightsFor('rbac.yaml', { namespaces: [world.namespace], home: world.namespace });
  const roles = objects.filter((object): object is V1Role | V1ClusterRole => object.kind === 'Role');
  return rightsOf({
    incomplete: false,
    nonResourceRules: [],
    resourceRules: roles.flatMap(({ rules }) => rules ?? []),
  });
}

function placeText(question: Right & { namespace?: string }): string {
  return `${rightText(question)} in ${question.namespace ?? 'the cluster'}`;
}

/** One right a line, so that a change of rights is read as one. */
function fixtureText({
  resources,
  nonResourceUrls,
}: {
  resources: Right[];
  nonResourceUrls: string[];
}): string {
  const line = (value: object) =>
    `    { ${Object.entries(value)
      .map(([key, text]) => `"${key}": ${JSON.stringify(text)}`)
      .join(', ')} }`;
  return [
    '{',
    '  "resources": [',
    resources.map(line).join(',\n'),
    '  ],',
    '  "nonResourceUrls": [',
    nonResourceUrls.map((url) => `    ${JSON.stringify(url)}`).join(',\n'),
    '  ]',
    '}',
    '',
  ].join('\n');
}
