import type { RollbackTo } from '../domain/rollback-plan.ts';
import type { CompiledRunbook, StepPlan } from '../domain/runbook.ts';
import { sealRunbook } from './compile.ts';

/**
 * The runbook with its rollback going where the person who declares the incident wants it to. It is another plan, so it has
 * another hash; nothing in it is approved in advance (the worker knows no runbook of that hash), and people are asked.
 */
export function withRollbackTo(runbook: CompiledRunbook, to: RollbackTo): CompiledRunbook {
  return sealRunbook({
    ...runbook,
    inputs: Object.hasOwn(runbook.inputs, 'to')
      ? { ...runbook.inputs, to: writeRollbackTo(to) }
      : runbook.inputs,
    steps: runbook.steps.map((step) =>
      step.uses === 'rollback' ? { ...step, with: { ...step.with, to } } : step,
    ),
  });
}

/** The step that rolls back; undefined where the runbook has none that asks people. */
export function rollbackStepOf(
  runbook: CompiledRunbook,
): (StepPlan & { approval: NonNullable<StepPlan['approval']> }) | undefined {
  for (const step of runbook.steps) {
    if (step.uses === 'rollback' && step.approval !== undefined) return { ...step, approval: step.approval };
  }
  return undefined;
}

/** As runbooks write it: `last-known-good`, `previous`, `revision 12`. */
export function writeRollbackTo(to: RollbackTo): string {
  return typeof to === 'string' ? to : `revision ${to.revision}`;
}

/** `the previous revision`, for sentences. */
export function sayRollbackTo(to: RollbackTo): string {
  if (typeof to !== 'string') return `revision ${to.revision}`;
  return to === 'previous' ? 'the previous revision' : 'the last revision known to be good';
}
