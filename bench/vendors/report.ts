/** What was measured, for people: ratios, since seconds are this machine's alone. */
import { type RatioEstimate, ratioOfMedians } from '../rollback/statistics.ts';
import { SETTINGS, type Setting } from './settings.ts';

/** What is promised: time to containment, with all vendors disturbed against none. */
export const LIMIT = 1.2;

export interface Pair {
  disturbedMs: number;
  undisturbedMs: number;
}

export interface Row {
  setting: string;
  pairs: number;
  estimate: RatioEstimate;
  holds: boolean;
}

export function rowsOf(measured: readonly { setting: Setting; pairs: readonly Pair[] }[]): Row[] {
  const rows = measured.map(({ setting, pairs }) => rowOf(setting.name, pairs));
  return [
    ...rows,
    rowOf(
      'all together',
      measured.flatMap(({ pairs }) => pairs),
    ),
  ];
}

function rowOf(setting: string, pairs: readonly Pair[]): Row {
  const estimate = ratioOfMedians(
    pairs.map(({ disturbedMs, undisturbedMs }) => [disturbedMs, undisturbedMs]),
  );
  return { setting, pairs: pairs.length, estimate, holds: estimate.ratio <= LIMIT };
}

export function tableOf(rows: readonly Row[]): string {
  return [
    '| Vendors | Pairs | Disturbed / undisturbed | At most 1.2 |',
    '| --- | --- | --- | --- |',
    ...rows.map(
      ({
        setting,
        pairs,
        estimate: {
          ratio,
          interval: [low, high],
        },
        holds,
      }) => {
        const cell = `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
        return `| ${setting} | ${pairs} | ${cell} | ${holds ? 'yes' : '**no**'} |`;
      },
    ),
  ].join('\n');
}

export function pageOf(rows: readonly Row[]): string {
  return `# Containment while vendors fail

Written by \`npm run bench:vendors -- --write\`. With pager, Slack, tickets, samples and notifications all down, slow or
talking nonsense, harm is contained in at most ${LIMIT} times of what it takes while all of them work.

${tableOf(rows)}

Ratios of medians, with the 95% interval of a bootstrap over pairs. What is measured begins before an alert is delivered, and
ends at the milestone \`contained\`: all traffic goes to the fallback, and Prometheus has seen that the model gets none.

${outagesTable()}

- **refused**: nothing listens. **reset**: the connection breaks once something was asked. **late**: the vendor does what it
  was asked and answers after 60 s. **trickle**: an answer of a byte a second that never ends. **html**: a page for people,
  with the status 200. **wrong-json**: JSON of another shape. **huge**: 10 MB. **not-found**, **error-500**: these statuses.

Two installations run side by side on one real stack (Kubernetes API, Temporal, Prometheus), each with models of its own that
are harmful from the beginning: the vendors of one work all the time, those of the other fail all the time. In each pair one
alert is delivered to each, one after the other, in an order that changes from pair to pair. The disturbed installation is
never given time to catch up: what its earlier incidents could not deliver is still being tried while the next is contained.
`;
}

function outagesTable(): string {
  const [first] = SETTINGS;
  const names = Object.keys(first?.outages ?? {}) as (keyof Setting['outages'])[];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(['Vendors', ...names]),
    line(['---', ...names.map(() => '---')]),
    ...SETTINGS.map(({ name, outages }) => line([name, ...names.map((vendor) => outages[vendor])])),
  ].join('\n');
}
