import { expect, inject, it } from 'vitest';
import { compareAll } from '../full/parity/run.ts';
import '../setup/provided.ts';

/** `npm run test:full` goes on where these end. */
const HISTORIES = 20;

it('leaves after a rollback what `kubectl rollout undo` leaves, on generated histories', async () => {
  const seeds = Array.from({ length: HISTORIES }, (_, index) => index + 1);
  const comparisons = await compareAll(inject('stack').kube, seeds);
  const problems = comparisons.flatMap(({ seed, problems: found }) =>
    found.map((problem) => `seed ${seed}: ${problem}`),
  );
  expect(problems).toEqual([]);
  // Otherwise nothing was compared.
  expect(comparisons.filter(({ firebreak }) => firebreak.result === 'rolled-back').length).toBeGreaterThan(
    HISTORIES / 4,
  );
});
