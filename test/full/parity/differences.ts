import type { FieldDifference } from './compare.ts';
import type { Undone } from './undo.ts';

/** Where Firebreak means to differ from kubectl, and why. Nothing else may differ. */
export interface DeliberateDifference {
  name: string;
  reason: string;
  /** Of fields of objects after both rolled back. */
  field?(difference: FieldDifference): boolean;
  /** Of what the tools answered. */
  answer?(kubectl: Undone, firebreak: Undone): boolean;
}

const KEPT = /\.metadata\.annotations\['(firebreak\.dev|ai\.rmf)\/[^']*'\]$/;

function refusedBecause(pattern: RegExp) {
  return (_kubectl: Undone, { result, text }: Undone) => result === 'refused' && pattern.test(text);
}

export const DELIBERATE_DIFFERENCES: readonly DeliberateDifference[] = [
  {
    name: 'kept-annotations',
    reason:
      'Annotations under firebreak.dev/ and ai.rmf/ stay as they are: an undo must not bring back the mode or the owner of ' +
      'the day on which the old revision was made.',
    field: ({ path }) => KEPT.test(path),
  },
  {
    name: 'field-manager',
    reason:
      'The API server notes that the fields were written by "firebreak", not by "kubectl". (An undo that only takes fields ' +
      'away is noted for neither.)',
    field: ({ path }) => path === 'workload.metadata.managers',
  },
  {
    name: 'rollback-barrier',
    reason:
      'A revision that is older than one whose template carries firebreak.dev/rollback-barrier is not gone back to.',
    answer: refusedBecause(/lies before the rollback barrier/),
  },
  {
    name: 'known-bad',
    reason: 'A revision that is marked known bad is not gone back to.',
    answer: refusedBecause(/is marked known bad/),
  },
  {
    name: 'controller-owned',
    reason: 'What another object controls is left to that: its controller would write the template again.',
    answer: refusedBecause(/controlled by|controls/),
  },
  {
    name: 'from-git',
    reason:
      'What Git renders is left to Git, unless the runbook says to suspend the sync: the undo would be undone.',
    answer: refusedBecause(/from Git/),
  },
  {
    name: 'pause-said-first',
    reason:
      'Of a paused Deployment that has no such revision either, Firebreak names the pause and kubectl the revision. ' +
      'Neither changes anything.',
    answer: (kubectl, firebreak) =>
      kubectl.result === 'refused' &&
      /no rollout history|unable to find/.test(kubectl.text) &&
      refusedBecause(/is paused/)(kubectl, firebreak),
  },
];

/** Refusals that mean the same. */
const SAME_REFUSALS: readonly [kubectl: RegExp, firebreak: RegExp][] = [
  [/no rollout history found|no last revision to roll back to/, /there is no earlier revision/],
  [/unable to find specified revision/, /is not in the rollout history/],
  [/cannot rollback a paused deployment/, /is paused/],
];

export function answersAgree(kubectl: Undone, firebreak: Undone): boolean {
  if (kubectl.result !== firebreak.result) return false;
  if (kubectl.result !== 'refused') return true;
  return SAME_REFUSALS.some(([theirs, ours]) => theirs.test(kubectl.text) && ours.test(firebreak.text));
}
