import { FILE_RULES } from './rules/file-rules.ts';
import { LANGUAGE_RULES } from './rules/language-rules.ts';
import type { Rule, RuleSeverity } from './rules/rule.ts';
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

/** One mistake or warning, with where it is and what to write instead. Lines and columns count from 1. */
export interface Problem {
  file: string;
  line: number;
  column: number;
  /** Characters that the caret marks; at least 1. */
  length: number;
  /** Key of RULES. */
  rule: string;
  severity: RuleSeverity;
  message: string;
  /** Where in the document: `spec.steps[2].needs[0]`. */
  path: string;
  /** Id of the step that it is about. */
  step?: string;
  /** The line of the file, cut to a readable length; absent where the file could not be read. */
  excerpt?: string;
}

/** Whether something keeps the runbooks from being used. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity === 'error');
}

export type Path = readonly (string | number)[];

/** `spec.steps[2].with.to`, with keys that are no plain names in quotes. */
export function formatPath(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}
