import { runCommand } from './run-command.ts';

/** 4 to 9 minutes were measured on 2 cores for the largest; a slow line adds the download of 300 MB of sources. */
const BUILD_TIMEOUT_MS = 45 * 60_000;
const VERSION_TIMEOUT_MS = 30_000;
const PROGRESS_EVERY_MS = 5_000;
/** From 1.21 on, `go` fetches the newer toolchain that a go.mod names by itself. */
const GO_AT_LEAST = { major: 1, minor: 21 };

export interface GoBuild {
  /** Folder of the module. */
  cwd: string;
  packages: string[];
  /** `-X` variables and the like. */
  linkerFlags: string[];
  /** File or folder of the result. */
  output: string;
  progress: (detail: string) => void;
  signal?: AbortSignal;
}

/** Throws where there is no `go`, or one too old. */
export async function checkGo(signal?: AbortSignal): Promise<void> {
  const output = await runCommand('go', ['env', 'GOVERSION'], { timeoutMs: VERSION_TIMEOUT_MS, signal });
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(output) ?? [];
  if (Number(major) === GO_AT_LEAST.major && Number(minor) < GO_AT_LEAST.minor) {
    throw new Error(`${output.trim()} is too old: Go ${GO_AT_LEAST.major}.${GO_AT_LEAST.minor} is needed`);
  }
}

/** Runs `go build` and tells every few seconds how far it is. */
export async function goBuild({
  cwd,
  packages,
  linkerFlags,
  output,
  progress,
  signal,
}: GoBuild): Promise<void> {
  const startedAt = performance.now();
  let fetched = 0;
  let compiled = 0;
  const tell = () => {
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    progress(
      `go build, ${fetched} modules fetched, ${compiled} packages compiled, ${seconds} s (minutes when new)`,
    );
  };
  tell();
  const timer = setInterval(tell, PROGRESS_EVERY_MS);
  try {
    // No version control stamp: the binary depends on the module's files alone, and git need not be there. No symbol
    // table and no debug information: a third smaller.
    const flags = ['-v', '-trimpath', '-buildvcs=false', `-ldflags=${['-s -w', ...linkerFlags].join(' ')}`];
    await runCommand('go', ['build', ...flags, '-o', output, ...packages], {
      cwd,
      timeoutMs: BUILD_TIMEOUT_MS,
      signal,
      onLine: (line) => {
        if (line.startsWith('go: downloading')) fetched += 1;
        else if (/^[\w./-]+$/.test(line)) compiled += 1;
      },
    });
  } finally {
    clearInterval(timer);
  }
}
