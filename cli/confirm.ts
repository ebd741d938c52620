import { createInterface } from 'node:readline/promises';
import { CliError, EXIT } from './exit-codes.ts';
import type { Io } from './output.ts';

/**
 * Asks on the terminal; only `y` or `yes` is yes.
 * @throws CliError usage where there is no terminal to ask on.
 */
export async function confirm(io: Io, question: string): Promise<boolean> {
  if (io.stdin.isTTY !== true) {
    throw new CliError(
      EXIT.usage,
      'usage',
      'There is no terminal to ask on.',
      'Add --yes to decide without being asked.',
    );
  }
  const readline = createInterface({ input: io.stdin, output: io.stderr });
  try {
    return /^y(es)?$/i.test((await readline.question(`${question} [y/N] `)).trim());
  } finally {
    readline.close();
  }
}
