import type { TicketStatus } from '../../domain/ticket-status.ts';

/** A file for systems that take attachments; the others have the link in the text. */
export interface TicketFile {
  /** The same name for the same thing: a file that is there already is not attached again. */
  name: string;
  /** Media type. */
  type: string;
  content: string;
}

export interface Ticket {
  /** The vendor's: `42` at GitHub, `OPS-42` at Jira. */
  key: string;
  /** For people. */
  url: string;
}

/**
 * A vendor's side of tickets. Markdown is ours with everything from outside escaped; titles and labels are not escaped: each
 * system makes them plain. Each call is made once for one key, whatever answers are lost; failures are ApplicationFailure.
 */
export interface TicketSystem {
  /** As people call it. */
  readonly name: string;
  open(input: {
    incidentId: string;
    title: string;
    status: TicketStatus;
    markdown: string;
    labels: readonly string[];
  }): Promise<Ticket & { created: boolean }>;
  /** @param input.rest a sentence of Markdown on where the whole text is, shown where it had to be cut. */
  comment(input: {
    key: string;
    incidentId: string;
    commentKey: string;
    markdown: string;
    rest: string;
    files: readonly TicketFile[];
  }): Promise<{ url: string }>;
  update(input: { key: string; status: TicketStatus }): Promise<{ changed: boolean }>;
  /** @param input.done false where the incident turned out to be none. @returns false where it was closed before. */
  close(input: { key: string; done: boolean }): Promise<boolean>;
  /** A ticket of its own for an action item, linked to that of the incident. */
  file(input: {
    key: string;
    incidentId: string;
    itemId: string;
    title: string;
    markdown: string;
    labels: readonly string[];
    /** YYYY-MM-DD. */
    due: string;
    /** The vendor's id of the owner; absent: nobody is assigned. */
    assignee: string | undefined;
  }): Promise<Ticket & { created: boolean }>;
}

/**
 * For all calls of one activity together, below its start-to-close timeout (60 s): an attempt that Temporal has given up
 * must not create a second ticket beside the next attempt's.
 */
export const ACTIVITY_DEADLINE_MS = 45_000;
