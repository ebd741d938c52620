import { escapeMarkdown } from '../../domain/plain-text.ts';
import { type Explanation, type StepExplanation, USUAL_FAILURE } from '../../runbooks/explain/explain.ts';
import { type Colors, plain } from '../output.ts';

/** Lines under a step, after what it does. */
function detailsOf(step: StepExplanation): string[] {
  return [
    ...(step.condition === undefined ? [] : [step.condition]),
    ...(step.asks === undefined ? [] : [step.asks]),
    ...(step.ifItFails === USUAL_FAILURE ? [] : [`if it fails, ${step.ifItFails}`]),
  ];
}

function headingOf(level: StepExplanation[], index: number): string {
  if (index === 0) return 'At once, side by side';
  const needs = [...new Set(level.flatMap((step) => step.startsAfter))];
  return `Then (each when what it needs has succeeded: ${needs.join(', ')})`;
}

function factsOf(explanation: Explanation): [string, string][] {
  const inputs = Object.entries(explanation.inputs).map(([name, value]) => `${name} = ${String(value)}`);
  return [
    ['Answers', explanation.answers],
    ['One incident', explanation.oneIncident],
    ['Acts on', explanation.actsOn],
    ['Severity', explanation.severity],
    ...(inputs.length === 0 ? [] : [['Inputs', inputs.join(', ')] as [string, string]]),
    ['Contained', explanation.containment],
    ['People', explanation.humanNeeded],
    ['If a step fails', USUAL_FAILURE],
    ['Ends', explanation.ends],
  ];
}

/** For a terminal. */
export function explanationText(explanation: Explanation, colors: Colors): string {
  const facts = factsOf(explanation);
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = [
    colors
      .bold(`${plain(explanation.name)} v${explanation.version}`)
      .concat(`, owner ${plain(explanation.owner)}`),
    ...facts.map(([name, value]) => `${colors.dim(name.padEnd(width))}  ${plain(value)}`),
  ];
  for (const [index, level] of explanation.order.entries()) {
    lines.push('', colors.bold(plain(headingOf(level, index))));
    for (const step of level) {
      const mark = step.changesProduction ? colors.red('changes production') : '';
      lines.push(`  ${colors.cyan(step.id)} ${plain(step.does)}${mark === '' ? '' : `  [${mark}]`}`);
      if (step.always) lines.push(`    ${colors.dim('starts when those have ended, however they ended')}`);
      for (const detail of detailsOf(step)) lines.push(`    ${colors.dim(plain(detail))}`);
    }
  }
  lines.push('', colors.bold('What can change production'));
  const changes = explanation.changesProduction.map((change) => `  ${plain(change)}`);
  lines.push(...(changes.length === 0 ? ['  nothing'] : changes));
  if (explanation.asked.length > 0) {
    lines.push('', colors.bold('Who is asked'));
    for (const { step, who, at } of explanation.asked) lines.push(`  ${step}: ${plain(who)}, ${plain(at)}`);
  }
  lines.push('', colors.dim('As a graph: --format mermaid, or --format markdown for both.'));
  return lines.join('\n');
}

/** For a pull request or a wiki: words and the graph. */
export function explanationMarkdown(explanation: Explanation): string {
  const text = escapeMarkdown;
  const steps = explanation.order.flatMap((level, index) => [
    '',
    `### ${text(headingOf(level, index))}`,
    '',
    ...level.flatMap((step) => [
      `- **${text(step.id)}** ${text(step.does)}${step.changesProduction ? ' (changes production)' : ''}`,
      ...detailsOf(step).map((detail) => `  - ${text(detail)}`),
    ]),
  ]);
  return [
    `## ${text(explanation.name)} v${explanation.version}`,
    '',
    ...factsOf(explanation).map(([name, value]) => `- ${name}: ${text(value)}`),
    ...steps,
    '',
    '```mermaid',
    explanation.mermaid.trimEnd(),
    '```',
    '',
  ].join('\n');
}
