import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FetchContext, PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';
import { runCommand } from './run-command.ts';

/** 4 to 9 minutes were measured on 2 cores; a slow line adds the download of 300 MB of sources. */
const BUILD_TIMEOUT_MS = 45 * 60_000;
const VERSION_TIMEOUT_MS = 30_000;
const PROGRESS_EVERY_MS = 5_000;
/** From 1.21 on, `go` fetches the newer toolchain that go.mod names by itself. */
const GO_AT_LEAST = [1, 21] as const;
const BINARY = 'bin/firebreak-kube';
const INPUTS = ['main.go', 'go.mod', 'go.sum'];

/** Builds the Go module demo/kube: one binary that is each of `names` by the name it is started as. */
export function goRoute(names: readonly string[]): PackageRoute {
  return {
    title: 'Kubernetes control plane from the Go module demo/kube (go build)',
    executables: Object.fromEntries(names.map((name) => [name, `bin/${name}`])),
    matches: async (folder) => folder === (await cacheFolder()),
    fetch: async (context) => {
      await checkGo(context);
      const folder = await cacheFolder();
      await build(context);
      for (const name of names) await symlink('firebreak-kube', join(context.into, 'bin', name));
      return folder;
    },
  };
}

/** The module lies beside this file in a checkout, and in the package's root when this file was compiled to dist/. */
function moduleDir(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, 'demo', 'kube');
    if (existsSync(join(candidate, 'go.mod'))) return candidate;
    if (dirname(folder) === folder) throw new Error('the Go module demo/kube is not in this installation');
    folder = dirname(folder);
  }
}

async function cacheFolder(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of INPUTS) hash.update(await readFile(join(moduleDir(), name)));
  return `build-${hash.digest('hex').slice(0, 16)}-${PLATFORM}`;
}

/**
 * Kubernetes' own builds put their version in at link time; without it the servers call themselves v0.0.0-master. No
 * symbol table and no debug information: 60 MB less.
 */
async function linkerFlags(): Promise<string> {
  const goMod = await readFile(join(moduleDir(), 'go.mod'), 'utf8');
  const [, major, minor, patch] = /k8s\.io\/kubernetes v(\d+)\.(\d+)\.(\d+)/.exec(goMod) ?? [];
  if (!major) throw new Error('demo/kube/go.mod does not require k8s.io/kubernetes');
  const values = { gitVersion: `v${major}.${minor}.${patch}`, gitMajor: major, gitMinor: minor };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const variables = packages.flatMap((name) =>
    Object.entries(values).map(([variable, value]) => `-X ${name}.${variable}=${value}`),
  );
  return ['-s -w', ...variables].join(' ');
}

async function checkGo({ signal }: FetchContext): Promise<void> {
  const output = await runCommand('go', ['env', 'GOVERSION'], { timeoutMs: VERSION_TIMEOUT_MS, signal });
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(output) ?? [];
  if (Number(major) === GO_AT_LEAST[0] && Number(minor) < GO_AT_LEAST[1]) {
    throw new Error(`go is ${output.trim()}: ${GO_AT_LEAST.join('.')} or newer is needed`);
  }
}

async function build({ into, progress, signal }: FetchContext): Promise<void> {
  await mkdir(join(into, 'bin'));
  const startedAt = Date.now();
  let downloaded = 0;
  let compiled = 0;
  const tell = () => {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    const fetched = downloaded > 0 ? `${downloaded} modules fetched, ` : '';
    progress(`go build, ${fetched}${compiled} packages compiled, ${seconds} s (the first time takes minutes)`);
  };
  tell();
  const timer = setInterval(tell, PROGRESS_EVERY_MS);
  try {
    // No version control stamp: the binary depends on the module's files alone, and git need not be there.
    const flags = ['-v', '-trimpath', '-buildvcs=false', `-ldflags=${await linkerFlags()}`];
    flags.push('-o', join(into, BINARY), '.');
    await runCommand('go', ['build', ...flags], {
      cwd: moduleDir(),
      timeoutMs: BUILD_TIMEOUT_MS,
      signal,
      onLine: (line) => {
        if (line.startsWith('go: downloading')) downloaded += 1;
        else if (/^[\w./-]+$/.test(line)) compiled += 1;
      },
    });
  } finally {
    clearInterval(timer);
  }
}
