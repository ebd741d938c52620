import type { ActionItem, ActionLane, IncidentView } from '../incident.ts';
import { describeReviews } from '../samples/precision.ts';
import { targetKey } from '../target.ts';
import { isoDate, withTasks } from './tasks.ts';

const DAY_MS = 86_400_000;

/** Keeping a known-bad revision from coming back is a small change, and until it is made the incident can repeat. */
const CONTROL_DUE_DAYS = 3;
/** Who approved alone is still asked while everybody remembers the night, and before the right is used again. */
const BREAK_GLASS_REVIEW_DUE_DAYS = 7;
/** Tests and telemetry take a sprint's half: they must be there before the next revision is promoted. */
const ASSURANCE_DUE_DAYS = 7;
/** Accepted risk is looked at within two weeks, while people still remember why it was accepted. */
const SAFETY_DEBT_DUE_DAYS = 14;
/** Safety debt without revalidation is hidden debt: after a month it is renewed by a decision, or closed. */
const SAFETY_DEBT_EXPIRES_DAYS = 30;
/** A harmful revision that still runs is no debt to carry for a month: a week, then somebody decides again. */
const LIVE_RISK_EXPIRES_DAYS = 7;
/** A pin or a diversion blocks delivery, so people route around it: two weeks is one release train. */
const EXCEPTION_RETIRES_DAYS = 14;

/** What an item is made of; id, owner and dates follow from it. */
interface Draft {
  key: string;
  lane: ActionLane;
  title: string;
  rmfFunction: ActionItem['rmfFunction'];
  evidence?: string;
  expiresDays?: number;
  /** Instead of the lane's. */
  dueDays?: number;
}

/**
 * The tasks that the incident's facts call for, in the lanes of the AI risk backlog: control (not implemented yet),
 * assurance (tests and telemetry that prove controls), safety-debt (accepted risk, with owner and expiry), exception
 * (temporary deviation, with retirement date). The same facts give the same ids. Owner is the runbook's, until people
 * hand the item on. Tasks of the runbook's steps follow. Titles hold names from the cluster as plain text: whoever shows them escapes them.
 */
export function deriveActionItems(view: IncidentView, atMs: number): ActionItem[] {
  // Nothing happened.
  if (view.drill) return withTasks([], view.actionItems);
  const drafts = view.outcome === 'false-positive' ? falsePositive(view) : harmful(view);
  const derived = [...drafts, ...operations(view)].map((draft) => toItem(draft, view, atMs));
  return withTasks(derived, view.actionItems);
}

function toItem(draft: Draft, view: IncidentView, atMs: number): ActionItem {
  const item: ActionItem = {
    id: `${view.incidentId}-${draft.lane}-${draft.key}`,
    lane: draft.lane,
    title: draft.title,
    owner: view.runbook.owner,
    due: isoDate(atMs + (draft.dueDays ?? DUE_DAYS[draft.lane]) * DAY_MS),
    rmfFunction: draft.rmfFunction,
  };
  if (draft.lane === 'safety-debt') {
    const expiresDays = draft.expiresDays ?? SAFETY_DEBT_EXPIRES_DAYS;
    item.expires = isoDate(atMs + expiresDays * DAY_MS);
    item.due = isoDate(atMs + Math.min(DUE_DAYS['safety-debt'], expiresDays) * DAY_MS);
  }
  if (draft.lane === 'exception') item.retires = isoDate(atMs + EXCEPTION_RETIRES_DAYS * DAY_MS);
  if (draft.evidence !== undefined) item.evidence = draft.evidence;
  return item;
}

const DUE_DAYS: Record<ActionLane, number> = {
  control: CONTROL_DUE_DAYS,
  assurance: ASSURANCE_DUE_DAYS,
  'safety-debt': SAFETY_DEBT_DUE_DAYS,
  exception: EXCEPTION_RETIRES_DAYS,
};

function falsePositive(view: IncidentView): Draft[] {
  const reviewed = view.samples?.reviewed;
  const benign = reviewed !== undefined && reviewed.benign > reviewed.harmful;
  const why = benign
    ? `reviewers judged most of the sampled outputs of ${targetName(view)} harmless`
    : `the incident on ${targetName(view)} was closed as a false alarm`;
  const drafts: Draft[] = [
    {
      key: 'tune-classifier',
      lane: 'assurance',
      title: `Tune the harm classifier or its threshold: ${why}`,
      rmfFunction: 'MEASURE',
      evidence: sampleEvidence(view),
    },
    {
      key: 'review-alert-rule',
      lane: 'control',
      title: 'Review the alert rule that fired, so that the next real alert is believed',
      rmfFunction: 'MANAGE',
      evidence: alertNames(view),
    },
  ];
  if (view.rollback !== undefined && wasPatched(view)) {
    drafts.push({
      key: 'pinned',
      lane: 'exception',
      title: `${targetName(view)} still runs revision ${view.rollback.toRevision} although the alert was false: roll forward again`,
      rmfFunction: 'MANAGE',
      evidence: planEvidence(view),
    });
  }
  return [...drafts, ...diverted(view)];
}

function harmful(view: IncidentView): Draft[] {
  return [...rollbackItems(view), ...assuranceItems(view), ...diverted(view)];
}

/** What follows from the rollback: that it was made, refused by people, impossible, or only observed. */
function rollbackItems(view: IncidentView): Draft[] {
  const { rollback } = view;
  const target = targetName(view);
  if (rollback === undefined || !wasPatched(view)) {
    const drafts: Draft[] = [
      {
        key: 'remedy',
        lane: 'control',
        title: `Remedy ${target}: ${whyNoRollback(view)}`,
        rmfFunction: 'MANAGE',
        evidence: planEvidence(view),
      },
    ];
    if (view.target !== undefined) {
      drafts.push({
        key: 'harmful-revision-deployed',
        lane: 'safety-debt',
        title: `${target} still runs the revision that the alert was raised on`,
        rmfFunction: 'MANAGE',
        evidence: alertNames(view),
        expiresDays: LIVE_RISK_EXPIRES_DAYS,
      });
    }
    return drafts;
  }
  const alsoBad = view.verification?.outcome === 'not-recovered';
  const badImages = alsoBad ? [rollback.fromImage, rollback.toImage] : [rollback.fromImage];
  const images = [...new Set(badImages)].join(' and ');
  return [
    {
      key: 'block-promotion',
      lane: 'control',
      title: `Block promotion of ${images} to ${target}`,
      rmfFunction: 'MANAGE',
      evidence: planEvidence(view),
    },
    alsoBad
      ? {
          key: 'no-good-revision',
          lane: 'safety-debt',
          title: `${target} has no revision that is known to be good: revision ${rollback.toRevision} is harmful as well`,
          rmfFunction: 'MAP',
          evidence: verificationEvidence(view),
          expiresDays: LIVE_RISK_EXPIRES_DAYS,
        }
      : {
          key: 'known-bad-deployable',
          lane: 'safety-debt',
          title: `The known-bad image ${rollback.fromImage} can still be deployed`,
          rmfFunction: 'MANAGE',
          evidence: verificationEvidence(view) ?? alertNames(view),
        },
    {
      key: 'pinned',
      lane: 'exception',
      title: `${target} is pinned to revision ${rollback.toRevision} (${rollback.toImage}) until a fixed revision passes evaluation`,
      rmfFunction: 'MANAGE',
      evidence: planEvidence(view),
    },
  ];
}

function assuranceItems(view: IncidentView): Draft[] {
  const drafts: Draft[] = [];
  const { samples, verification, rollback } = view;
  drafts.push(
    samples !== undefined && samples.count > 0
      ? {
          key: 'evaluation-set',
          lane: 'assurance',
          title: `Add the ${samples.count} sampled outputs to the evaluation set, and make it a gate of promotion`,
          rmfFunction: 'MEASURE',
          evidence: sampleEvidence(view),
        }
      : {
          key: 'sampling',
          lane: 'assurance',
          title:
            'Make harmful outputs available to sampling: this incident has none to evaluate the next revision with',
          rmfFunction: 'MEASURE',
        },
  );
  if (verification?.outcome === 'insufficient-evidence') {
    drafts.push({
      key: 'verification-evidence',
      lane: 'assurance',
      title: `Make recovery provable: bring enough traffic and classifier coverage to ${targetName(view)} for verification`,
      rmfFunction: 'MEASURE',
      evidence: verificationEvidence(view),
    });
  }
  if (verification?.outcome === 'not-recovered') {
    drafts.push({
      key: 'onset',
      lane: 'assurance',
      title:
        'Evaluate the earlier revisions, and what a rollback does not restore, to find where the harm began',
      rmfFunction: 'MEASURE',
      evidence: verificationEvidence(view),
    });
  }
  const rollout = rollback?.rollout;
  if (rollout !== undefined && rollout.outcome !== 'complete') {
    drafts.push({
      key: 'rehearse-rollback',
      lane: 'assurance',
      title: `Find out why the rollout to revision ${rollback?.toRevision} ended as "${rollout.outcome}", and rehearse the rollback`,
      rmfFunction: 'MANAGE',
      evidence: `${rollout.readyReplicas} of ${rollout.wantedReplicas} replicas were ready after ${Math.round(rollout.seconds)} s`,
    });
  }
  return drafts;
}

/** Traffic that does not reach the target is a deviation of its own, whatever became of the revision. */
function diverted(view: IncidentView): Draft[] {
  if (view.breaker === undefined || view.breaker.state === 'closed') return [];
  const { fallback, share } = view.breaker;
  const where = fallback === undefined ? 'is blocked' : `goes to ${fallback}`;
  return [
    {
      key: 'diverted',
      lane: 'exception',
      title: `Traffic of ${targetName(view)} ${where} (the target's own share is ${Math.round(share * 100)}%)`,
      rmfFunction: 'MANAGE',
      evidence: `circuit breaker ${view.breaker.state}`,
    },
  ];
}

/** How the response itself went: what failed, what nobody answered, what could not be mapped. */
function operations(view: IncidentView): Draft[] {
  const drafts: Draft[] = [];
  if (view.target === undefined && view.targetProblem !== undefined) {
    drafts.push({
      key: 'target',
      lane: 'control',
      title: 'Make the alert name its target: Firebreak could not tell what to act on',
      rmfFunction: 'MAP',
      evidence: view.targetProblem,
    });
  }
  for (const step of view.steps) {
    if (step.status !== 'failed' || step.uses === 'rollback' || step.uses === 'verify') continue;
    drafts.push({
      key: `step-${step.id}`,
      lane: 'assurance',
      title: `Repair what made step ${step.id} (${step.uses}) fail, and try it with firebreak doctor`,
      rmfFunction: 'MANAGE',
      evidence: step.reason,
    });
  }
  const alone = view.breakGlass ?? [];
  if (alone.length > 0) {
    drafts.push({
      key: 'break-glass',
      lane: 'control',
      title: 'Review the use of break-glass: was it right, and what lets enough people approve next time?',
      rmfFunction: 'GOVERN',
      evidence: alone.map(({ person, step }) => `${person} approved step ${step} alone`).join('; '),
      dueDays: BREAK_GLASS_REVIEW_DUE_DAYS,
    });
  }
  if (view.milestones.acknowledged === undefined) {
    drafts.push({
      key: 'nobody-acknowledged',
      lane: 'control',
      title: 'Review roles and escalation: nobody acknowledged this incident',
      rmfFunction: 'GOVERN',
      evidence:
        view.pages.map((page) => `${page.role} by ${page.channel}`).join(', ') || 'no page was accepted',
    });
  }
  if (view.truncatedAlerts > 0) {
    drafts.push({
      key: 'truncated-alerts',
      lane: 'assurance',
      title: "Raise max_alerts of Alertmanager's receiver: alerts were cut off from deliveries",
      rmfFunction: 'MEASURE',
      evidence: `${view.truncatedAlerts} alerts were not delivered`,
    });
  }
  return drafts;
}

/** True when the workload was changed: in observe mode, and before an approval, there is a plan but no patch. */
export function wasPatched(view: IncidentView): boolean {
  return view.milestones.rolledBack !== undefined || view.rollback?.rollout !== undefined;
}

function whyNoRollback(view: IncidentView): string {
  const step = view.steps.find(({ uses }) => uses === 'rollback');
  if (step?.status === 'rejected') return 'people rejected the rollback, so the harm needs another answer';
  if (step?.status === 'would-have')
    return 'Firebreak only observes it; decide whether it may ask for approval';
  if (step?.status === 'failed') return 'the rollback failed';
  if (view.target === undefined) return 'nothing was rolled back, since no target is known';
  return 'nothing was rolled back';
}

/** How items call the target. */
export function targetName(view: IncidentView): string {
  return view.target === undefined ? 'the target' : targetKey(view.target);
}

function sampleEvidence(view: IncidentView): string | undefined {
  if (view.samples === undefined || view.samples.count === 0) return undefined;
  const categories = Object.entries(view.samples.byCategory)
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .map(([category, count]) => `${category} ${count}`)
    .join(', ');
  const { count, from, reviewed } = view.samples;
  const judged = reviewed === undefined ? 'none of them was reviewed' : describeReviews(reviewed);
  return `${count} samples from ${from}${categories === '' ? '' : ` (${categories})`}; ${judged}`;
}

function planEvidence(view: IncidentView): string | undefined {
  return view.rollback === undefined ? undefined : `plan ${view.rollback.planHash}`;
}

function verificationEvidence(view: IncidentView): string | undefined {
  const { verification } = view;
  if (verification === undefined) return undefined;
  const unmet = verification.unmet.length === 0 ? '' : `; unmet: ${verification.unmet.join(', ')}`;
  return `${verification.outcome}: ${verification.harmful} harmful of ${verification.classified} classified${unmet}`;
}

function alertNames(view: IncidentView): string | undefined {
  return [...new Set(view.alerts.map(({ alertname }) => alertname))].sort().join(', ') || undefined;
}
