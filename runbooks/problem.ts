import type { RuleSeverity } from './rules/rule.ts';

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
