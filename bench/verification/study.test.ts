import { describe, expect, it } from 'vitest';
import { allClaimsStand, errorFindings, speedFindings } from './findings.ts';
import type { MethodId } from './methods/methods.ts';
import { QUICK_INCIDENTS, quickPlan } from './plan.ts';
import { claimTable, studyPage } from './report.ts';
import { runHere } from './run.ts';
import { mergeTallies, simulate } from './simulate.ts';

const results = runHere(quickPlan(), QUICK_INCIDENTS);
const errors = errorFindings(results);
const speeds = speedFindings(results);

const statuses = (scenario: string, method: MethodId, side = 'above') =>
  errors
    .filter(
      (one) =>
        one.cell.scenario === scenario &&
        one.cell.multiple === 1 &&
        one.method === method &&
        one.side === side,
    )
    .map(({ status }) => status);

describe('the quick study', () => {
  it('refutes no claim', () => {
    expect(claimTable(errors.filter(({ status }) => status === 'fails'))).not.toContain('does not hold');
    expect(allClaimsStand([...errors, ...speeds], false)).toBe(true);
    expect(speeds.filter(({ claimed, status }) => claimed && status === 'fails')).toEqual([]);
  });

  it('could: it refutes the methods that are wrong more often', () => {
    expect(statuses('clusters 0.3', 'independent')).toEqual(['fails']);
    expect(statuses('clusters 0.3', 'fixedSample')).toEqual(['fails']);
    expect(statuses('independent', 'argoLenient')).toEqual(['fails']);
    expect(statuses('independent', 'sleepAndLookDiverted')).toEqual(['fails']);
    const claimed = errors.map((one) => ({ ...one, claimed: true }));
    expect(allClaimsStand(claimed, false)).toBe(false);
  });

  it('is not enough where every claim must be shown to hold', () => {
    expect(allClaimsStand([{ claimed: true, status: 'open' }], true)).toBe(false);
    expect(allClaimsStand([{ claimed: true, status: 'open' }], false)).toBe(true);
    expect(allClaimsStand([{ claimed: false, status: 'holds' }], false)).toBe(false);
  });

  it('can be told', () => {
    const page = studyPage({ incidents: QUICK_INCIDENTS, seed: 1, errors, speeds });
    expect(page).toContain('| independent ');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

it('simulates the same incidents in parts as at once', () => {
  const [cell] = quickPlan();
  if (cell === undefined) throw new Error('the plan is empty');
  const whole = simulate(cell, 5, 0, 20);
  expect(mergeTallies([simulate(cell, 5, 0, 7), simulate(cell, 5, 7, 20)])).toEqual(whole);
});
