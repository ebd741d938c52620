import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchIntoCache, findCached } from './cache.ts';
import { defaultCacheDir } from './environment.ts';
import { checkGo } from './go-build.ts';
import { downloadGoModule } from './go-module.ts';
import type { PackageRoute } from './package-route.ts';

/** CustomResourceDefinitions of the tools that Firebreak meets in a cluster, as their authors publish them. */
export type CrdSet = 'gateway-api' | 'argo-rollouts' | 'argo-cd' | 'flux' | 'kserve' | 'lws' | 'keda';

interface CrdSource {
  module: string;
  /** With the leading v. */
  version: string;
  /** `h1:` hash of the module's zip, as in a go.sum. */
  sum: string;
  /** Folder of the definitions in the module, and which of its files, by the beginning of their names. */
  folder: string;
  files: string[];
}

/** Go modules carry their definitions with them: envtest users read them from the module cache the same way. */
const SOURCES: Record<CrdSet, CrdSource[]> = {
  'gateway-api': [
    {
      module: 'sigs.k8s.io/gateway-api',
      version: 'v1.3.0',
      sum: 'h1:q6okN+/UKDATola4JY7zXzx40WO4VISk7i9DIfOvr9M=',
      folder: 'config/crd/standard',
      files: ['gateway.networking.k8s.io_'],
    },
  ],
  'argo-rollouts': [
    {
      module: 'github.com/argoproj/argo-rollouts',
      version: 'v1.8.3',
      sum: 'h1:blbtQva4IK9r6gFh+dWkCrLnFdPOWiv9ubQYu36qeaA=',
      folder: 'manifests/crds',
      files: ['rollout-crd', 'analysis-', 'cluster-analysis-', 'experiment-crd'],
    },
  ],
  'argo-cd': [
    {
      module: 'github.com/argoproj/argo-cd/v3',
      version: 'v3.0.12',
      sum: 'h1:wyZQNonPXIWG7sRAwQlqweFyzMURCo8bz4fOQT09bEs=',
      folder: 'manifests/crds',
      files: ['application-crd', 'applicationset-crd', 'appproject-crd'],
    },
  ],
  // The HelmRelease's comes with helm-controller, whose module not every Go proxy serves: it is not in this set.
  flux: [
    {
      module: 'github.com/fluxcd/kustomize-controller',
      version: 'v1.9.6',
      sum: 'h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=',
      folder: 'config/crd/bases',
      files: ['kustomize.toolkit.fluxcd.io_'],
    },
    {
      module: 'github.com/fluxcd/source-controller',
      version: 'v1.9.6',
      sum: 'h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=',
      folder: 'config/crd/bases',
      files: ['source.toolkit.fluxcd.io_'],
    },
  ],
  kserve: [
    {
      module: 'github.com/kserve/kserve',
      version: 'v0.15.2',
      sum: 'h1:uph7Umk331fvBMrHHpTJNDt6+lf3IAuyiskaQw8wIAk=',
      folder: 'config/crd/full',
      files: ['serving.kserve.io_inferenceservices', 'serving.kserve.io_inferencegraphs'],
    },
  ],
  lws: [
    {
      module: 'sigs.k8s.io/lws',
      version: 'v0.6.2',
      sum: 'h1:5ulPJDaLBI9zk6ayGO2Lfg9P/FBL3C1LsmHmJVqvHvo=',
      folder: 'config/crd/bases',
      files: ['leaderworkerset.x-k8s.io_'],
    },
  ],
  keda: [
    {
      module: 'github.com/kedacore/keda/v2',
      version: 'v2.17.2',
      sum: 'h1:xlrcK5TKABJF9PebK79sgL07s/csGjL3H4m72OkZXxk=',
      folder: 'config/crd/bases',
      files: ['keda.sh_scaledobjects', 'keda.sh_triggerauthentications'],
    },
  ],
};

function crdRoute(set: CrdSet): PackageRoute {
  const sources = SOURCES[set];
  const folder = sources.map(({ module, version }) => `${module.replaceAll('/', '_')}@${version}`).join('+');
  return {
    title: `definitions of ${sources.map(({ module, version }) => `${module} ${version}`).join(' and ')} (go mod download)`,
    executables: {},
    matches: (name) => name === folder,
    fetch: async ({ into, progress, signal }) => {
      await checkGo(signal);
      for (const { module, version, sum, folder: inModule, files } of sources) {
        progress(`go mod download ${module} ${version}`);
        const from = join(await downloadGoModule({ module, version, sum, cwd: into, signal }), inModule);
        const wanted = (await readdir(from)).filter(
          (file) => file.endsWith('.yaml') && files.some((start) => file.startsWith(start)),
        );
        for (const start of files) {
          if (!wanted.some((file) => file.startsWith(start)))
            throw new Error(`${module} ${version} has no ${inModule}/${start}*.yaml`);
        }
        await mkdir(into, { recursive: true });
        for (const file of wanted) await copyFile(join(from, file), join(into, file));
      }
      return folder;
    },
  };
}

/**
 * Paths of the YAML files of a set, from the cache or, the first time, from the Go module proxy.
 * @throws Error naming the module where it cannot be had.
 */
export async function crdFiles(
  set: CrdSet,
  {
    cacheDir = defaultCacheDir(),
    progress = () => {},
  }: { cacheDir?: string; progress?: (detail: string) => void } = {},
): Promise<string[]> {
  const route = crdRoute(set);
  const name = `crds-${set}`;
  const folder =
    (await findCached(cacheDir, name, route)) ??
    (await fetchIntoCache(cacheDir, name, route, { progress, verify: async () => {} }));
  return (await readdir(folder)).sort().map((file) => join(folder, file));
}
