import type { IncidentView } from '../../domain/incident.ts';
import type { IncidentEvent } from '../world/scenarios.ts';

export interface EventSign {
  /** As in "the incident … did not happen within 60 s". */
  what: string;
  withinMs: number;
  seenIn(view: IncidentView): boolean;
}

/** Alert, plan and measurements take seconds; the rest is for a machine that does other things too. */
const SOON_MS = 60_000;
/** A diversion is looked at every 30 s, and what serves under it is blocked by what two looks have seen at most. */
const BLOCKED_WITHIN_MS = 120_000;

/** How the driver knows that something has happened to an incident. */
export const EVENT_SIGNS: Record<IncidentEvent, EventSign> = {
  'approval-asked': {
    what: 'being asked for approval',
    withinMs: SOON_MS,
    seenIn: (view) => view.pendingApprovals.length > 0,
  },
  contained: {
    what: 'being contained',
    withinMs: SOON_MS,
    seenIn: (view) => view.milestones.contained !== undefined,
  },
  blocked: {
    what: 'having its traffic blocked',
    withinMs: BLOCKED_WITHIN_MS,
    seenIn: ({ breaker }) => breaker?.state === 'open' && breaker.fallback === undefined,
  },
  'alert-resolved': {
    what: 'seeing its alert resolved',
    withinMs: SOON_MS,
    seenIn: (view) => view.alerts.every((alert) => alert.status === 'resolved'),
  },
  'alert-fired-again': {
    what: 'seeing its alert fire again',
    withinMs: SOON_MS,
    seenIn: (view) => view.alerts.some((alert) => alert.status === 'firing'),
  },
};
