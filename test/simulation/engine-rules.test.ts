/** Rules of the engine that only show when something goes wrong at a bad moment: each a small runbook and a scenario. */
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { findScenarios, rehearse } from '../../simulation/rehearse.ts';
import { workflowBundle } from '../../worker/bundle.ts';

const FOLDER = path.resolve(import.meta.dirname, '../fixtures/rehearsals');
const files = await findScenarios([FOLDER]);
let bundle: string;

beforeAll(async () => {
  bundle = await workflowBundle();
});

it('has its scenarios', () => {
  expect(files.length).toBeGreaterThanOrEqual(7);
});

it.each(files.map((file) => [path.basename(file, '.scenario.yaml'), file]))('%s', async (_name, file) => {
  const rehearsed = await rehearse(file, bundle);
  expect({ problems: rehearsed.problems, error: rehearsed.error }).toEqual({
    problems: [],
    error: undefined,
  });
  expect(rehearsed.checks?.filter(({ ok }) => !ok)).toEqual([]);
  expect(rehearsed.ok).toBe(true);
});
