/** Message handlers: one-line calls of the state, with synchronous validators that refuse before anything is written. */
import { ApplicationFailure, setHandler } from '@temporalio/workflow';
import type { AlertsReceived } from '../../domain/alert.ts';
import { mayNotApproveAlone, type SignedDecision } from '../../domain/decision.ts';
import { findSample, SAMPLE_VERDICTS } from '../../domain/samples/precision.ts';
import {
  type Actor,
  abortUpdate,
  acknowledgeUpdate,
  addNoteUpdate,
  alertsReceivedSignal,
  approveUpdate,
  assignCommanderUpdate,
  describeQuery,
  escalateUpdate,
  informUpdate,
  markFalsePositiveUpdate,
  overrideBreakerUpdate,
  pageReportedSignal,
  pagerEventUpdate,
  rejectUpdate,
  resolveUpdate,
  retryStepUpdate,
  reviewSampleUpdate,
  setSeverityUpdate,
  skipStepUpdate,
  targetNewsSignal,
  targetReplySignal,
} from '../messages.ts';
import type { Engine } from './engine.ts';
import { acknowledgeBy, recordPage, recordPagerEvent } from './pages.ts';
import type { IncidentServices } from './services.ts';
import type { Incident } from './state.ts';

/** Longest free text of a person that is kept. */
const MAX_TEXT_LENGTH = 4_000;
/** Digits of a plan's hash in a page's key: enough to tell the plans of one incident apart. */
const PLAN_IN_KEY = 12;

function refuse(message: string): never {
  throw ApplicationFailure.nonRetryable(message, 'Refused');
}

function mustBeOpen(incident: Incident): void {
  if (incident.data.milestones.resolved !== undefined) refuse('the incident is resolved already');
}

function mustBeOpenWithReason(incident: Incident, reason: string): void {
  mustBeOpen(incident);
  mustBeText(reason);
}

function mustBeText(text: string): void {
  if (text.trim() === '') refuse('a reason is needed');
  if (text.length > MAX_TEXT_LENGTH) refuse(`the text is longer than ${MAX_TEXT_LENGTH} characters`);
}

/** The validator of approve and reject: the decision must be about exactly what is waiting, by the person who sent it. */
function mustMatchPending(
  incident: Incident,
  actor: Actor,
  signed: SignedDecision,
  wanted: 'approve' | 'reject',
): void {
  mustBeOpen(incident);
  const { decision } = signed;
  if (decision.decision !== wanted) refuse(`the decision says ${decision.decision}`);
  if (decision.incidentId !== incident.data.incidentId) refuse('the decision is about another incident');
  if (decision.person !== actor.person) refuse('the decision is by another person');
  const step = incident.step(decision.step);
  if (step?.status !== 'awaiting-approval') refuse(`step ${decision.step} does not wait for an approval`);
  if (step.prepared?.planHash !== decision.planHash) {
    refuse('the decision is about another plan: look at the one that waits now');
  }
  if (step.rejection) refuse(`step ${decision.step} was rejected already`);
  const before = step.approvals.filter((other) => other.decision.person === decision.person);
  // One of several may go on to approve alone, when nobody else answers.
  if (before.some((other) => !decision.breakGlass || other.decision.breakGlass)) {
    refuse(`${decision.person} has approved this plan already`);
  }
  const asked = incident.plan(decision.step)?.approval;
  if (decision.breakGlass) {
    if (!asked?.breakGlass) refuse(`the runbook allows no break-glass for step ${decision.step}`);
    mustBeText(decision.reason ?? '');
  } else if (!asked?.from.some((group) => decision.groups.includes(group))) {
    refuse(
      `${decision.person} is in none of the groups that decide here: ${asked?.from.join(', ') ?? 'none'}`,
    );
  } else if (
    wanted === 'approve' &&
    mayNotApproveAlone({
      declaredBy: incident.input.declared?.person,
      person: decision.person,
      count: asked?.count ?? 1,
    })
  ) {
    refuse(`${decision.person} declared this incident and does not approve alone: another person has to`);
  }
}

export interface Inbox {
  alerts: AlertsReceived[];
}

export function registerHandlers(
  incident: Incident,
  services: IncidentServices,
  engine: Engine,
  inbox: Inbox,
): void {
  const now = () => services.nowMs();
  const acknowledge = (person: string, more?: Parameters<typeof acknowledgeBy>[3]) => {
    const { late, message } = acknowledgeBy(incident, person, now(), more);
    // Also where somebody had acknowledged: others may have been called since, who want to stop it.
    if (!late) services.acknowledgePages(person);
    return message;
  };

  setHandler(describeQuery, () => incident.view());
  setHandler(alertsReceivedSignal, (alerts) => void inbox.alerts.push(alerts));
  setHandler(targetReplySignal, (reply) => {
    if (incident.data.awaited.includes(reply.commandId)) incident.data.replies.push(reply);
    else if (reply.ok && reply.result.kind !== 'done') {
      incident.record('step', 'The target answered a command that nobody waits for any more', now(), {
        commandId: reply.commandId,
        result: reply.result.kind,
      });
    }
  });
  setHandler(pageReportedSignal, (report) => recordPage(incident, report, now()));
  setHandler(targetNewsSignal, (news) => {
    incident.data.breaker = news.breaker;
    incident.record('breaker', news.text, now(), { breaker: news.breaker.state });
    if (news.needsHuman) {
      incident.needHuman(news.text, now());
      incident.data.breakerNeeds.push(news.text);
      services.pageCommander('the breaker needs a look', `breaker-${incident.data.timeline.length}`);
    }
  });

  setHandler(
    acknowledgeUpdate,
    ({ actor, page }) => ({ message: acknowledge(actor.person, { takesOver: true, page }) }),
    { validator: (_input) => mustBeOpen(incident) },
  );
  setHandler(pagerEventUpdate, ({ event }) => {
    const told = recordPagerEvent(incident, event, now());
    if (told === 'acknowledged') services.acknowledgePages(event.pager);
    if (told === 'unacknowledged') services.unacknowledgePages();
    return { message: 'Noted' };
  });
  setHandler(
    approveUpdate,
    ({ actor, signed }) => {
      acknowledge(actor.person);
      const { approvals, needed } = incident.approve(signed, now());
      const { decision } = signed;
      if (decision.breakGlass) {
        services.pageCommander(
          `${decision.person} approved ${decision.step} alone, by break-glass`,
          `break-glass-${decision.step}-${decision.planHash.slice(0, PLAN_IN_KEY)}`,
        );
      }
      return {
        message:
          approvals >= needed
            ? `Approved: step ${signed.decision.step} goes ahead`
            : `Approved by ${approvals} of ${needed}; more people are needed`,
      };
    },
    { validator: ({ actor, signed }) => mustMatchPending(incident, actor, signed, 'approve') },
  );
  setHandler(
    rejectUpdate,
    ({ actor, signed }) => {
      acknowledge(actor.person);
      incident.reject(signed, now());
      return { message: `Rejected: step ${signed.decision.step} does not run` };
    },
    { validator: ({ actor, signed }) => mustMatchPending(incident, actor, signed, 'reject') },
  );
  setHandler(
    setSeverityUpdate,
    ({ actor, severity, reason }) => {
      incident.data.severity = severity;
      incident.data.severitySetBy = actor.person;
      incident.record('decision', `set severity ${severity}`, now(), { reason }, actor.person);
      return { message: `Severity is ${severity}` };
    },
    { validator: ({ reason }) => mustBeOpenWithReason(incident, reason) },
  );
  setHandler(
    assignCommanderUpdate,
    ({ actor, commander }) => {
      incident.data.commander = commander;
      incident.data.commanderSinceMs = now();
      incident.record('decision', `made ${commander} incident commander`, now(), undefined, actor.person);
      return { message: `${commander} is incident commander` };
    },
    { validator: (_input) => mustBeOpen(incident) },
  );
  setHandler(
    addNoteUpdate,
    ({ actor, text }) => {
      incident.record('note', 'added a note', now(), { text }, actor.person);
      return { message: 'Noted' };
    },
    { validator: ({ text }) => mustBeText(text) },
  );
  setHandler(
    escalateUpdate,
    ({ actor, reason }) => {
      const times = (incident.data.escalated ?? 0) + 1;
      incident.data.escalated = times;
      incident.record(
        'decision',
        'escalated',
        now(),
        reason === undefined ? undefined : { reason },
        actor.person,
      );
      const id = `escalated-${times}`;
      services.escalatePages(actor.person, id);
      // Whatever levels there are: whoever asks for help gets somebody who decides.
      services.pageCommander(`${actor.person} asks for help`, id);
      return { message: 'Escalated: the commander is paged, and whoever is next' };
    },
    {
      validator: ({ reason }) => {
        mustBeOpen(incident);
        if (reason !== undefined) mustBeText(reason);
      },
    },
  );
  setHandler(
    informUpdate,
    ({ actor, text, remindAfterMs }) => {
      incident.inform(actor.person, text, remindAfterMs, now());
      services.tellStakeholders(actor.person, text);
      const due = incident.data.updateDueAtMs;
      const next = due === undefined ? '' : `; the next is due at ${new Date(due).toISOString()}`;
      return { message: `Stakeholders are told${next}` };
    },
    {
      validator: ({ text, remindAfterMs }) => {
        mustBeText(text);
        if (remindAfterMs !== undefined && !(remindAfterMs > 0)) refuse('a reminder lies ahead');
      },
    },
  );
  setHandler(
    retryStepUpdate,
    ({ actor, step, reason, toRevision }) => {
      // What follows it, and only waits or measures so far, waits for it again.
      for (const id of incident.dependentsOf(step)) engine.cancelStep(id);
      incident.retry(step, actor.person, reason, toRevision, now());
      return { message: `Step ${step} starts again` };
    },
    {
      validator: ({ step, reason }) => {
        mustBeOpen(incident);
        mustBeText(reason);
        if (incident.data.aborted !== undefined) refuse('the incident was aborted');
        const status = incident.step(step)?.status;
        if (status === undefined) refuse(`there is no step ${step}`);
        if (!['failed', 'rejected', 'skipped', 'succeeded'].includes(status))
          refuse(`step ${step} is ${status}: only ended steps are retried`);
        const busy = [...incident.dependentsOf(step)].find((id) =>
          ['running', 'waiting', 'awaiting-approval'].includes(incident.step(id)?.status ?? ''),
        );
        if (busy !== undefined)
          refuse(`step ${busy} follows it and is under way: wait for it, or skip it first`);
      },
    },
  );
  setHandler(
    skipStepUpdate,
    ({ actor, step, reason }) => {
      const data = incident.step(step);
      if (data) incident.end(data, 'skipped', now(), `skipped by ${actor.person}`);
      incident.record('decision', `skipped step ${step}`, now(), { reason }, actor.person);
      incident.settle({ steps: new Set([step]) });
      engine.cancelStep(step);
      return { message: `Step ${step} is skipped` };
    },
    {
      validator: ({ step, reason }) => {
        mustBeOpen(incident);
        mustBeText(reason);
        const status = incident.step(step)?.status;
        if (status === undefined) refuse(`there is no step ${step}`);
        if (!['pending', 'watching', 'waiting', 'awaiting-approval', 'failed'].includes(status))
          refuse(`step ${step} is ${status}`);
      },
    },
  );
  setHandler(
    abortUpdate,
    ({ actor, reason }) => {
      incident.data.aborted = `stopped by ${actor.person}`;
      incident.data.outcome = 'handed-over';
      incident.record(
        'decision',
        'stopped the runbook; traffic stays as it is',
        now(),
        { reason },
        actor.person,
      );
      incident.needHuman('the runbook was stopped: the incident goes on by hand', now());
      return { message: 'Stopped: nothing more runs by itself, and traffic stays as it is' };
    },
    {
      validator: ({ reason }) => {
        mustBeOpen(incident);
        mustBeText(reason);
        if (incident.data.aborted !== undefined) refuse('the runbook is stopped already');
      },
    },
  );
  setHandler(
    overrideBreakerUpdate,
    async ({ actor, force, reason, forMs }) => {
      incident.record('decision', `forces the breaker: ${force}`, now(), { reason, forMs }, actor.person);
      try {
        await services.command(undefined, 0, {
          kind: 'override',
          force,
          reason,
          person: actor.person,
          forMs,
        });
      } catch (error) {
        // An update fails with an ApplicationFailure or not at all: another error would fail the task for ever.
        refuse(error instanceof Error ? error.message : 'the target refused');
      }
      return { message: force === 'none' ? 'The override ended' : `The breaker is forced ${force}` };
    },
    {
      validator: ({ reason, forMs }) => {
        mustBeText(reason);
        if (!incident.input.target.ok) refuse('the incident has no target');
        if (!(forMs > 0)) refuse('an override needs an end');
      },
    },
  );
  setHandler(
    markFalsePositiveUpdate,
    ({ actor, reason }) => {
      acknowledge(actor.person);
      incident.data.outcome = 'false-positive';
      incident.data.resolvedBy = { person: actor.person, reason };
      incident.record('decision', 'says this is a false positive', now(), { reason }, actor.person);
      const diverted = (incident.data.breaker?.state ?? 'closed') !== 'closed';
      return {
        message: diverted
          ? 'Marked as a false positive: nothing more is rolled back, and traffic goes back once what is under way has stopped'
          : 'Marked as a false positive: nothing is rolled back',
      };
    },
    { validator: ({ reason }) => mustBeOpenWithReason(incident, reason) },
  );
  setHandler(
    reviewSampleUpdate,
    ({ actor, sampleId, verdict }) => ({
      message: `Marked ${verdict}; ${incident.reviewSample(actor.person, sampleId, verdict, now())}`,
    }),
    {
      validator: ({ sampleId, verdict }) => {
        if (!SAMPLE_VERDICTS.includes(verdict)) refuse(`a sample is ${SAMPLE_VERDICTS.join(', ')}`);
        const { samples } = incident.data.evidence;
        if (samples === undefined) refuse('no outputs were sampled yet');
        if (findSample(samples, sampleId) === undefined) refuse('this incident has no such sample');
      },
    },
  );
  setHandler(
    resolveUpdate,
    ({ actor, reason }) => {
      incident.data.resolvedBy = { person: actor.person, reason };
      incident.data.outcome ??= 'handed-over';
      incident.record('decision', 'resolved the incident', now(), { reason }, actor.person);
      return { message: 'Resolved' };
    },
    { validator: ({ reason }) => mustBeOpenWithReason(incident, reason) },
  );
}
