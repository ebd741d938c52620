import type { Finding } from './finding.ts';
import { type IncidentView, SKIPPED_AT_END } from './incident.ts';

/** What a drill has shown of each way from an alert to a decision, in the order of the way. Pure. */
export function reportDrill(view: IncidentView): Finding[] {
  const { milestones } = view;
  const startedMs = milestones.triggered ?? 0;
  const after = (atMs: number) => `after ${Math.max(0, Math.round((atMs - startedMs) / 1_000))} s`;
  const findings: Finding[] = [];
  const asked = new Set(
    view.timeline.flatMap(({ text }) => /^Approval of (\S+) asked/.exec(text)?.[1] ?? []),
  );
  const unanswered = (id: string) =>
    asked.has(id) ? 'people were asked, and nobody decided' : 'it had not ended when the time was over';
  const add = (what: string, ok: boolean, detail: string) => findings.push({ what, ok, detail });

  const paged = view.pages.map(
    ({ role, channel, acceptedAtMs }) => `${role} by ${channel} ${after(acceptedAtMs)}`,
  );
  const pageSteps = view.steps.filter(({ uses }) => uses === 'page');
  if (pageSteps.length > 0) {
    const ended = pageSteps.every(({ status }) => status === 'succeeded');
    add(
      'pages',
      ended && paged.length > 0,
      paged.join(', ') || 'no channel accepted a page: run firebreak doctor',
    );
  } else add('pages', false, `runbook ${view.runbook.name} pages nobody`);
  add(
    'acknowledged',
    milestones.acknowledged !== undefined,
    milestones.acknowledged === undefined
      ? 'nobody acknowledged: who was on call?'
      : `by ${view.acknowledgedBy ?? 'somebody'} ${after(milestones.acknowledged)}`,
  );
  if (view.chatShown !== undefined)
    add(
      'chat',
      view.chatShown,
      view.chatShown ? 'the message is there' : 'no message was posted: see the log, and firebreak doctor',
    );
  for (const step of view.steps) {
    if (step.status === 'skipped' && step.reason === SKIPPED_AT_END)
      add(`step ${step.id}`, false, unanswered(step.id));
    else if (step.status === 'failed') add(`step ${step.id}`, false, step.reason ?? 'failed');
    else if (step.status === 'rejected')
      add(`step ${step.id}`, true, `asked, and ${step.reason ?? 'rejected'}`);
    else if (step.status === 'would-have') add(`step ${step.id}`, true, step.reason ?? 'would have run');
    else if (step.status === 'succeeded' && step.uses === 'divert') {
      const back = view.breaker?.state === 'closed';
      add(`step ${step.id}`, back, back ? 'traffic was diverted, and is back' : 'traffic is still diverted');
    }
  }
  return findings;
}
