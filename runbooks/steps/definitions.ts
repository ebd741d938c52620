import type { StepPlan } from '../../domain/runbook.ts';
import type { StepDefinition } from './define.ts';
import { STEP_DEFINITIONS } from './registry.ts';

/** The definition of a step type; undefined where there is none of this name. */
export function stepDefinition(uses: string | undefined): StepDefinition | undefined {
  return uses !== undefined && Object.hasOwn(STEP_DEFINITIONS, uses) ? STEP_DEFINITIONS[uses] : undefined;
}

/** What a step does, in words. */
export function describeStep({ uses, with: input }: Pick<StepPlan, 'uses' | 'with'>): string {
  return stepDefinition(uses)?.describe(input) ?? `runs ${uses}`;
}

/** Names of all step types. */
export const STEP_TYPES: readonly string[] = Object.keys(STEP_DEFINITIONS);
