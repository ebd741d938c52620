export type RuleSeverity = 'error' | 'warning';

/** What a rule asks for, and what its reference page says about it. */
export interface Rule {
  /** Warnings never keep a runbook from being used, and can be turned off in the file with a reason. */
  severity: RuleSeverity;
  /** One sentence: how it should be. */
  asks: string;
  why: string;
  /** What to write instead. */
  mend: string;
}

/** Keeps the ids of a group of rules as literal types. */
export function defineRules<const Id extends string>(rules: Record<Id, Rule>): Record<Id, Rule> {
  return rules;
}
