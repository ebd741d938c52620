import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  createConfiguration,
  type KubeConfig,
  PatchStrategy,
  type RequestContext,
  type ResponseContext,
  ServerConfiguration,
  setHeaderOptions,
} from '@kubernetes/client-node';
import { PoolingKubeConfig } from '../../activities/kubernetes/pooling-kube-config.ts';

/** The local API server answers in milliseconds; one that takes this long is starting, stopping or starved. */
const REQUEST_TIMEOUT_MS = 10_000;

/** One connection to the API of the local control plane. */
export interface KubeClient {
  config: KubeConfig;
  core: CoreV1Api;
  apps: AppsV1Api;
  /** Any object as the API's JSON has it. */
  objects: CustomObjectsApi;
}

/** @throws Error naming the file when it cannot be read or names no cluster. */
export function connectKube(kubeconfig: string): KubeClient {
  const config = new PoolingKubeConfig();
  config.loadFromFile(kubeconfig);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`the kubeconfig ${kubeconfig} names no cluster to talk to`);
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(cluster.server, {}),
    authMethods: { default: config },
    promiseMiddleware: [
      {
        pre: async (request: RequestContext) => {
          request.setHeaderParam('User-Agent', 'firebreak-demo');
          request.setSignal(AbortSignal.timeout(REQUEST_TIMEOUT_MS));
          return request;
        },
        post: async (response: ResponseContext) => response,
      },
    ],
  });
  return {
    config,
    core: new CoreV1Api(configuration),
    apps: new AppsV1Api(configuration),
    objects: new CustomObjectsApi(configuration),
  };
}

/** Options of a patch call whose body is a partial object; without them the library says it were a JSON Patch. */
export const MERGE_PATCH = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
/** Options of a patch call whose body is all that the caller wants to own: creates or updates in one call. */
export const SERVER_SIDE_APPLY = setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply);

/** HTTP status that the API answered with; undefined where it did not answer. */
export function apiStatus(error: unknown): number | undefined {
  return error instanceof ApiException ? error.code : undefined;
}

/** What failed and how, in one line; the library's own message carries headers and body over many. */
export function explain(error: unknown, what: string): Error {
  const status = apiStatus(error);
  if (status === undefined) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    return new Error(`${what} failed: ${message}`, { cause: error });
  }
  return new Error(`${what} was answered ${status}${reasonOf(error)}`);
}

function reasonOf(error: unknown): string {
  const { body } = error as ApiException<unknown>;
  const status = typeof body === 'string' ? parseStatus(body) : body;
  if (typeof status !== 'object' || status === null || !('message' in status)) return '';
  return `: ${String(status.message)}`;
}

function parseStatus(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
