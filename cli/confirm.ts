import { createInterface } from 'node:readline/promises';
import { CliError, EXIT } from './exit-codes.ts';
import type { Io } from './output.ts';

/** Asks on the terminal; only `y` or `yes` is yes. @throws CliError usage where there is no terminal to ask on. */
export async function confirm(io: Io, question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(io, `${question} [y/N] `, 'Add --yes to decide without being asked.'));
}

/**
 * Asks on the terminal.
 * @param otherwise what to do where there is no terminal.
 * @returns what was typed, without space around it.
 * @throws CliError usage where there is no terminal to ask on.
 */
export async function ask(io: Io, question: string, otherwise: string): Promise<string> {
  if (io.stdin.isTTY !== true)
    throw new CliError(EXIT.usage, 'usage', 'There is no terminal to ask on.', otherwise);
  const readline = createInterface({ input: io.stdin, output: io.stderr });
  try {
    return (await readline.question(question)).trim();
  } finally {
    readline.close();
  }
}
