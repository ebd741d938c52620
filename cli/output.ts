import pc from 'picocolors';
import { stripControl } from '../domain/plain-text.ts';
import type { CliEnv } from './env.ts';

export type Colors = ReturnType<typeof pc.createColors>;

/** Where a command reads and writes: injected, so that tests can look. */
export interface Io {
  env: CliEnv;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

export interface Output {
  colors: Colors;
  /** Result text, to standard output. */
  print(text: string): void;
  /** Progress, questions and problems, to standard error: standard output stays what a pipe wants. */
  note(text: string): void;
  json(value: unknown): void;
}

export function createOutput(io: Io): Output {
  return {
    colors: pc.createColors(io.env.colorOn(io.stdout)),
    print: (text) => void io.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    note: (text) => void io.stderr.write(text.endsWith('\n') ? text : `${text}\n`),
    json: (value) => void io.stdout.write(`${escapeControls(JSON.stringify(value, null, 2))}\n`),
  };
}

/** One line of somebody's text for a terminal, which must not obey what is written in it. */
export function plain(text: string | undefined): string {
  return stripControl(text ?? '');
}

/** Text of several lines, each made plain. */
export function plainLines(text: string): string[] {
  return text.split(/\r?\n/).map((line) => stripControl(line.replaceAll('\t', '    ')));
}

/** JSON escapes C0 controls itself; terminals obey C1 as well, and bidirectional marks turn text around. */
function escapeControls(json: string): string {
  return json.replaceAll(
    /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Columns padded to their widest cell; the last one is left as it is. Cells must be plain. */
export function table(
  rows: readonly (readonly string[])[],
  header: readonly string[],
  colors: Colors,
): string {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('  ');
  return [colors.dim(line(header)), ...rows.map(line)].join('\n');
}
