import { readFile } from 'node:fs/promises';
import {
  AdmissionregistrationV1Api,
  loadAllYaml,
  RbacAuthorizationV1Api,
  type V1PolicyRule,
  type V1Role,
} from '@kubernetes/client-node';
import { inject } from 'vitest';
import type { GitOpsActivities } from '../../activities/contract.ts';
import { createGitOpsActivities } from '../../activities/gitops/index.ts';
import type { RawObject } from '../../activities/gitops/objects.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import type { Decision, SignedDecision } from '../../domain/decision.ts';
import type { NoRollback, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { GitOpsPolicy } from '../../domain/runbook.ts';
import { CLUSTER, INCIDENT, type KubeWorld, openKubeWorld, until } from './kubernetes-fixture.ts';

const API = {
  Application: { group: 'argoproj.io', version: 'v1alpha1', plural: 'applications' },
  ApplicationSet: { group: 'argoproj.io', version: 'v1alpha1', plural: 'applicationsets' },
  Kustomization: { group: 'kustomize.toolkit.fluxcd.io', version: 'v1', plural: 'kustomizations' },
  HelmRelease: { group: 'helm.toolkit.fluxcd.io', version: 'v2', plural: 'helmreleases' },
  GitRepository: { group: 'source.toolkit.fluxcd.io', version: 'v1', plural: 'gitrepositories' },
} as const;

type Kind = keyof typeof API;

export const V1 = 'registry.test/llm:v1';
export const V2 = 'registry.test/llm:v2';
export const BAD = 'b'.repeat(40);
export const REVERTED = 'c'.repeat(40);

/** A cluster with workloads in one namespace and the objects of GitOps tools in another. */
export interface GitOpsWorld {
  world: KubeWorld;
  /** Namespace of the tools' objects; the only configured one. */
  tools: string;
  gitops: GitOpsActivities;
  /** Ships two images, with these marks on the workload. */
  ship(name: string, marks: Marks): Promise<void>;
  plan(name: string, policy?: GitOpsPolicy): Promise<RollbackPlan>;
  refusal(name: string, policy?: GitOpsPolicy): Promise<NoRollback>;
  apply(plan: RollbackPlan, decisions?: SignedDecision[]): ReturnType<Apply>;
  signedHash(hash: string, changes?: Partial<Decision>): SignedDecision;
  create(kind: Kind, name: string, object: Partial<RawObject>, manager?: string): Promise<RawObject>;
  read(kind: Kind, name: string): Promise<RawObject>;
  patch(kind: Kind, name: string, operations: object[], manager?: string): Promise<void>;
  /** Sets the status, as the tool's controller does. */
  status(kind: Kind, name: string, status: object): Promise<void>;
  /** The API refuses every change of the workload's template, until it is stopped. */
  denyTemplateChanges(name: string): Promise<{ stop(): Promise<void> }>;
  stop(): Promise<void>;
}

export interface Marks {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

type Apply = ReturnType<KubeWorld['activities']>['applyRollback'];

export async function openGitOpsWorld(): Promise<GitOpsWorld> {
  const world = await openKubeWorld();
  const { config, objects } = connectKube(inject('stack').kube.kubeconfigPath);
  const tools = `${world.namespace}-tools`;
  await world.core.createNamespace({ body: { metadata: { name: tools } } });
  const clients = world.clusters[CLUSTER];
  if (clients) clients.gitOpsNamespaces = [tools];
  const at = (kind: Kind) => ({ ...API[kind], namespace: tools });
  const { trustedEdgeKeys } = world;
  await grant(
    config.makeApiClient(RbacAuthorizationV1Api),
    tools,
    world.rights.user,
    await rulesOf('firebreak-gitops'),
  );

  const ask = (name: string, policy: GitOpsPolicy) =>
    world.activities().planRollback({
      target: world.target(name),
      to: 'previous',
      ledger: {},
      approval: { from: ['ml-oncall'], count: 1 },
      gitops: policy,
      served: { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} },
    });
  const opened: GitOpsWorld = {
    world,
    tools,
    gitops: createGitOpsActivities({ clusters: world.clusters, trustedEdgeKeys }),
    async ship(name, { labels, annotations }) {
      for (const image of [V1, V2]) {
        await world.put(name, image, ({ metadata }) => {
          if (!metadata) return;
          metadata.labels = { ...metadata.labels, ...labels };
          metadata.annotations = { ...metadata.annotations, ...annotations };
        });
        // The controller made the revision: its pods are of no interest here.
        await until(`revision of ${image}`, async () => {
          const { metadata, status } = await world.read(name);
          return status?.observedGeneration === metadata?.generation;
        });
      }
    },
    async plan(name, policy = 'suspend') {
      const answer = await ask(name, policy);
      if ('none' in answer) throw new Error(answer.none.reason);
      return answer.plan;
    },
    async refusal(name, policy = 'suspend') {
      const answer = await ask(name, policy);
      if ('plan' in answer) throw new Error(`a plan was made: ${JSON.stringify(answer.plan.gitops)}`);
      return answer.none;
    },
    apply: (plan, decisions = [world.signed(plan)]) =>
      world.activities().applyRollback({ plan, ...INCIDENT, decisions, commandId: 'command-1' }),
    signedHash: (hash, changes) => world.signed({ hash } as RollbackPlan, changes),
    async create(kind, name, object, manager = 'kubectl') {
      const { group, version } = API[kind];
      const created: RawObject = await objects.createNamespacedCustomObject({
        ...at(kind),
        body: {
          apiVersion: `${group}/${version}`,
          kind,
          ...object,
          metadata: { ...object.metadata, name, namespace: tools },
        },
        fieldManager: manager,
      });
      return created;
    },
    read: (kind, name) => objects.getNamespacedCustomObject({ ...at(kind), name }),
    async patch(kind, name, operations, manager = 'kubectl') {
      await objects.patchNamespacedCustomObject({
        ...at(kind),
        name,
        body: operations,
        fieldManager: manager,
      });
    },
    async status(kind, name, status) {
      const body = [{ op: 'add', path: '/status', value: status }];
      // Argo CD's definitions have no status subresource.
      if (API[kind].group === 'argoproj.io')
        await opened.patch(kind, name, body, 'argocd-application-controller');
      else await objects.patchNamespacedCustomObjectStatus({ ...at(kind), name, body });
    },
    async denyTemplateChanges(name) {
      const admission = config.makeApiClient(AdmissionregistrationV1Api);
      const policyName = `${world.namespace}-${name}`;
      const here = `object.metadata.namespace == '${world.namespace}' && object.metadata.name == '${name}'`;
      await admission.createValidatingAdmissionPolicy({
        body: {
          metadata: { name: policyName },
          spec: {
            failurePolicy: 'Fail',
            matchConstraints: {
              resourceRules: [
                {
                  apiGroups: ['apps'],
                  apiVersions: ['v1'],
                  operations: ['UPDATE'],
                  resources: ['deployments'],
                },
              ],
            },
            matchConditions: [{ name: 'here', expression: here }],
            validations: [{ expression: 'object.spec.template == oldObject.spec.template' }],
          },
        },
      });
      await admission.createValidatingAdmissionPolicyBinding({
        body: { metadata: { name: policyName }, spec: { policyName, validationActions: ['Deny'] } },
      });
      // A policy takes a moment to be enforced.
      const body = [{ op: 'add', path: '/spec/template/metadata/labels/probe', value: 'x' }];
      const isRefused = () =>
        objects
          .patchNamespacedCustomObject({
            group: 'apps',
            version: 'v1',
            plural: 'deployments',
            namespace: world.namespace,
            name,
            body,
            dryRun: 'All',
          })
          .then(
            () => false,
            () => true,
          );
      await until('the policy being enforced', isRefused);
      return {
        async stop() {
          await admission.deleteValidatingAdmissionPolicyBinding({ name: policyName });
          await admission.deleteValidatingAdmissionPolicy({ name: policyName });
          await until('the policy being gone', async () => !(await isRefused()));
        },
      };
    },
    async stop() {
      await world.stop();
      await world.core.deleteNamespace({ name: tools });
    },
  };
  return opened;
}

/** The rules of a Role of deploy/rbac-gitops.yaml: what is tested has these rights and no others. */
export async function rulesOf(role: 'firebreak-gitops' | 'firebreak-owners'): Promise<V1PolicyRule[]> {
  const text = await readFile('deploy/rbac-gitops.yaml', 'utf8');
  const found = (loadAllYaml(text) as V1Role[]).find(
    ({ kind, metadata }) => kind === 'Role' && metadata?.name === role,
  );
  if (found?.rules === undefined) throw new Error(`deploy/rbac-gitops.yaml has no Role ${role}`);
  return found.rules;
}

/** Rights of Firebreak's ServiceAccount in one namespace, beside those of deploy/. */
export async function grant(
  rbac: RbacAuthorizationV1Api,
  namespace: string,
  user: string,
  rules: V1PolicyRule[],
): Promise<void> {
  const name = 'firebreak-more';
  await rbac.createNamespacedRole({ namespace, body: { metadata: { name }, rules } });
  await rbac.createNamespacedRoleBinding({
    namespace,
    body: {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    },
  });
}
