import { sparkline } from '../../domain/harm-history/sparkline.ts';
import { verdictInWords } from '../../domain/harm-history/verdict-words.ts';
import type { IncidentView, VerificationSummary } from '../../domain/incident.ts';
import { type Colors, plain } from '../output.ts';

/** Of a line in a section, which is indented by two. */
const WIDTH = 98;
const NAME_WIDTH = 18;

/** The last verdict: what it means, its numbers, and where it proves nothing, what is missing and what to do about it. */
export function verdictLines({ verification }: IncidentView, colors: Colors): string[] {
  if (verification === undefined) return [];
  const { bold, dim, yellow } = colors;
  const { headline, facts, unmet, next } = verdictInWords(verification);
  return [
    outcomeColor(verification, colors)(bold(plain(headline))),
    ...facts.flatMap(([name, value]) =>
      wrap(plain(value), WIDTH - NAME_WIDTH).map(
        (line, index) => `${dim((index === 0 ? name : '').padEnd(NAME_WIDTH))}${line}`,
      ),
    ),
    ...unmet.flatMap(({ gate, means, todo }) => [
      yellow(`! ${plain(gate)}`),
      ...wrap(means, WIDTH - 4).map((line) => `    ${line}`),
      ...wrap(`to do: ${todo}`, WIDTH - 4).map((line) => `    ${line}`),
    ]),
    ...(next === undefined ? [] : wrap(next, WIDTH)),
  ];
}

/** The harm rate over time as a line of blocks, with what it shows in words. */
export function harmRateLines(
  { harmHistory, incidentId }: IncidentView,
  { red, dim }: Colors,
  unicode: boolean,
): string[] {
  const shown = harmHistory && sparkline(harmHistory, { unicode });
  if (shown === undefined) return [];
  return [
    red(shown.line),
    ...wrap(shown.words, WIDTH),
    dim(`the whole picture: firebreak incident plot ${plain(incidentId)} --output harm.svg`),
  ];
}

function outcomeColor({ outcome }: VerificationSummary, { green, red, yellow }: Colors) {
  if (outcome === 'recovered') return green;
  return outcome === 'not-recovered' ? red : yellow;
}

/** Breaks at spaces; a word that is longer than a line stays whole. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
