import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { demoModule } from './demo-module.ts';
import { checkGo, goBuild } from './go-build.ts';
import type { PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';

const BINARY = 'firebreak-kube';
const INPUTS = ['main.go', 'go.mod', 'go.sum'];

/** Builds the Go module demo/kube: one binary that is each of `names` by the name it is started as. */
export function goKubeRoute(names: readonly string[]): PackageRoute {
  return {
    title: 'Kubernetes control plane from the Go module demo/kube (go build)',
    executables: Object.fromEntries(names.map((name) => [name, `bin/${name}`])),
    matches: async (folder) => folder === (await cacheFolder()),
    fetch: async ({ into, progress, signal }) => {
      await checkGo(signal);
      const folder = await cacheFolder();
      await mkdir(join(into, 'bin'));
      const output = join(into, 'bin', BINARY);
      await goBuild({
        cwd: moduleDir(),
        packages: ['.'],
        linkerFlags: await linkerFlags(),
        output,
        progress,
        signal,
      });
      for (const name of names) await symlink(BINARY, join(into, 'bin', name));
      return folder;
    },
  };
}

function moduleDir(): string {
  return demoModule('kube');
}

async function cacheFolder(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of INPUTS) hash.update(await readFile(join(moduleDir(), name)));
  return `build-${hash.digest('hex').slice(0, 16)}-${PLATFORM}`;
}

/**
 * Kubernetes' own builds put their version in at link time; without it the servers call themselves v0.0.0-master.
 */
async function linkerFlags(): Promise<string[]> {
  const goMod = await readFile(join(moduleDir(), 'go.mod'), 'utf8');
  const [, major, minor, patch] = /k8s\.io\/kubernetes v(\d+)\.(\d+)\.(\d+)/.exec(goMod) ?? [];
  if (!major) throw new Error('demo/kube/go.mod does not require k8s.io/kubernetes');
  const values = { gitVersion: `v${major}.${minor}.${patch}`, gitMajor: major, gitMinor: minor };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  return packages.flatMap((name) =>
    Object.entries(values).map(([variable, value]) => `-X ${name}.${variable}=${value}`),
  );
}
