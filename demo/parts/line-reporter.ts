import type { WriteStream } from 'node:tty';
import type { PartEvent, PartReporter } from './resolve-parts.ts';

/** Without a terminal, the repeated progress of one part is told this often. */
const QUIET_MS = 30_000;
const LABEL_WIDTH = 22;

/**
 * Prints one line an event. On a terminal, progress of the part that was told last replaces its line; elsewhere it is
 * thinned out, so that a log of a nine-minute build stays short.
 */
export function lineReporter(out: NodeJS.WritableStream & Partial<WriteStream>): PartReporter {
  const toldAtMs = new Map<string, number>();
  let last: PartEvent | undefined;
  return (event) => {
    const repeats = event.state === 'fetching' && last?.part === event.part && last.state === 'fetching';
    if (event.state === 'fetching' && !out.isTTY) {
      const told = toldAtMs.get(event.part);
      if (told !== undefined && Date.now() - told < QUIET_MS) return;
      toldAtMs.set(event.part, Date.now());
    }
    last = event;
    const columns = out.columns ?? Number.POSITIVE_INFINITY;
    const line = `  ${event.part.padEnd(LABEL_WIDTH)}${event.state.padEnd(10)}${event.detail}`;
    out.write(`${repeats && out.isTTY ? '\x1b[1A\x1b[2K' : ''}${line.slice(0, columns - 1)}\n`);
  };
}
