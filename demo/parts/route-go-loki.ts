import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { demoModule } from './demo-module.ts';
import { checkGo, goBuild } from './go-build.ts';
import type { PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';

const MODULE = 'loki';
const COMMAND = 'github.com/grafana/loki/v3/cmd/loki';

/** Builds Loki's command in the Go module demo/loki, whose go.mod and go.sum pin everything: 13 minutes on 2 busy cores. */
export function goLokiRoute(): PackageRoute {
  return {
    title: 'Loki from the Go module demo/loki (go build)',
    executables: { loki: 'bin/loki' },
    matches: async (folder) => folder === (await cacheFolder()),
    fetch: async ({ into, progress, signal }) => {
      await checkGo(signal);
      await mkdir(join(into, 'bin'));
      await goBuild({
        cwd: demoModule(MODULE),
        packages: [COMMAND],
        linkerFlags: [`-X github.com/grafana/loki/v3/pkg/util/build.Version=${await version()}`],
        output: join(into, 'bin', 'loki'),
        progress,
        signal,
      });
      return cacheFolder();
    },
  };
}

async function version(): Promise<string> {
  const goMod = await readFile(join(demoModule(MODULE), 'go.mod'), 'utf8');
  const [, found] = /github\.com\/grafana\/loki\/v3 v(\d+\.\d+\.\d+)/.exec(goMod) ?? [];
  if (!found) throw new Error('demo/loki/go.mod does not require github.com/grafana/loki/v3');
  return found;
}

async function cacheFolder(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum']) hash.update(await readFile(join(demoModule(MODULE), name)));
  return `build-${hash.digest('hex').slice(0, 16)}-${PLATFORM}`;
}
