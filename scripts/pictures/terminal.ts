import { column, type Element, row, text } from './element.ts';

/** A dark terminal's colours of the SGR codes that picocolors writes. */
const COLORS: Record<number, string> = {
  31: '#ff7b72',
  32: '#7ee787',
  33: '#e3b341',
  34: '#79c0ff',
  36: '#76e3ea',
};
export const TERMINAL_WIDTH = 980;
/** Characters that fit into it beside its margins. */
const COLUMNS = 119;

/** A command and what it printed, colours included. */
export function terminal(command: string, output: string): Element {
  return column(
    {
      width: TERMINAL_WIDTH,
      padding: 20,
      backgroundColor: '#0d1117',
      color: '#e6edf3',
      fontFamily: 'DejaVu Sans Mono',
      fontSize: 13,
      lineHeight: 1.4,
    },
    [text(`$ ${command}`, { color: '#8b949e' }), ...output.trimEnd().split('\n').flatMap(linesOf)],
  );
}

/** One line of output, as several where the terminal is not wide enough. */
function linesOf(line: string): Element[] {
  const style: { color?: string; fontWeight?: number; opacity?: number } = {};
  const lines: Element[][] = [[]];
  let left = COLUMNS;
  for (const [, code, content] of line.matchAll(/\u001b\[(\d+)m|([^\u001b]+)/g)) {
    if (content === undefined) applySgr(style, Number(code));
    for (let rest = content ?? ''; rest !== ''; ) {
      if (left === 0) {
        lines.push([]);
        left = COLUMNS;
      }
      const shown = rest.slice(0, left);
      lines.at(-1)?.push(text(shown, { ...style, whiteSpace: 'pre' }));
      left -= shown.length;
      rest = rest.slice(shown.length);
    }
  }
  return lines.map((spans) => row({ minHeight: 18 }, spans));
}

function applySgr(style: { color?: string; fontWeight?: number; opacity?: number }, sgr: number): void {
  if (sgr === 1) style.fontWeight = 700;
  else if (sgr === 2) style.opacity = 0.6;
  else if (sgr === 22) {
    delete style.fontWeight;
    delete style.opacity;
  } else if (sgr === 39) delete style.color;
  else if (COLORS[sgr] !== undefined) style.color = COLORS[sgr];
}
