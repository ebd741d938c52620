import { expect, inject, it } from 'vitest';
import { compareAll, problemsOf, seedsUpTo } from '../full/parity/run.ts';
import '../setup/provided.ts';

/** `npm run test:full` has these and ten times as many. */
const HISTORIES = 20;

it('leaves after a rollback what `kubectl rollout undo` leaves, on generated histories', async () => {
  const comparisons = await compareAll(inject('stack').kube, seedsUpTo(HISTORIES));
  expect(problemsOf(comparisons)).toEqual([]);
  const rolledBack = comparisons.filter(({ answers }) => answers?.firebreak.result === 'rolled-back');
  // Otherwise nothing was compared.
  expect(rolledBack.length).toBeGreaterThan(HISTORIES / 4);
});
