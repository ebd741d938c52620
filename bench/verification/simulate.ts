import { type Question, scrapesIn } from './methods/method.ts';
import { METHODS, type MethodId } from './methods/methods.ts';
import { randomOf } from './random.ts';
import { type Circumstances, scenarioNamed } from './scenarios.ts';

/** One way for harm to come, at one rate, and who watches it. Plain data: it goes to other threads. */
export interface Cell {
  scenario: string;
  question: Question;
  /** True harm rate in units of the threshold. */
  multiple: number;
  moves: Circumstances['moves'];
  /** Mean outputs in a scrape. */
  outputs: number;
  methods: MethodId[];
}

/** What one method said of the incidents of a cell. */
export interface Tally {
  incidents: number;
  recovered: number;
  notRecovered: number;
  /** Classified outputs at each decision, ascending; what is missing to `incidents` was not decided in time. */
  outputsAtDecision: number[];
}

export type Tallies = Partial<Record<MethodId, Tally>>;

/** `timeout: 30m`, the default of a verify step. */
const DEADLINE_SCRAPES = scrapesIn(1_800_000);
/** The window of the rate that the bad revision is still in. */
const BEFORE_SCRAPES = scrapesIn(300_000);
/** Twice what makes the shipped runbook divert at once. */
const BAD_RATE = 0.1;

/**
 * Simulates incidents `from` (included) to `until` (not). All methods of the cell see the same scrapes. Incident i of a
 * cell is the same whatever range it is simulated in.
 */
export function simulate(cell: Cell, seed: number, from: number, until: number): Tallies {
  const { question, multiple, moves, outputs } = cell;
  const scenario = scenarioNamed(cell.scenario);
  const tallies: Tallies = {};
  for (const id of cell.methods) {
    tallies[id] = { incidents: until - from, recovered: 0, notRecovered: 0, outputsAtDecision: [] };
  }
  for (let incident = from; incident < until; incident += 1) {
    const random = randomOf(seed, incident);
    const before = Array.from({ length: BEFORE_SCRAPES }, () => {
      const classified = random.poisson(outputs);
      return { classified, harmful: random.binomial(classified, BAD_RATE) };
    });
    const next = scenario.start(random, { rate: multiple * question.threshold, outputs, moves });
    const watching = new Map(cell.methods.map((id) => [id, METHODS[id].watch(question, before)]));
    let classified = 0;
    for (let scrapes = 0; scrapes < DEADLINE_SCRAPES && watching.size > 0; scrapes += 1) {
      const scrape = next();
      classified += scrape.classified;
      for (const [id, watch] of watching) {
        const outcome = watch(scrape);
        const tally = tallies[id];
        if (outcome === undefined || tally === undefined) continue;
        tally[outcome === 'recovered' ? 'recovered' : 'notRecovered'] += 1;
        tally.outputsAtDecision.push(classified);
        watching.delete(id);
      }
    }
  }
  for (const tally of Object.values(tallies)) tally.outputsAtDecision.sort((a, b) => a - b);
  return tallies;
}

/** Puts together what was simulated of one cell in several ranges. */
export function mergeTallies(parts: readonly Tallies[]): Tallies {
  const merged: Tallies = {};
  for (const part of parts) {
    for (const [id, tally] of Object.entries(part) as [MethodId, Tally][]) {
      const sofar = merged[id];
      merged[id] =
        sofar === undefined
          ? tally
          : {
              incidents: sofar.incidents + tally.incidents,
              recovered: sofar.recovered + tally.recovered,
              notRecovered: sofar.notRecovered + tally.notRecovered,
              outputsAtDecision: [...sofar.outputsAtDecision, ...tally.outputsAtDecision].sort(
                (a, b) => a - b,
              ),
            };
    }
  }
  return merged;
}

/** Outputs by which half of all incidents were decided; infinite where they were not by the deadline. */
export function medianOutputs({ incidents, outputsAtDecision }: Tally): number {
  return outputsAtDecision[Math.ceil(incidents / 2) - 1] ?? Number.POSITIVE_INFINITY;
}
