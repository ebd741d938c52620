import { truncate } from '../../domain/plain-text.ts';
import { type Colors, plain, plainLines } from '../output.ts';

/** Fits a terminal beside something else, and a ticket. */
export const WIDTH = 100;
/** Under a label of the same width. */
const LABEL_WIDTH = 11;

/** Cuts text to a width, and remembers that something was cut, so that the page can say where all of it is. */
export class Cutter {
  #cuts = 0;

  cut(text: string | undefined, width: number): string {
    const whole = plain(text);
    if (whole.length > width) this.#cuts++;
    return truncate(whole, width);
  }

  get hasCut(): boolean {
    return this.#cuts > 0;
  }
}

/** A label and its text, wrapped between words under it. */
export function labelled(
  label: string,
  text: string,
  { dim }: Colors,
  paint: (text: string) => string = String,
): string[] {
  const lines = wrap(plain(text), WIDTH - LABEL_WIDTH - 1);
  return lines.map((line, index) => `${dim((index === 0 ? label : '').padEnd(LABEL_WIDTH))} ${paint(line)}`);
}

/** Wraps between words; a word that is longer than a line is broken. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= width) {
      line = longer;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  return [...lines, line];
}

/** A unified diff in colours. Nothing of it is cut: people approve it. Long lines go on under their mark. */
export function renderDiff(diff: string, { green, red, cyan }: Colors, width = WIDTH): string[] {
  return plainLines(diff.replace(/\n$/, '')).flatMap((line) => {
    const mark = line.slice(0, 1);
    const paint = line.startsWith('@@') ? cyan : mark === '+' ? green : mark === '-' ? red : String;
    const pieces = line.length <= width ? [line] : broken(line, width);
    return pieces.map((piece) => paint(piece));
  });
}

function broken(line: string, width: number): string[] {
  const mark = /^[+\- ]/.test(line) ? line.slice(0, 1) : ' ';
  const pieces = [line.slice(0, width)];
  for (let at = width; at < line.length; at += width - 2)
    pieces.push(`${mark}…${line.slice(at, at + width - 2)}`);
  return pieces;
}

const GAP = '  ';

/** Columns of cells that may be coloured after they were padded. */
export interface Column {
  header: string;
  /** Longest cell; longer ones are cut. */
  max: number;
}

/**
 * A table whose cells are plain and cut to their columns; trailing columns that are empty everywhere are left out.
 * @param paint colours a padded cell, by row and column.
 */
export function fittedTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | undefined)[])[],
  {
    colors,
    cutter,
    paint,
  }: { colors: Colors; cutter: Cutter; paint?: (cell: string, row: number, column: number) => string },
): string[] {
  const last = columns.length - 1;
  const cellsOf = (lastMax: number): string[][] =>
    rows.map((row) =>
      columns.map(({ max }, column) => cutter.cut(row[column], column === last ? lastMax : max)),
    );
  const others = rows.map((row) =>
    columns.slice(0, last).map(({ max }, column) => truncate(plain(row[column]), max)),
  );
  const shownOthers = columns.slice(0, last).map((_, column) => others.some((row) => row[column] !== ''));
  const widthOf = (column: number): number =>
    Math.max(columns[column]?.header.length ?? 0, ...others.map((row) => row[column]?.length ?? 0));
  const used = shownOthers.reduce(
    (sum, isShown, column) => (isShown ? sum + widthOf(column) + GAP.length : sum),
    0,
  );
  // The last column takes what is left.
  const cells = cellsOf(Math.max(columns[last]?.max ?? 0, WIDTH - used));
  const shown = columns.map((_, column) => cells.some((row) => row[column] !== ''));
  const widths = columns.map(({ header }, column) =>
    Math.max(header.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[], paintCell: (cell: string, column: number) => string): string =>
    row
      .flatMap((cell, column) => (shown[column] ? [paintCell(cell.padEnd(widths[column] ?? 0), column)] : []))
      .join(GAP)
      .trimEnd();
  return [
    line(
      columns.map(({ header }) => header),
      (cell) => colors.dim(cell),
    ),
    ...cells.map((row, index) => line(row, (cell, column) => paint?.(cell, index, column) ?? cell)),
  ];
}
