/** What was measured, for people: ratios, since seconds are this machine's alone. */
import { type RatioEstimate, ratioOfMedians } from './statistics.ts';

/** What is promised: approval to completed rollout, against doing it by hand. */
export const LIMIT = 1.2;

export interface Round {
  kubectl: number;
  activities: number;
  firebreak: number;
}

export interface Setting {
  name: string;
  rounds: Round[];
}

export interface Row {
  setting: string;
  pairs: number;
  firebreak: RatioEstimate;
  activities: RatioEstimate;
  holds: boolean;
}

export function rowsOf(settings: readonly Setting[]): Row[] {
  return settings.map(({ name, rounds }) => {
    const firebreak = ratioOfMedians(rounds.map((round) => [round.firebreak, round.kubectl]));
    return {
      setting: name,
      pairs: rounds.length,
      firebreak,
      activities: ratioOfMedians(rounds.map((round) => [round.activities, round.kubectl])),
      holds: firebreak.ratio <= LIMIT,
    };
  });
}

export function tableOf(rows: readonly Row[]): string {
  const cell = ({ ratio, interval: [low, high] }: RatioEstimate) =>
    `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  return [
    '| Pods | Pairs | Firebreak / kubectl | Activities alone / kubectl | At most 1.2 |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map(
      ({ setting, pairs, firebreak, activities, holds }) =>
        `| ${setting} | ${pairs} | ${cell(firebreak)} | ${cell(activities)} | ${holds ? 'yes' : '**no**'} |`,
    ),
  ].join('\n');
}

export function pageOf(rows: readonly Row[], versions: { kubernetes: string; temporal: string }): string {
  return `# From approval to completed rollout

Written by \`npm run bench:rollback -- --write\`. A rollback by Firebreak takes at most ${LIMIT} times what
\`kubectl rollout undo && kubectl rollout status\` takes on the same Deployment.

${tableOf(rows)}

Ratios of medians, with the 95% interval of a bootstrap over pairs. Kubernetes ${versions.kubernetes}, ${versions.temporal}.

- **Firebreak**: from the moment before the approval is sent to the API, to the milestone \`rolledBack\`: the decision is
  checked, recorded and signed, Temporal runs incident, target and rollback, the worker verifies the signature, patches, and
  waits until only pods of the wanted template are left. With the rights of \`deploy/rbac.yaml\` and nothing else.
- **Activities alone**: the same patch and the same wait without Temporal and the API.
- **kubectl**: both commands, one after the other, each in a process of its own, as a person or a script runs them.

Each round ships the bad revision and goes back from it once in each way, in an order that changes from round to round, on
one Deployment of two replicas with the default strategy, on a real API server and controller manager. Pods are played:
they become ready after the time in the first column, which is short against any model, so that what Firebreak adds shows.
Against a model that takes minutes to load, it is not seen.
`;
}
