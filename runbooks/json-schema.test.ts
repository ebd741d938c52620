import { describe, expect, it } from 'vitest';
import { runbookJsonSchema } from './json-schema.ts';
import { STEP_INPUTS, STEP_TYPES_TO_COME } from './steps/inputs.ts';
import { STEP_RUNNERS } from './steps/runners.ts';

describe('runbookJsonSchema', () => {
  it('has each step type with its own input', () => {
    const text = JSON.stringify(runbookJsonSchema());
    for (const type of Object.keys(STEP_INPUTS)) expect(text).toContain(`"const":"${type}"`);
    expect(text).toContain('"attachTo"');
    expect(text).toContain('Roles to page.');
  });

  it('describes what people write, not what the compiler makes of it', () => {
    const text = JSON.stringify(runbookJsonSchema());
    expect(text).toContain('"minDuration"');
    expect(text).not.toContain('minDurationMs');
  });
});

describe('the registry of step types', () => {
  it('has an input for each implementation, and they agree on what changes production', () => {
    expect(Object.keys(STEP_INPUTS).sort()).toEqual(Object.keys(STEP_RUNNERS).sort());
    for (const [type, definition] of Object.entries(STEP_INPUTS)) {
      expect([type, definition.mutates]).toEqual([
        type,
        STEP_RUNNERS[type as keyof typeof STEP_RUNNERS].mutates,
      ]);
    }
  });

  it('calls no type unavailable that it has', () => {
    expect(STEP_TYPES_TO_COME.filter((type) => type in STEP_INPUTS)).toEqual([]);
  });
});
