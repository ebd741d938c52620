import type { PageRequest, ResolvedPolicy } from '../../domain/paging.ts';

export interface PagingInput {
  incidentId: string;
  /** Workflow id that is told what becomes of the pages. */
  replyTo: string;
  requests: PageRequest[];
  /** Carried over continue-as-new. */
  state?: PagingState;
}

export interface PagingState {
  /** Request ids seen: the same request pages once. */
  seen: string[];
  /** Everyone who was asked for. A vendor may have taken a page whose answer was lost, so all are told of the end. */
  asked: { role: string; dedupKey: string }[];
  /** Levels that follow when nobody acknowledges; the last one is called again and again. */
  escalations: Escalation[];
  /** Escalations that an acknowledgement has stopped: they go on when it lapses. */
  stopped: Escalation[];
  /** One a request with an escalation policy. */
  policies: PolicyRun[];
  /** Given up as somebody had acknowledged, before a channel had accepted: asked for anew when that lapses. */
  withdrawn: { request: PageRequest; role: string }[];
}

export interface Escalation {
  request: PageRequest;
  atMs: number;
  times: number;
  /** Somebody asked for the next level: until the next acknowledgement its calls say so. */
  escalated?: true;
}

export interface PolicyRun {
  request: PageRequest;
  name: string;
  /** As it was at the start of this round; absent: to be asked for. */
  plan?: ResolvedPolicy;
  /** From 0, of the next call. */
  round: number;
  level: number;
  /** Calls so far, in all rounds. */
  calls: number;
  /** When the next level is called, or the round ends, epoch ms. */
  dueMs: number;
  /** False once somebody has acknowledged. */
  armed: boolean;
  /** Whether anybody was reached. */
  accepted: boolean;
  /** The fall-over was asked already. */
  fellOver: boolean;
  /** Nothing is left to call. */
  ended: boolean;
  /** Somebody asked for the next level: until the next acknowledgement its calls say so. */
  escalated?: true | undefined;
}

/** What a later call of a page is called: why somebody is woken. */
export function titleAgain(request: PageRequest, escalated: boolean): string {
  return `${escalated ? 'Escalated' : 'Not acknowledged'}: ${request.title}`;
}

/** Requests remembered for deduplication; an incident sends a handful. */
export const REMEMBERED_REQUESTS = 500;
/** Somebody who does not answer this many calls will not answer the next: at 5 minutes each, 5 hours. */
export const MAX_ESCALATIONS = 60;

export function emptyState(): PagingState {
  return { seen: [], asked: [], escalations: [], stopped: [], policies: [], withdrawn: [] };
}
