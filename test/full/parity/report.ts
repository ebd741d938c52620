import { DELIBERATE_DIFFERENCES } from './differences.ts';
import type { Comparison } from './run.ts';

const BY_KIND = [
  '## By kind',
  '',
  '- **Deployment**: template and annotations of the ReplicaSet, as kubectl. A paused one is refused.',
  '- **StatefulSet**: the template of the ControllerRevision; annotations stay, as with kubectl. Pods are replaced one after',
  '  the other. With the strategy `OnDelete`, below a `partition`, and where a pod that never became ready blocks the',
  '  controller ([forced rollback](https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback)),',
  '  pods stay as they are: the plan warns, and the wait for the rollout names the pods to delete. Firebreak has no right to',
  '  delete pods. Since pods keep their names, Prometheus cannot tell what a revision served: `last-known-good` is what the',
  '  ledger knows.',
  '- **Rollout** (Argo Rollouts): the template of the ReplicaSet, as `kubectl argo rollouts undo`; not in the comparison',
  '  below. The plan warns of canary steps and promotions that a rollback goes through; a pause that waits for a person ends',
  '  the wait as `paused`. One with a `workloadRef` is refused, naming the workload to act on.',
  '',
];

/** The page docs/rollback-parity.md, from what a run showed. */
export function parityPage(
  comparisons: readonly Comparison[],
  versions: { kubectl: string; server: string },
): string {
  const first = comparisons[0]?.seed;
  const last = comparisons.at(-1)?.seed;
  const covered = countsOf(comparisons.flatMap(({ features }) => features));
  const deliberate = countsOf(comparisons.flatMap((one) => one.deliberate));
  return [
    '# Parity with `kubectl rollout undo`',
    '',
    `A rollback with \`to: previous\` or \`to: { revision: N }\` leaves what \`kubectl rollout undo\` leaves. This is`,
    'checked by a differential test: generated rollout histories are played twice on a real API server and controller',
    'manager, undone once by each tool, and the resulting objects are compared field by field: the workload, and its',
    'ReplicaSets or ControllerRevisions with their numbers, annotations and replicas. Left out of the comparison are uids,',
    'resource versions, times and the namespace, and how often a controller scaled a ReplicaSet on the way.',
    '',
    `Last run: ${comparisons.length} histories (seeds ${first} to ${last}), kubectl ${versions.kubectl}, Kubernetes ` +
      `${versions.server}. Problems: ${comparisons.flatMap(({ problems }) => problems).length}.`,
    '',
    '## Deliberate differences',
    '',
    '| Name | Histories | Why |',
    '|---|---:|---|',
    ...DELIBERATE_DIFFERENCES.map(
      ({ name, reason }) => `| ${name} | ${deliberate.get(name) ?? 0} | ${reason} |`,
    ),
    '',
    'Beyond these, Firebreak acts only on what people approved: it refuses where the workload was changed since the plan',
    'was made, or where its controller has not taken in the latest change yet; kubectl acts on what it finds.',
    '',
    ...BY_KIND,
    '## Covered',
    '',
    '| In the history | Histories |',
    '|---|---:|',
    ...[...covered].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `| ${name} | ${count} |`),
    '',
    'This page is generated: `npm run test:full`.',
    '',
  ].join('\n');
}

function countsOf(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Deliberate differences that no history showed: nobody needs them, or nothing tests them. */
export function neverSeen(comparisons: readonly Comparison[]): string[] {
  const seen = new Set(comparisons.flatMap(({ deliberate }) => deliberate));
  return DELIBERATE_DIFFERENCES.map(({ name }) => name).filter((name) => !seen.has(name));
}
