import type { Severity } from './severity.ts';

/** Asks the paging workflow of an incident to reach roles; levels follow when nobody acknowledges. */
export interface PageRequest {
  /** Same request, same id: sending it twice pages once. */
  id: string;
  /** Paged at once; may be empty where a policy says who is. */
  roles: string[];
  dedupKey: string;
  title: string;
  severity: Severity;
  details: Record<string, string>;
  links: { text: string; href: string }[];
  escalate?: { afterMs: number; to: string[] };
  /** Name of an escalation policy of the configuration, whose levels are paged one after another. */
  policy?: string;
}

/** One step of an escalation policy: its roles are paged side by side. */
export interface EscalationLevel {
  roles: string[];
  /** Without an acknowledgement for this long, the next level follows. */
  afterMs: number;
}

/** What is tried where no channel of any level takes the page: a role to page, or a channel to notify. */
export type FallOver = { role: string } | { channel: string };

/** An escalation policy as it is at one moment: working hours are taken into account already. */
export interface ResolvedPolicy {
  levels: EscalationLevel[];
  /** Rounds after the first one. */
  repeats: number;
  fallOver?: FallOver;
  /** Why these levels: "outside working hours: on-call". */
  because?: string;
}

/** What became of one role of a request. */
export interface PageReport {
  requestId: string;
  role: string;
  level: number;
  /** The channel that accepted; absent when no channel has accepted so far. */
  accepted?: { channel: string; atMs: number; reference: string };
  problem?: string;
  /** No channel has accepted for a while, and it is still tried. */
  retrying?: true;
  /** Instead of the levels of a policy, none of which could be reached. */
  fallOver?: true;
  /** Every level and round of a policy has been called and nobody has acknowledged. */
  exhausted?: true;
  /** Called because somebody asked for it, whether or not somebody else had acknowledged. */
  escalated?: true;
  /** Given up before a channel had accepted, as somebody has acknowledged. */
  withdrawn?: true;
}

/** How a page is called of which nobody knows who it reached: the policy itself could not be read. */
export function policyAsRole(policy: string): string {
  return `policy ${policy}`;
}

/** What somebody did in the pager itself. */
export const PAGER_EVENTS = [
  'acknowledged',
  'unacknowledged',
  'reassigned',
  'escalated',
  'resolved',
] as const;
export type PagerEventKind = (typeof PAGER_EVENTS)[number];

export interface PagerEvent {
  /** The pager's own id of the event: told again, it is the same one. */
  id: string;
  pager: 'pagerduty';
  kind: PagerEventKind;
  /** What the pager calls them; text from outside. Absent: the pager did it by itself. */
  by?: string;
  /** Why they are nobody of the access file, or may not acknowledge. */
  notJoined?: string;
  /** Who they are could not be asked for: it is tried again, and this only stops the escalation meanwhile. */
  joinedLater?: true;
  /** Of the page that it is about. */
  key?: string;
  atMs: number;
}

/** A page in a pager at one moment of the pager's clock, epoch ms. */
export interface PagerPage {
  key: string;
  atMs: number;
}

/** What the watchdog of alerts does, by configuration. */
export interface WatchdogSettings {
  alertname: string;
  /** The alert has to arrive at least this often. */
  withinMs: number;
  /** Paged when it does not: roles, or an escalation policy. */
  roles: string[];
  policy?: string;
  /** How often the outside dead man's switch is fed; absent: there is none. */
  feedEveryMs?: number;
}

export interface WatchdogView {
  settings: WatchdogSettings;
  lastSeenMs: number;
  /** Whether the alert has ever arrived; before that `lastSeenMs` is when the watch began. */
  everSeen: boolean;
  /** Since when nothing has arrived, where that is too long. */
  silentSinceMs?: number;
  lastFedMs?: number;
  /** Why the switch could not be fed the last time. */
  feedProblem?: string;
  /** Pages of the silence that no channel has taken. */
  undelivered: { role: string; sinceMs: number }[];
}

/** A page that no channel has taken: the incident needs somebody, and so do the metrics. */
export interface UndeliveredPage {
  requestId: string;
  role: string;
  sinceMs: number;
  /** Every channel has refused it for good: nothing tries it any more. */
  refused?: boolean;
}
