import type { Problem } from '../problem.ts';
import { RULES, ruleOf } from '../rules.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import { stepsById } from './graph.ts';
import { listOf, type RunbookView, recordOf } from './view.ts';

const WARNINGS = Object.keys(RULES).filter((id) => RULES[id]?.severity === 'warning');
/** Told of a set of runbooks (load.ts): a file alone cannot say that they do not occur. */
const OF_SETS: readonly string[] = ['runbook/never-matches'];

/**
 * Takes out the warnings that `metadata.ignore` turns off, and adds what is wrong with its entries: an entry that is needed
 * no more is told as well, unless there are errors that may hide what it is for.
 */
export function withoutIgnored(
  problems: readonly Problem[],
  view: RunbookView,
  source: YamlSource,
): Problem[] {
  const entries = listOf(recordOf(recordOf(source.value).metadata).ignore).map(recordOf);
  const byId = stepsById(view.steps);
  const used = new Set<number>();
  const added: Problem[] = [];
  const kept = problems.filter((problem) => {
    const matching = entries.flatMap(({ rule, step }, index) =>
      rule === problem.rule && (step === undefined || step === problem.step) ? [index] : [],
    );
    for (const index of matching) used.add(index);
    return matching.length === 0 || problem.severity === 'error';
  });
  const broken = kept.some(({ severity }) => severity === 'error');
  for (const [index, { rule, step }] of entries.entries()) {
    const path = ['metadata', 'ignore', index];
    if (typeof rule !== 'string' || rule === '') continue;
    const known = ruleOf(rule);
    if (known === undefined) {
      const message = `there is no rule ${rule.slice(0, 60)}${didYouMean(rule, WARNINGS)}`;
      added.push(source.problem('ignore/unknown-rule', [...path, 'rule'], message));
    } else if (known.severity === 'error') {
      const message = `${rule} is an error, and cannot be turned off: mend what it says`;
      added.push(source.problem('ignore/not-a-warning', [...path, 'rule'], message));
    } else if (typeof step === 'string' && !byId.has(step)) {
      const message = `there is no step ${step}${didYouMean(step, [...byId.keys()])}`;
      added.push(source.problem('ignore/unknown-step', [...path, 'step'], message));
    } else if (!used.has(index) && !broken && !OF_SETS.includes(rule)) {
      const where = typeof step === 'string' ? ` at step ${step}` : '';
      const message = `${rule} does not occur${where}: take the entry out`;
      added.push(source.problem('ignore/unused', [...path, 'rule'], message));
    }
  }
  return [...kept, ...added];
}

/** Whether `metadata.ignore` turns a warning about the whole runbook off. */
export function ignores(source: YamlSource, rule: string): boolean {
  return listOf(recordOf(recordOf(source.value).metadata).ignore)
    .map(recordOf)
    .some((entry) => entry.rule === rule && entry.step === undefined);
}
