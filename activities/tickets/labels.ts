import { createHash } from 'node:crypto';
import type { TicketStatus } from '../../domain/ticket-status.ts';

/** Every ticket of ours has it. */
export const OUR_LABEL = 'firebreak';
/** The incident's own ticket, as told from those of its action items. */
export const TICKET_LABEL = 'firebreak-ticket';
export const ACTION_ITEM_LABEL = 'firebreak-action-item';
const SEVERITY_PREFIX = 'firebreak-sev';
const STATE_PREFIX = 'firebreak-state-';
/** 64 bits: enough to tell the items of one installation apart, short enough for every vendor's label. */
const ITEM_HASH_LENGTH = 16;

/** What everything about an incident is listed by: `firebreak-inc-...`. */
export function incidentLabel(incidentId: string): string {
  return `firebreak-${incidentId}`;
}

/** What an action item is found by; ids of items are longer than some vendor's labels. */
export function itemLabel(itemId: string): string {
  return `firebreak-item-${createHash('sha256').update(itemId).digest('hex').slice(0, ITEM_HASH_LENGTH)}`;
}

/** Severity and state, so that lists can be filtered. */
export function statusLabels({ severity, state }: TicketStatus): string[] {
  return [`${SEVERITY_PREFIX}${severity.slice(-1)}`, `${STATE_PREFIX}${state}`];
}

/** Ours to take away again; any other label is somebody else's. */
export function isStatusLabel(label: string): boolean {
  const text = label.toLowerCase();
  return text.startsWith(STATE_PREFIX) || new RegExp(`^${SEVERITY_PREFIX}[1-4]$`).test(text);
}

/** Titles begin with the severity; what people made of the rest of a title stays. */
const TITLE_SEVERITY = /^\[SEV[1-4]\]/;

/** @returns the title with today's severity; the same where people took the severity out. */
export function withSeverity(title: string, { severity }: TicketStatus): string {
  return title.replace(TITLE_SEVERITY, `[${severity}]`);
}
