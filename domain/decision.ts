import { canonicalJson } from './canonical-json.ts';

/** What a person decided, as the edge asserts it. Signed (Ed25519) so that rights on Temporal alone approve nothing. */
export interface Decision {
  decision: 'approve' | 'reject';
  incidentId: string;
  step: string;
  planHash: string;
  /** Id in the access file. */
  person: string;
  /** The person's groups when the decision was taken. */
  groups: string[];
  reason?: string;
  /** Taken alone by somebody with the break-glass right; `reason` is there then. */
  breakGlass?: true;
  issuedAtMs: number;
  expiresAtMs: number;
  /** Content hash of the access file that was checked. */
  accessVersion: string;
  via: 'api' | 'cli' | 'slack';
}

export interface SignedDecision {
  decision: Decision;
  /** Which edge key signed. */
  keyId: string;
  /** Base64 Ed25519 signature over `decisionText(decision)`. */
  signature: string;
}

/**
 * Whoever declared an incident by hand does not approve alone in it: where one approval is enough, it is another person's.
 * One of several may be theirs, since the others are other people. Break-glass is a rule of its own.
 */
export function mayNotApproveAlone(asked: {
  declaredBy: string | undefined;
  person: string;
  count: number;
}): boolean {
  return asked.declaredBy !== undefined && asked.declaredBy === asked.person && asked.count < 2;
}

/** The exact text that is signed; the prefix keeps a signature from being used for anything else. */
export function decisionText(decision: Decision): string {
  return `firebreak-decision-v1\n${canonicalJson(decision)}`;
}
