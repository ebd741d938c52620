import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkGo, goBuild } from './go-build.ts';
import type { PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';
import { runCommand } from './run-command.ts';

const DOWNLOAD_TIMEOUT_MS = 5 * 60_000;

export interface GoModule {
  module: string;
  /** With the leading v. */
  version: string;
  /** `h1:` hash of the module's zip, as in a go.sum; its own go.sum pins what it needs in turn. */
  sum: string;
  /** Commands below ./cmd, each a part of the same name. */
  commands: string[];
  linkerFlags: string[];
}

/** Builds commands of a public Go module, as its authors publish it, at an exact version and hash. */
export function goProxyRoute({ module, version, sum, commands, linkerFlags }: GoModule): PackageRoute {
  const folder = `go-${version}-${PLATFORM}`;
  return {
    title: `Go module ${module} ${version} (go build)`,
    executables: Object.fromEntries(commands.map((command) => [command, `bin/${command}`])),
    matches: (name) => name === folder,
    fetch: async ({ into, progress, signal }) => {
      await checkGo(signal);
      progress(`go mod download ${module} ${version}`);
      const answer = await runCommand('go', ['mod', 'download', '-json', `${module}@${version}`], {
        cwd: into,
        timeoutMs: DOWNLOAD_TIMEOUT_MS,
        signal,
      });
      // The notices about a newer toolchain come before the JSON, in the same output.
      const downloaded = JSON.parse(answer.slice(answer.indexOf('{'))) as { Dir: string; Sum: string };
      if (downloaded.Sum !== sum) throw new Error(`its hash is ${downloaded.Sum}, and ${sum} is pinned`);
      await mkdir(join(into, 'bin'));
      await goBuild({
        cwd: downloaded.Dir,
        packages: commands.map((command) => `./cmd/${command}`),
        linkerFlags,
        // With the slash it is a folder, also for one command.
        output: `${join(into, 'bin')}/`,
        progress,
        signal,
      });
      return folder;
    },
  };
}
