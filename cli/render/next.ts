import type { IncidentView } from '../../domain/incident.ts';
import { type NextAction, nextActions } from '../../domain/next-action.ts';

/** What a person would type next, most urgent first. */
export function nextCommands(view: IncidentView): { command: string; why: string }[] {
  return nextActions(view).flatMap((action) => commandsFor(view, action));
}

function commandsFor(view: IncidentView, action: NextAction): { command: string; why: string }[] {
  const { incidentId: id } = view;
  const one = (rest: string, why: string) => [{ command: `firebreak incident ${rest}`, why }];
  switch (action.kind) {
    case 'decide': {
      const { step, groups } = action.pending;
      const which = view.pendingApprovals.length > 1 ? ` --step ${step}` : '';
      return [
        ...one(`approve ${id}${which}`, `shows the plan, then asks; for ${groups.join(', ')}`),
        ...one(`reject ${id}${which} --reason TEXT`, 'leaves the deployment as it is'),
      ];
    }
    case 'acknowledge':
      return one(`ack ${id}`, 'stops the escalation');
    case 'retry':
      return one(`retry ${id} ${action.step} --reason TEXT`, `step ${action.step} ${action.status}`);
    case 'resolve':
      return one(`resolve ${id} --reason TEXT`, 'when you have convinced yourself');
    case 'read-postmortem':
      return one(`postmortem ${id}`, 'read the postmortem');
    case 'read-timeline':
      return one(`timeline ${id}`, 'everything that happened');
    case 'look':
    case 'update':
    case 'wait':
      return [];
  }
}
