import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkGo, goBuild } from './go-build.ts';
import { downloadGoModule } from './go-module.ts';
import type { PackageRoute } from './package-route.ts';
import { PLATFORM } from './package-route.ts';

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
      const source = await downloadGoModule({ module, version, sum, cwd: into, signal });
      await mkdir(join(into, 'bin'));
      await goBuild({
        cwd: source,
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
