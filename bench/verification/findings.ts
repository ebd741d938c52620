import { ASSUMED_DESIGN_EFFECT } from '../../domain/statistics/design-effect.ts';
import { clopperPearson } from './clopper-pearson.ts';
import { PLANNED_AT, PLANNED_POWER, samplesOf } from './methods/fixed-sample.ts';
import type { MethodId } from './methods/methods.ts';
import { CLAIMED_SCENARIOS, MEDIANS_AT, type PlannedCell, type Side, UNCLUSTERED } from './plan.ts';
import type { CellResult } from './run.ts';
import { medianOutputs, type Tally } from './simulate.ts';

/**
 * `holds`: the whole confidence interval is on the right side; `fails`: all of it is on the wrong side; `open`: the
 * limit is within it, so that so many incidents cannot tell.
 */
export type Status = 'holds' | 'open' | 'fails';

/** How often one method was wrong in one cell, on one side of the threshold. */
export interface ErrorFinding {
  cell: PlannedCell;
  method: MethodId;
  side: Side;
  wrong: number;
  incidents: number;
  /** Clopper-Pearson, 95%. */
  interval: [low: number, high: number];
  /** The stated level, alpha. */
  level: number;
  status: Status;
  /** Whether the product promises it. */
  claimed: boolean;
}

/** What a method promises: Firebreak as it comes, and by a setting whose assumption the scenario meets. */
function isClaimed({ scenario }: PlannedCell, method: MethodId): boolean {
  if (method === 'firebreak') return CLAIMED_SCENARIOS.includes(scenario);
  if (method === 'independent') return UNCLUSTERED.includes(scenario);
  return method === 'wholeClusters' && scenario.startsWith('clusters');
}

function statusOf([low, high]: readonly [low: number, high: number], level: number): Status {
  if (high <= level) return 'holds';
  return low > level ? 'fails' : 'open';
}

/** Every error that was measured, in the order of the plan. */
export function errorFindings(results: readonly CellResult[]): ErrorFinding[] {
  return results.flatMap(({ cell, tallies }) =>
    (Object.entries(tallies) as [MethodId, Tally][]).flatMap(([method, tally]) =>
      cell.sides.map((side): ErrorFinding => {
        const wrong = side === 'above' ? tally.recovered : tally.notRecovered;
        const { incidents } = tally;
        const interval = clopperPearson(wrong, incidents);
        const level = 1 - cell.question.confidence;
        const status = statusOf(interval, level);
        const claimed = isClaimed(cell, method);
        return { cell, method, side, wrong, incidents, interval, level, status, claimed };
      }),
    ),
  );
}

/** How soon one method decided on independent harm, against the sample of the exact test. */
export interface SpeedFinding {
  method: MethodId;
  /** True rate in units of the threshold. */
  multiple: number;
  median: number;
  /** What the fixed-sample exact test of the same error needs, at PLANNED_POWER. */
  fixed: number;
  /** The same, of a test that divides counts by the design effect that the method assumes. */
  fixedAlike: number;
  /** Share (0..1) of incidents that were decided rightly by the deadline, and its interval. */
  power: number;
  powerInterval: [low: number, high: number];
  status: Status;
  claimed: boolean;
}

/** "At most half". */
const MAX_RATIO = 0.5;

/** Medians on independent harm at a tenth and at five times of the threshold. */
export function speedFindings(results: readonly CellResult[]): SpeedFinding[] {
  const found: SpeedFinding[] = [];
  for (const multiple of Object.values(MEDIANS_AT)) {
    const result = results.find(
      ({ cell }) => cell.scenario === 'independent' && cell.multiple === multiple && cell.sides.length === 1,
    );
    if (result === undefined) continue;
    const needed = (designEffect: number): number => {
      const sample = samplesOf(result.cell.question, designEffect);
      return multiple === PLANNED_AT.healthy ? sample.recovered : sample['not-recovered'];
    };
    const fixed = needed(1);
    for (const method of ['independent', 'firebreak', 'fixedSample'] as const) {
      const tally = result.tallies[method];
      if (tally === undefined) continue;
      const right = multiple < 1 ? tally.recovered : tally.notRecovered;
      const powerInterval = clopperPearson(right, tally.incidents);
      const median = medianOutputs(tally);
      const holds = median <= fixed * MAX_RATIO && powerInterval[0] >= PLANNED_POWER;
      found.push({
        method,
        multiple,
        median,
        fixed,
        fixedAlike: needed(method === 'firebreak' ? ASSUMED_DESIGN_EFFECT : 1),
        power: right / tally.incidents,
        powerInterval,
        status: holds
          ? 'holds'
          : powerInterval[1] >= PLANNED_POWER && median <= fixed * MAX_RATIO
            ? 'open'
            : 'fails',
        claimed: method === 'independent',
      });
    }
  }
  return found;
}

/**
 * Whether every claim stands.
 * @param strict whether `open` is not enough: with all incidents of the study every claim must be shown to hold.
 */
export function allClaimsStand(
  findings: readonly Pick<ErrorFinding, 'claimed' | 'status'>[],
  strict: boolean,
): boolean {
  const claims = findings.filter(({ claimed }) => claimed);
  return (
    claims.length > 0 && claims.every(({ status }) => status === 'holds' || (!strict && status === 'open'))
  );
}
