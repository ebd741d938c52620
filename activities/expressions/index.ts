import { EMPTY_CONTEXT, evaluateExpression, metricsOf } from '../../runbooks/expressions.ts';
import type { Evaluation, ExpressionActivities } from '../contract.ts';

/** Expressions of incidents without a target: whatever needs a metric or the workload is unknown, and says so. */
export function createExpressionActivities(): ExpressionActivities {
  return {
    /** Never throws: what cannot be decided is unknown, with the reason. */
    async evaluateUntargeted({ expressions, context }) {
      const names = metricsOf(Object.values(expressions));
      const metrics = Object.fromEntries(
        names.map((name) => [name, { reason: 'the incident has no target to measure' }]),
      );
      const known = { ...EMPTY_CONTEXT, ...context, metrics, nowMs: Date.now() };
      const results: Record<string, Evaluation> = {};
      for (const [name, text] of Object.entries(expressions)) results[name] = evaluateExpression(text, known);
      return { results };
    },
  };
}
