import { StepFailure, type StepRunner } from '../context.ts';
import type { MeasureInput } from './definition.ts';

/** Measures once; values and the readings they were made of stay on the timeline as evidence. */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as MeasureInput;
    const { results, evidence } = await context.evaluate(input.values);
    const known: Record<string, unknown> = {};
    const unknown: Record<string, string> = {};
    for (const name of Object.keys(input.values)) {
      const result = results[name];
      if (result?.known) known[name] = result.value;
      else unknown[name] = result?.reason ?? 'it was not evaluated';
    }
    context.record(
      'evidence',
      `Measured ${Object.keys(known).length} of ${Object.keys(input.values).length} values`,
      { values: known, unknown, readings: evidence },
    );
    const missing = Object.entries(unknown).map(([name, reason]) => `${name} (${reason})`);
    if (missing.length > 0 && input.onUnknown === 'fail') {
      throw new StepFailure('Unavailable', `could not be measured: ${missing.join('; ')}`);
    }
    return known;
  },
};
