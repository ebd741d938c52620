import { userInfo } from 'node:os';
import { AuthenticationV1Api, KubeConfig } from '@kubernetes/client-node';
import type { EmergencyActor } from '../../domain/emergency.ts';

/** Nobody waits for a name: what was done matters more than by whom it is said to be. */
const WITHIN_MS = 3_000;

/** Who has this kubeconfig: by the API server's word where it gives it, by the file, and by the machine. */
export async function whoHas(
  access: { kubeconfig: string; context?: string | undefined },
  as: string | undefined,
): Promise<EmergencyActor> {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(access.kubeconfig);
  if (access.context !== undefined) kubeConfig.setCurrentContext(access.context);
  const api = await askApi(kubeConfig);
  const kubeconfig = kubeConfig.getCurrentUser()?.name;
  const os = machineUser();
  return {
    ...(api === undefined ? {} : { api }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(os === undefined ? {} : { os }),
    ...(as === undefined ? {} : { as }),
  };
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review */
async function askApi(kubeConfig: KubeConfig): Promise<string | undefined> {
  const timer = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), WITHIN_MS).unref();
  });
  const asked = kubeConfig
    .makeApiClient(AuthenticationV1Api)
    .createSelfSubjectReview({ body: {} })
    .then((review) => review.status?.userInfo?.username)
    .catch(() => undefined);
  return await Promise.race([asked, timer]);
}

function machineUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A container whose user has no name.
    return undefined;
  }
}
