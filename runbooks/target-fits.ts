import type { CompiledRunbook } from '../domain/runbook.ts';
import type { Target } from '../domain/target.ts';
import { matchesLabels } from './match.ts';
import { parseTemplate, renderTemplate } from './templates.ts';

/**
 * Whether alerts that the runbook answers can name this target, as far as the target's own fields tell: its literals, the
 * labels that a field is made of, and the matchers over those labels. For whoever sees a target and no alert.
 */
export function targetFits(runbook: Pick<CompiledRunbook, 'target' | 'match'>, target: Target): boolean {
  const { target: wanted, match } = runbook;
  if (wanted === undefined || wanted.kind !== target.kind) return false;
  const fields = (['cluster', 'namespace', 'name'] as const).map((field) => ({
    parts: parseTemplate(wanted[field]).parts,
    template: wanted[field],
    value: target[field],
  }));
  const labels: Record<string, string> = {};
  for (const { parts, value } of fields) {
    const [only, ...others] = parts;
    if (only !== undefined && 'label' in only && others.length === 0) labels[only.label] ??= value;
  }
  const named = fields.every(({ parts, template, value }) => {
    const rendered = renderTemplate(template, labels);
    return rendered.missing.length === 0 ? rendered.value === value : patternOf(parts).test(value);
  });
  return named && match.every((one) => !Object.hasOwn(labels, one.label) || matchesLabels([one], labels));
}

/** Literal parts in their order, with something between them. */
function patternOf(parts: ReturnType<typeof parseTemplate>['parts']): RegExp {
  const text = parts
    .map((part) => ('text' in part ? part.text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : '.+'))
    .join('');
  return new RegExp(`^${text}$`, 's');
}
