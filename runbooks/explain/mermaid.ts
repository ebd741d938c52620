import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { changesProduction } from '../steps/define.ts';
import { stepDefinition } from '../steps/definitions.ts';

/** Longest text in a node: a graph is looked at, not read. */
const MAX_LABEL = 80;

/**
 * A text for a quoted Mermaid label: entity codes for what its parser or the page around it would read
 * (https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters).
 */
function label(text: string): string {
  const plain = text.replace(/\p{C}/gu, ' ');
  const cut = plain.length > MAX_LABEL ? `${plain.slice(0, MAX_LABEL - 1).toWellFormed()}…` : plain;
  return cut.replace(/[^\p{L}\p{N} .,:()/_%+=…-]/gu, (character) => `#${character.codePointAt(0)};`);
}

/** Ids of steps may be words of Mermaid's own, such as `end`. */
function nodeId(id: string): string {
  return `step_${id.replaceAll('-', '_')}`;
}

/** The runbook as a Mermaid flowchart: approvals are rhombuses, what changes production stands out. */
export function mermaidOf(runbook: CompiledRunbook, describe: (step: StepPlan) => string): string {
  const changes = (step: StepPlan) => changesProduction(stepDefinition(step.uses), step.with);
  const lines = ['flowchart TD', '  alert(["alert"])'];
  const entry = (step: StepPlan) =>
    step.approval === undefined ? nodeId(step.id) : `${nodeId(step.id)}_ask`;
  for (const step of runbook.steps) {
    const id = nodeId(step.id);
    lines.push(
      `  ${id}["${label(step.id)}: ${label(describe(step))}"]${changes(step) ? ':::production' : ''}`,
    );
    if (step.approval !== undefined) {
      const { count, from } = step.approval;
      lines.push(
        `  ${id}_ask{"${label(`${count} of ${from.join(' or ')}`)}"}`,
        `  ${id}_ask -->|approved| ${id}`,
      );
    }
  }
  for (const step of runbook.steps) {
    const condition = step.whenever ?? step.when;
    const edge =
      condition === undefined
        ? ''
        : `|"${label(`${step.whenever === undefined ? 'if' : 'as soon as'} ${condition}`)}"|`;
    const arrow = step.always ? '-.->' : '-->';
    const sources = step.needs.length === 0 ? ['alert'] : step.needs.map(nodeId);
    for (const source of sources) lines.push(`  ${source} ${arrow}${edge} ${entry(step)}`);
  }
  lines.push('  classDef production stroke:#d1242f,stroke-width:3px');
  return `${lines.join('\n')}\n`;
}
