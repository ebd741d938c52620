import { spawn } from 'node:child_process';

/** Bytes of output kept: the end of it is what explains a failure. */
const KEPT_OUTPUT_CHARS = 200_000;
/** Lines of a failed command's output that go into an error message. */
const TAIL_LINES = 12;

export interface RunOptions {
  cwd?: string;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Called with each complete line of standard output and standard error. */
  onLine?: (line: string) => void;
}

/** A command that could not be started, ended with another code than 0, or took too long. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/**
 * Runs a command to its end and gives its output (standard output and error in the order they arrived).
 * Throws CommandError with the last lines of the output.
 */
export function runCommand(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      signal: options.signal,
    });
    let output = '';
    let partial = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    const take = (chunk: string) => {
      output = (output + chunk).slice(-KEPT_OUTPUT_CHARS);
      if (!options.onLine) return;
      const lines = (partial + chunk).split('\n');
      partial = lines.pop() ?? '';
      for (const line of lines) options.onLine(line);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const why = error.code === 'ENOENT' ? 'not installed' : error.message;
      reject(new CommandError(`${command}: ${why}`));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve(output);
      const how = timedOut
        ? `took longer than ${options.timeoutMs / 1000} s`
        : `ended with ${signal ?? code}`;
      const shown = [command, ...args.slice(0, 3)].join(' ');
      reject(new CommandError(`${shown}: ${how}${tail(output)}`));
    });
  });
}

function tail(output: string): string {
  const printable = output.replace(/\x1b\[[0-9;]*[A-Za-z]/g, '').replace(/[^\x20-\x7e\n]/g, '');
  const lines = printable.trim().split('\n').slice(-TAIL_LINES);
  return lines.join('') === '' ? '' : `\n${lines.map((line) => `      ${line}`).join('\n')}`;
}
