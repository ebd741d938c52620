import type { IncidentView } from '../../domain/incident.ts';

/** What a person would type next, most urgent first. */
export function nextCommands(view: IncidentView): { command: string; why: string }[] {
  const { incidentId: id } = view;
  const command = (rest: string) => `firebreak incident ${rest}`;
  if (view.state === 'closed') return [{ command: command(`postmortem ${id}`), why: 'read the postmortem' }];

  const next: { command: string; why: string }[] = [];
  for (const { step, groups } of view.pendingApprovals) {
    const which = view.pendingApprovals.length > 1 ? ` --step ${step}` : '';
    next.push({
      command: command(`approve ${id}${which}`),
      why: `shows the plan, then asks; for ${groups.join(', ')}`,
    });
    next.push({
      command: command(`reject ${id}${which} --reason TEXT`),
      why: 'leaves the deployment as it is',
    });
  }
  if (view.acknowledgedBy === undefined && view.milestones.acknowledged === undefined) {
    next.push({ command: command(`ack ${id}`), why: 'stops the escalation' });
  }
  for (const step of view.steps) {
    if (step.status !== 'failed' && step.status !== 'rejected') continue;
    next.push({
      command: command(`retry ${id} ${step.id} --reason TEXT`),
      why: `step ${step.id} ${step.status}`,
    });
  }
  if (view.humanNeeded.length > 0 || view.state === 'mitigated') {
    next.push({ command: command(`resolve ${id} --reason TEXT`), why: 'when you have convinced yourself' });
  }
  next.push({ command: command(`timeline ${id}`), why: 'everything that happened' });
  return next;
}
