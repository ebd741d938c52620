import type {
  ActionItem,
  ActionLane,
  IncidentState,
  IncidentView,
  TimelineEntry,
  TimelineKind,
} from '../../domain/incident.ts';
import type { Mode } from '../../domain/target.ts';
import type { EvidenceStore } from '../evidence/store.ts';

/** Somebody's attempt to decide or act, recorded by the edge before it is sent: denied and duplicate ones too. */
export interface DecisionAttempt {
  /** Made by the edge (a UUID); the same id again is the same attempt. */
  id: string;
  atMs: number;
  incident: string;
  step?: string;
  planHash?: string;
  /** Id in the access file; absent: nobody could be authenticated. */
  person?: string;
  /** `approve`, `reject`, or the action that was tried (`acknowledge`, `abort`, ...). */
  decision: string;
  verdict: 'accepted' | 'denied' | 'duplicate' | 'invalid';
  reason?: string;
  via: string;
}

export interface Postmortem {
  incidentId: string;
  markdown: string;
  /** SHA-256 (hex) of the Markdown. */
  sha256: string;
  draft: boolean;
  atMs: number;
}

export type IncidentActionItem = ActionItem & { incidentId: string };

export type ChainVerdict =
  | { ok: true; entries: number; headHash: string }
  | { ok: false; seq: number; problem: string };

/**
 * The records: an idempotent projection of what the workflows decide. They outlive Temporal's retention.
 * Every method throws RecordsError, whose type says whether trying again can help.
 */
export interface RecordsStore {
  /**
   * Opens the incident's record; again is a no-op.
   * @returns the incident before it with the same workflow id.
   */
  openIncident(input: { incidentId: string; workflowId: string; view: IncidentView }): Promise<{
    predecessorId?: string;
  }>;
  /**
   * Appends entries to the timeline of `view.incidentId` and moves the view forward (never back).
   * A known seq with the same content is a no-op, with other content InvalidInput; a gap that the view's own timeline
   * does not fill is Conflict: the entries before it are still on their way.
   */
  append(entries: readonly TimelineEntry[], view: IncidentView): Promise<{ lastSeq: number }>;
  recordAttempt(attempt: DecisionAttempt): Promise<void>;
  /**
   * Writes the postmortem and its action items (all of them: those it no longer names go).
   * A later one replaces an earlier one; a draft never replaces the final one.
   * @returns the SHA-256 (hex) of the Markdown as it is stored.
   */
  writePostmortem(input: {
    incidentId: string;
    markdown: string;
    draft: boolean;
    atMs: number;
    actionItems: readonly ActionItem[];
  }): Promise<{ sha256: string }>;
  postmortem(incidentId: string): Promise<Postmortem | undefined>;
  /** The last view, with the recorded timeline in it. */
  getIncident(incidentId: string): Promise<IncidentView | undefined>;
  /** Newest first; `timeline` is left empty. */
  listIncidents(filter: { limit: number; state?: IncidentState }): Promise<IncidentView[]>;
  timeline(incidentId: string): Promise<TimelineEntry[]>;
  /**
   * Incidents triggered at or after a moment, newest first, for reports. Their `timeline` has the recorded entries of
   * these kinds only, the first of each kind where there are very many.
   * @returns at most `limit` of them; `truncated` says that there are more.
   */
  incidentsSince(filter: {
    sinceMs: number;
    mode: Mode;
    kinds: readonly TimelineKind[];
    limit: number;
  }): Promise<{ incidents: IncidentView[]; truncated: boolean }>;
  /** By incident in the order they were written, else by due date. */
  actionItems(filter: {
    incidentId?: string;
    lane?: ActionLane;
    limit: number;
  }): Promise<IncidentActionItem[]>;
  /** In the order they were recorded. */
  attempts(incidentId: string): Promise<DecisionAttempt[]>;
  /** Encrypted texts of samples, beside the records. */
  evidence: EvidenceStore;
  /** Recomputes the incident's hash chain. NotFound for an unknown incident. */
  verifyChain(incidentId: string): Promise<ChainVerdict>;
  /** Resolves when the database answers: for readiness. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
