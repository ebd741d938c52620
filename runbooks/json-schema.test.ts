import { describe, expect, it } from 'vitest';
import { runbookJsonSchema } from './json-schema.ts';
import { STEP_TYPES } from './steps/definitions.ts';
import { STEP_RUNNERS } from './steps/runners.ts';

describe('runbookJsonSchema', () => {
  it('has each step type with its own input', () => {
    const text = JSON.stringify(runbookJsonSchema());
    for (const type of STEP_TYPES) expect(text).toContain(`"const":"${type}"`);
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
  it('has a definition for each implementation', () => {
    expect([...STEP_TYPES].sort()).toEqual(Object.keys(STEP_RUNNERS).sort());
  });
});
