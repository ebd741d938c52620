import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { ErrorFinding } from './findings.ts';
import { METHODS, type MethodId } from './methods/methods.ts';
import { CLAIMED_SCENARIOS } from './plan.ts';
import type { CellResult } from './run.ts';
import type { Tally } from './simulate.ts';

/** Told apart by people who do not see all colours (Okabe and Ito), and by shape. */
const COLOURS: [method: MethodId, colour: string][] = [
  ['firebreak', '#0072B2'],
  ['independent', '#56B4E9'],
  ['sleepAndLook', '#D55E00'],
  ['sleepAndLookDiverted', '#E69F00'],
  ['argoStrict', '#009E73'],
  ['argoLenient', '#CC79A7'],
  ['fixedSample', '#555555'],
];

/** Backticks are for the tables. */
const label = (method: MethodId): string => METHODS[method].name.replaceAll('`', '');

const methodScale = {
  domain: COLOURS.map(([method]) => label(method)),
  range: COLOURS.map(([, colour]) => colour),
};

/** Left end of the logarithmic axis, in percent: where nothing was wrong, a mark stands there. */
const FLOOR_PERCENT = 0.005;

async function render(spec: TopLevelSpec, title: string, description: string): Promise<string> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  const told = `<title>${title}</title><desc>${description}</desc>`;
  return `${svg.replace(/^<svg([^>]*)>/, `<svg$1 role="img">${told}`)}\n`;
}

const BASE = {
  $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
  // Also readable where the page around it is dark.
  background: 'white',
  config: {
    font: 'sans-serif',
    view: { stroke: null },
    axis: { labelLimit: 260 },
    legend: { labelLimit: 260 },
  },
} as const;

/** Wrong verdicts of every method at a rate equal to the threshold, with their intervals. */
export function plotErrors(errors: readonly ErrorFinding[]): Promise<string> {
  const values = errors
    .filter(({ cell, method }) => {
      const usual =
        cell.question.confidence === 0.99 && cell.question.threshold === 0.01 && cell.outputs === 50;
      return usual && cell.multiple === 1 && COLOURS.some(([one]) => one === method);
    })
    .filter(({ cell }) => CLAIMED_SCENARIOS.includes(cell.scenario))
    .map(({ cell, method, side, wrong, incidents, interval: [low, high] }) => ({
      scenario: cell.scenario,
      method: label(method),
      verdict: side === 'above' ? 'wrong "recovered"' : 'wrong "not-recovered"',
      percent: Math.max(FLOOR_PERCENT, (wrong / incidents) * 100),
      low: Math.max(FLOOR_PERCENT, low * 100),
      high: Math.max(FLOOR_PERCENT, high * 100),
    }));
  const x = {
    type: 'quantitative' as const,
    scale: { type: 'log' as const, domain: [FLOOR_PERCENT, 100] },
    axis: { title: 'incidents with a wrong verdict, %', values: [0.01, 0.1, 1, 10, 100], format: '~g' },
  };
  const y = { field: 'method', type: 'nominal', sort: methodScale.domain, title: null } as const;
  const color = { field: 'method', type: 'nominal', scale: methodScale, legend: null } as const;
  return render(
    {
      ...BASE,
      data: { values },
      facet: {
        column: { field: 'verdict', type: 'nominal', title: null, sort: 'descending' },
        row: { field: 'scenario', type: 'nominal', title: null, sort: [...CLAIMED_SCENARIOS] },
      },
      spec: {
        width: 300,
        height: { step: 15 },
        layer: [
          { mark: { type: 'rule', strokeDash: [4, 3], color: '#999' }, encoding: { x: { datum: 1, ...x } } },
          {
            mark: { type: 'rule', strokeWidth: 2 },
            encoding: { x: { field: 'low', ...x }, x2: { field: 'high' }, y, color },
          },
          {
            mark: { type: 'point', filled: true, size: 45 },
            encoding: { x: { field: 'percent', ...x }, y, color },
          },
        ],
      },
    },
    'Wrong verdicts at a rate equal to the threshold',
    'For each scenario and method, the share of incidents with a wrong verdict, on a logarithmic axis; the stated 1% is dashed.',
  );
}

/** Share of each verdict by true rate, on independent harm and on the heaviest clusters that are claimed. */
export function plotVerdicts(results: readonly CellResult[]): Promise<string> {
  const shown: MethodId[] = [
    'firebreak',
    'sleepAndLook',
    'sleepAndLookDiverted',
    'argoStrict',
    'argoLenient',
    'fixedSample',
  ];
  const values = results
    .filter(({ cell }) => ['independent', 'clusters 0.3'].includes(cell.scenario))
    .filter(({ cell }) => cell.outputs === 50 && cell.question.confidence === 0.99)
    .flatMap(({ cell, tallies }) =>
      (Object.entries(tallies) as [MethodId, Tally][])
        .filter(([method]) => shown.includes(method))
        .flatMap(([method, { recovered, notRecovered, incidents }]) =>
          [
            { verdict: 'recovered', count: recovered },
            { verdict: 'not-recovered', count: notRecovered },
          ].map(({ verdict, count }) => ({
            scenario: cell.scenario,
            multiple: cell.multiple,
            method: label(method),
            verdict: `called "${verdict}"`,
            percent: (count / incidents) * 100,
          })),
        ),
    );
  const legend = { title: null, values: shown.map(label) };
  return render(
    {
      ...BASE,
      data: { values },
      facet: {
        column: { field: 'verdict', type: 'nominal', title: null, sort: 'descending' },
        row: { field: 'scenario', type: 'nominal', title: null, sort: ['independent', 'clusters 0.3'] },
      },
      spec: {
        width: 300,
        height: 170,
        encoding: {
          x: {
            field: 'multiple',
            type: 'quantitative',
            scale: { type: 'log', domain: [0.1, 5] },
            axis: {
              title: 'true rate, in units of the threshold',
              values: [0.1, 0.2, 0.5, 1, 2, 5],
              format: '~g',
            },
          },
          y: { field: 'percent', type: 'quantitative', axis: { title: 'incidents, %' } },
          color: {
            field: 'method',
            type: 'nominal',
            scale: methodScale,
            legend,
          },
          shape: { field: 'method', type: 'nominal', scale: { domain: methodScale.domain }, legend },
        },
        layer: [
          { mark: { type: 'line', clip: true } },
          { mark: { type: 'point', filled: true, size: 45, clip: true } },
        ],
      },
    },
    'Verdicts by true rate',
    'Share of incidents that each method calls recovered, and not-recovered, by the true harm rate in units of the threshold.',
  );
}
