/** Runs `firebreak` command lines in this process, as one person with a terminal of their own. */
import { PassThrough } from 'node:stream';
import { readEnv } from '../../cli/env.ts';
import { run } from '../../cli/run.ts';

export interface CommandResult {
  code: number;
  out: string;
  err: string;
}

/** @param typed makes standard input a terminal on which that is typed. */
export async function commandLine(
  args: readonly string[],
  options: { env?: Record<string, string>; typed?: string } = {},
): Promise<CommandResult> {
  const { env = {}, typed } = options;
  const stdin = Object.assign(new PassThrough(), { isTTY: typed !== undefined });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  if (typed !== undefined) stdin.write(typed);
  const code = await run(args, { env: readEnv(env), stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}
