import { FILE_RULES } from './rules/file-rules.ts';
import { LANGUAGE_RULES } from './rules/language-rules.ts';
import type { Rule } from './rules/rule.ts';
import { STEP_RULES } from './rules/step-rules.ts';
import { STEP_DEFINITIONS } from './steps/registry.ts';

const COMMON_RULES = { ...FILE_RULES, ...LANGUAGE_RULES, ...STEP_RULES };

/** Rules of the compiler itself. Those that only a step type can know of are in its folder, as `<type>/<name>`. */
export type RuleId = keyof typeof COMMON_RULES;

/** Every rule that a runbook is checked by, those of the step types last. Messages say more; ids are stable. */
export const RULES: Readonly<Record<string, Rule>> = {
  ...COMMON_RULES,
  ...Object.assign({}, ...Object.values(STEP_DEFINITIONS).map(({ rules }) => rules)),
};

/** A rule by its id; undefined where there is none of this name. */
export function ruleOf(id: string): Rule | undefined {
  return Object.hasOwn(RULES, id) ? RULES[id] : undefined;
}
