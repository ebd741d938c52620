import {
  AuthorizationV1Api,
  AutoscalingV2Api,
  CoreV1Api,
  CustomObjectsApi,
  createConfiguration,
  type RequestContext,
  type ResponseContext,
  ServerConfiguration,
} from '@kubernetes/client-node';
import type { Mode, Target } from '../../domain/target.ts';
import { targetKey } from '../../domain/target.ts';
import { fail } from '../failure.ts';
import { PoolingKubeConfig } from './pooling-kube-config.ts';

/**
 * Longest that one call of the API may take, its body included. Calls in one namespace take milliseconds; one that has
 * not answered in this time is better repeated, and an activity that was given up for dead must not write much later.
 */
const REQUEST_TIMEOUT_MS = 5_000;

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** How a cluster is reached and what may be touched in it; the `clusters` entry of the configuration fits. */
export interface ClusterAccess {
  /** Path of a kubeconfig; absent: the service account of the pod this runs in. */
  kubeconfig?: string;
  /** Context of the kubeconfig; absent: its current one. */
  context?: string;
  /** Only these namespaces are ever read or changed; the mode is the default for their workloads. */
  namespaces: Record<string, { mode: Mode }>;
  /** Where objects of GitOps tools may be read and suspended; absent: nowhere. */
  gitops?: { namespaces: readonly string[] };
}

/** Everything activities use to talk to one cluster. */
export interface ClusterClients {
  namespaces: Record<string, { mode: Mode }>;
  /** The only namespaces in which objects of GitOps tools are read and suspended. */
  gitOpsNamespaces: readonly string[];
  /**
   * Set by the emergency command alone: a person with rights of their own in the cluster acts, whatever mode Firebreak
   * itself is in there.
   */
  actsInAnyMode?: true;
  core: CoreV1Api;
  /**
   * Workloads and their revisions are read and patched through this one: it gives the API's JSON as it is. The typed
   * clients drop every field that they are too old to know, and a template written back would lose it.
   */
  objects: CustomObjectsApi;
  autoscaling: AutoscalingV2Api;
  authorization: AuthorizationV1Api;
}

export type ClusterMap = Record<string, ClusterClients>;

/** @throws Error naming the file or context when the kubeconfig cannot be used: a mistake of configuration. */
export function createClusterClients(access: ClusterAccess): ClusterClients {
  const kubeConfig = new PoolingKubeConfig();
  if (access.kubeconfig === undefined) kubeConfig.loadFromCluster();
  else kubeConfig.loadFromFile(access.kubeconfig);
  if (access.context !== undefined) {
    if (kubeConfig.getContextObject(access.context) === null) {
      throw new Error(`the kubeconfig ${access.kubeconfig} has no context "${access.context}"`);
    }
    kubeConfig.setCurrentContext(access.context);
  }
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    throw new Error(
      `the kubeconfig ${access.kubeconfig ?? 'of the service account'} names no cluster to talk to`,
    );
  }
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(cluster.server, {}),
    authMethods: { default: kubeConfig },
    promiseMiddleware: [
      {
        pre: async (request: RequestContext) => {
          request.setHeaderParam('User-Agent', 'firebreak');
          // The client has no timeout of its own.
          request.setSignal(AbortSignal.timeout(REQUEST_TIMEOUT_MS));
          return request;
        },
        post: async (response: ResponseContext) => response,
      },
    ],
  });
  return {
    namespaces: access.namespaces,
    gitOpsNamespaces: access.gitops?.namespaces ?? [],
    core: new CoreV1Api(configuration),
    objects: new CustomObjectsApi(configuration),
    autoscaling: new AutoscalingV2Api(configuration),
    authorization: new AuthorizationV1Api(configuration),
  };
}

/**
 * The clients for a target, where its namespace is configured.
 * @throws InvalidInput for a cluster this worker does not know, Refused for a namespace that is not configured.
 */
export function clientsFor(clusters: ClusterMap, target: Target): ClusterClients {
  if (!Object.hasOwn(clusters, target.cluster)) {
    throw fail('InvalidInput', `this worker has no cluster "${target.cluster}": add it under clusters`);
  }
  const clients = clusters[target.cluster] as ClusterClients;
  if (!OBJECT_NAME.test(target.name)) {
    throw fail('InvalidInput', `${JSON.stringify(target.name)} is no name of a ${target.kind}`);
  }
  if (!Object.hasOwn(clients.namespaces, target.namespace)) {
    throw fail(
      'Refused',
      `${targetKey(target)}: namespace "${target.namespace}" is not configured for cluster "${target.cluster}"; only ` +
        `namespaces listed under clusters.${target.cluster}.namespaces can be read or changed`,
    );
  }
  return clients;
}
