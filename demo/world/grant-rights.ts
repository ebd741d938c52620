/** Firebreak's ServiceAccount in the local control plane, with the rights of deploy/ and no others. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type KubernetesObject, KubernetesObjectApi, loadAllYaml } from '@kubernetes/client-node';
import type { StackKube } from '../stack/attach-stack.ts';
import { apiStatus, connectKube, explain } from './kube-client.ts';

const DEPLOY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../deploy');
/** As deploy/ names them: of models, and of GitOps tools. */
const EXAMPLE_NAMESPACE = 'ai-production';
const EXAMPLE_TOOLS_NAMESPACE = 'argocd';
const SERVICE_ACCOUNT = 'firebreak';
/** Longer than any run of tests or demo. */
const TOKEN_SECONDS = 86_400;

/** The Role, and what is added to it where people want that. */
export type RightsFile = 'rbac.yaml' | 'rbac-gitops.yaml';

export interface GrantOptions {
  kube: StackKube;
  /** Namespaces with models. */
  namespaces: readonly string[];
  /** Namespaces with objects of GitOps tools, where `rbac-gitops.yaml` is among the files. */
  toolNamespaces?: readonly string[];
  /** Where the ServiceAccount is; it must exist. Default: the first of the namespaces. */
  home?: string;
  files?: readonly RightsFile[];
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
  {
    namespaces,
    toolNamespaces = [],
    home,
  }: { namespaces: readonly string[]; toolNamespaces?: readonly string[]; home: string },
): Promise<KubernetesObject[]> {
  const text = await readFile(path.join(DEPLOY, file), 'utf8');
  const objects = loadAllYaml(text) as (KubernetesObject & { subjects?: { namespace?: string }[] })[];
  const placesOf = (example: string | undefined): readonly string[] => {
    if (example === EXAMPLE_NAMESPACE) return namespaces;
    return example === EXAMPLE_TOOLS_NAMESPACE ? toolNamespaces : [home];
  };
  return objects.flatMap((object) =>
    placesOf(object.metadata?.namespace).map((namespace) => ({
      ...object,
      metadata: { ...object.metadata, namespace },
      ...(object.subjects && {
        subjects: object.subjects.map((subject) => ({ ...subject, namespace: home })),
      }),
    })),
  );
}

/** Creates ServiceAccount, Roles and RoleBindings as deploy/ has them, and a token. May be called again for more. */
export async function grantRights(options: GrantOptions): Promise<GrantedRights> {
  const { kube, namespaces, toolNamespaces, files = ['rbac.yaml'] } = options;
  const home = options.home ?? namespaces[0] ?? 'default';
  const { config, core } = connectKube(kube.kubeconfigPath);
  const api = KubernetesObjectApi.makeApiClient(config);
  for (const file of files) {
    for (const object of await rightsFor(file, { namespaces, toolNamespaces, home })) {
      await api.create(object).catch((error: unknown) => {
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
