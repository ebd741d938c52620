import type { Severity } from './severity.ts';

/** Asks the paging workflow of an incident to reach roles; levels follow when nobody acknowledges. */
export interface PageRequest {
  /** Same request, same id: sending it twice pages once. */
  id: string;
  roles: string[];
  dedupKey: string;
  title: string;
  severity: Severity;
  details: Record<string, string>;
  links: { text: string; href: string }[];
  escalate?: { afterMs: number; to: string[] };
}

/** What became of one role of a request. */
export interface PageReport {
  requestId: string;
  role: string;
  level: number;
  /** The channel that accepted; absent when no channel has accepted so far (it keeps trying). */
  accepted?: { channel: string; atMs: number; reference: string };
  problem?: string;
}
