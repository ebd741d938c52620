import type { StepDefinition } from './define.ts';
import { STEP_DEFINITIONS } from './registry.ts';

/** The definition of a step type; undefined where there is none of this name. */
export function stepDefinition(uses: string | undefined): StepDefinition | undefined {
  return uses !== undefined && Object.hasOwn(STEP_DEFINITIONS, uses) ? STEP_DEFINITIONS[uses] : undefined;
}

/** Names of all step types. */
export const STEP_TYPES: readonly string[] = Object.keys(STEP_DEFINITIONS);
