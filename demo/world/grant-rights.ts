/** Firebreak's ServiceAccount in the local control plane, with the rights of deploy/ and no others. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type KubernetesObject, KubernetesObjectApi, loadAllYaml } from '@kubernetes/client-node';
import type { StackKube } from '../stack/attach-stack.ts';
import { apiStatus, connectKube, explain } from './kube-client.ts';

const DEPLOY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../deploy');
/** As deploy/ names them. */
const EXAMPLE_NAMESPACE = 'ai-production';
const SERVICE_ACCOUNT = 'firebreak';
/** Longer than any run of tests or demo. */
const TOKEN_SECONDS = 86_400;

/** The Role, and what is added to it where people want that. */
export type RightsFile = 'rbac.yaml' | 'rbac-gitops.yaml';

export interface GrantOptions {
  kube: StackKube;
  /** Namespaces with models. */
  namespaces: readonly string[];
  /** Where the ServiceAccount is; it must exist. Default: the first of the namespaces. */
  home?: string;
  files?: readonly RightsFile[];
  /** Changes the objects before they are created; undefined leaves one out. */
  change?: (object: KubernetesObject) => KubernetesObject | undefined;
}

export interface GrantedRights {
  /** As RBAC and the audit log name it: `system:serviceaccount:NAMESPACE:firebreak`. */
  user: string;
  /** Its groups, as the API server gives them to it. */
  groups: string[];
  /** YAML of a kubeconfig that knows nothing but its token. */
  kubeconfig: string;
  /** Writes that kubeconfig, for this user of the machine alone. */
  writeKubeconfig(file: string): Promise<string>;
}

/** The objects of a file of deploy/, about these namespaces instead of the example's. */
export async function rightsFor(
  file: RightsFile,
  { namespaces, home }: { namespaces: readonly string[]; home: string },
): Promise<KubernetesObject[]> {
  const text = await readFile(path.join(DEPLOY, file), 'utf8');
  const objects = loadAllYaml(text) as (KubernetesObject & { subjects?: { namespace?: string }[] })[];
  return objects.flatMap((object) => {
    if (object.metadata?.namespace !== EXAMPLE_NAMESPACE) {
      return [{ ...object, metadata: { ...object.metadata, namespace: home } }];
    }
    return namespaces.map((namespace) => ({
      ...object,
      metadata: { ...object.metadata, namespace },
      ...(object.subjects && {
        subjects: object.subjects.map((subject) => ({ ...subject, namespace: home })),
      }),
    }));
  });
}

/** Creates ServiceAccount, Roles and RoleBindings as deploy/ has them, and a token. May be called again for more. */
export async function grantRights(options: GrantOptions): Promise<GrantedRights> {
  const { kube, namespaces, files = ['rbac.yaml'], change = (object) => object } = options;
  const home = options.home ?? namespaces[0] ?? 'default';
  const { config, core } = connectKube(kube.kubeconfigPath);
  const api = KubernetesObjectApi.makeApiClient(config);
  for (const file of files) {
    for (const object of await rightsFor(file, { namespaces, home })) {
      const wanted = change(object);
      if (wanted === undefined) continue;
      await api.create(wanted).catch((error: unknown) => {
        if (apiStatus(error) !== 409) throw explain(error, `creating ${object.kind} of deploy/${file}`);
      });
    }
  }
  const { status } = await core.createNamespacedServiceAccountToken({
    name: SERVICE_ACCOUNT,
    namespace: home,
    body: { spec: { audiences: [], expirationSeconds: TOKEN_SECONDS } },
  });
  const kubeconfig = kube.kubeconfigFor(status?.token ?? '');
  return {
    user: `system:serviceaccount:${home}:${SERVICE_ACCOUNT}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${home}`, 'system:authenticated'],
    kubeconfig,
    writeKubeconfig: async (file) => {
      await writeFile(file, kubeconfig, { mode: 0o600 });
      return file;
    },
  };
}
