import path from 'node:path';
import { expect, it } from 'vitest';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { sayCheck } from '../../simulation/expectations.ts';
import { coverageOf, findScenarios, type Rehearsed, rehearse } from '../../simulation/rehearse.ts';
import { workflowBundle } from '../../worker/bundle.ts';

const bundle = workflowBundle();
const files = await findScenarios([LIBRARY_PATH]);
const rehearsed: Rehearsed[] = [];

it('has scenarios for the library', () => {
  expect(files.length).toBeGreaterThan(30);
});

it.each(files.map((file) => [path.relative(LIBRARY_PATH, file), file]))('%s', async (_name, file) => {
  const result = await rehearse(file, await bundle);
  rehearsed.push(result);
  expect({
    problems: result.problems.map(({ line, message }) => `${line}: ${message}`),
    error: result.error,
    checks: result.checks.filter(({ ok }) => !ok).map(sayCheck),
  }).toEqual({ problems: [], error: undefined, checks: [] });
});

it('runs every step of every runbook of the library', () => {
  const missing = coverageOf(rehearsed)
    .filter(({ steps }) => steps.covered < steps.all)
    .map(({ name, never }) => ({ name, never }));
  expect(missing).toEqual([]);
});
