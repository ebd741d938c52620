import { ASSUMED_DESIGN_EFFECT } from '../../domain/statistics/design-effect.ts';
import type { ErrorFinding, SpeedFinding } from './findings.ts';
import { samplesOf } from './methods/fixed-sample.ts';
import { METHODS, type MethodId } from './methods/methods.ts';
import { CLAIMED_SCENARIOS, type Side } from './plan.ts';
import { CLUSTER_SIZE, harmInCluster, SCENARIOS } from './scenarios.ts';

export interface Study {
  incidents: number;
  seed: number;
  errors: ErrorFinding[];
  speeds: SpeedFinding[];
}

/** The heaviest clusters of a claim, at the usual setting. */
const HEAVIEST = {
  scenario: 'clusters 0.3',
  correlation: 0.3,
  question: { threshold: 0.01, confidence: 0.99 },
};

const WRONG: Record<Side, string> = { above: 'recovered', below: 'not-recovered' };
const STATUS = { holds: 'holds', open: 'cannot be told', fails: '**does not hold**' };

const percent = (share: number, digits = 2): string => `${(share * 100).toFixed(digits)}%`;
const times = (multiple: number): string => `${multiple} x`;

/** A Markdown table, its columns as wide as their widest cell. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[]) => `| ${cells.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function settingOf({ cell }: ErrorFinding): string {
  const { threshold, confidence } = cell.question;
  return `${percent(threshold, 1)} at ${percent(confidence, 0)}, ${cell.outputs} a scrape`;
}

const intervalOf = ({ interval: [low, high] }: ErrorFinding): string => `${percent(low)} to ${percent(high)}`;

/** Claims, one a line: what was claimed, what was measured, whether it holds. */
export function claimTable(errors: readonly ErrorFinding[]): string {
  return table(
    ['Harm', 'True rate', 'Setting', 'Method', 'Wrong', 'Measured', '95% interval', 'Stated', 'Claim'],
    errors
      .filter(({ claimed }) => claimed)
      .map((found) => [
        found.cell.scenario,
        times(found.cell.multiple),
        settingOf(found),
        METHODS[found.method].name,
        WRONG[found.side],
        percent(found.wrong / found.incidents),
        intervalOf(found),
        percent(found.level, 0),
        STATUS[found.status],
      ]),
  );
}

/** All methods at one rate: share of wrong verdicts, by scenario. */
function besideTable(errors: readonly ErrorFinding[], side: Side, multiple: number): string {
  const methods: MethodId[] = [
    'firebreak',
    'independent',
    'sleepAndLook',
    'sleepAndLookDiverted',
    'argoStrict',
    'argoLenient',
    'fixedSample',
  ];
  const measured = (scenario: string, method: MethodId): string => {
    const found = errors.find(
      (one) =>
        one.cell.scenario === scenario &&
        one.cell.multiple === multiple &&
        one.method === method &&
        one.side === side,
    );
    return found === undefined ? '-' : percent(found.wrong / found.incidents);
  };
  return table(
    ['Method', ...CLAIMED_SCENARIOS],
    methods.map((method) => [
      METHODS[method].name,
      ...CLAIMED_SCENARIOS.map((scenario) => measured(scenario, method)),
    ]),
  );
}

function beyondTable(errors: readonly ErrorFinding[]): string {
  return table(
    ['Harm', 'Method', 'Wrong', 'Measured', '95% interval', 'Stated', 'At most as stated?'],
    errors
      .filter(({ cell, claimed }) => !claimed && !CLAIMED_SCENARIOS.includes(cell.scenario))
      .map((found) => [
        found.cell.scenario,
        METHODS[found.method].name,
        WRONG[found.side],
        percent(found.wrong / found.incidents),
        intervalOf(found),
        percent(found.level, 0),
        STATUS[found.status],
      ]),
  );
}

export function speedTable(speeds: readonly SpeedFinding[]): string {
  return table(
    [
      'True rate',
      'Method',
      'Median outputs',
      'Exact test',
      'Ratio',
      'Exact test, as careful',
      'Ratio',
      'Decided rightly in time',
      'At most half of the exact test',
    ],
    speeds.map((found) => [
      times(found.multiple),
      METHODS[found.method].name,
      Number.isFinite(found.median) ? String(found.median) : 'not in time',
      String(found.fixed),
      (found.median / found.fixed).toFixed(2),
      String(found.fixedAlike),
      (found.median / found.fixedAlike).toFixed(2),
      percent(found.power),
      found.claimed ? STATUS[found.status] : 'not claimed',
    ]),
  );
}

/** The page of the study, docs/verification/study.md. */
export function studyPage({ incidents, seed, errors, speeds }: Study): string {
  const scenarios = SCENARIOS.map(({ name, describes }) => `- **${name}**: ${describes}`).join('\n');
  return `# How often the verdict is wrong

Written by \`npm run bench:verification -- --write\`; do not edit. What is tested, and how, is in
[Verification](../verification.md).

${incidents.toLocaleString('en')} simulated incidents for each line, looked at after every scrape (15 s) for 30 minutes or until
decided; threshold 1%, confidence 99% and 50 outputs a scrape where nothing else is said. Firebreak decides by the function that decides
in production, with the defaults of a \`verify\` step (an assumed design effect of ${ASSUMED_DESIGN_EFFECT}). True rates are in units of
the threshold. Seed ${seed}: the same numbers on every machine. A claim holds when the whole 95% interval (Clopper-Pearson) is
at or below the stated error. What Firebreak assumes was chosen with these kinds of harm in view, on other incidents; the last
four settings of the claims were not looked at before.

${scenarios}

![Wrong verdicts of each method at a rate equal to the threshold](errors.svg)

## Claims

${claimTable(errors)}

## Beside other methods

Sleep and look: 30 s after the rollback, once, the rate over the last five minutes, most of which are the bad revision's
(10% harmful); or only half a minute of outputs, where its traffic had been diverted. Argo Rollouts: five measurements, one a minute, each
of its own minute; failed when more than \`failureLimit\` are at or above the threshold. Exact test: planned for
1% error and 99% power, looked at once for each side. All of them watch the same incidents as Firebreak.

Wrong "recovered", at a rate equal to the threshold, and at twice of it:

${besideTable(errors, 'above', 1)}

${besideTable(errors, 'above', 2)}

Wrong "not-recovered", at a rate equal to the threshold, and at a tenth of it:

${besideTable(errors, 'below', 1)}

${besideTable(errors, 'below', 0.1)}

Methods that always answer are wrong at the threshold itself one way or the other; a good one leaves it undecided. What is
called what, by true rate:

![Verdicts by true rate](verdicts.svg)

## Outputs needed

On independent harm, against a fixed-sample exact binomial test of the same error (1%) and 99% power:

${speedTable(speeds)}

Where outputs are known to be independent (\`designEffect: 1\`), at most half are needed. By default they are not known to be;
"as careful" is an exact test that divides its counts by the same ${ASSUMED_DESIGN_EFFECT}. No method can be that fast and hold its level on
clusters too: ${proof()}

## Beyond what is assumed

Sessions last longer than a scrape; clusters at correlation 0.9 have a design effect of 9.1. Neither is claimed by default.

${beyondTable(errors)}
`;
}

/** Why speed on independent harm and the level on clustered harm exclude each other. */
function proof(): string {
  const { scenario, correlation, question } = HEAVIEST;
  const outputs = Math.floor(samplesOf(question).recovered / 2);
  const noHarm = harmInCluster(question.threshold, correlation)[0] ?? 0;
  const chance = noHarm ** (outputs / CLUSTER_SIZE);
  return `in \`${scenario}\`, a target whose rate is equal to the threshold shows
no harm at all in ${outputs} outputs, half of what the exact test needs, with a chance of ${percent(chance, 1)}. Whoever calls that
recovered is wrong that often, whatever the test.`;
}
