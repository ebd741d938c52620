/** What the command's exit code says. Documented in `firebreak --help`; scripts rely on it. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  unavailable: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_HELP = `
Exit codes:
  0  done
  1  failed, or the incident did not take it
  2  wrong usage or input
  3  refused: not authenticated or not allowed
  4  not found
  5  unavailable: server, Temporal or records do not answer; try again`;

/** A failure that is told to the person in a sentence, without a stack. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  /** Stable word for --json. */
  readonly code: string;

  constructor(exitCode: ExitCode, code: string, message: string, hint?: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.code = code;
    this.hint = hint;
  }
}

/** What problems of named files end a command with: a path that cannot be read is wrong usage. */
export function exitCodeFor(problems: readonly { rule: string }[]): ExitCode {
  return problems.some(({ rule }) => rule === 'file/unreadable') ? EXIT.usage : EXIT.failed;
}
