import { createPublicKey, KeyObject, verify } from 'node:crypto';
import { decisionText, type SignedDecision } from '../../domain/decision.ts';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { fail } from '../failure.ts';

/** Clocks of edge and worker may differ this much before a decision counts as taken in the future. */
const MAX_CLOCK_SKEW_MS = 60_000;
const ED25519_SIGNATURE_BYTES = 64;

/** Public keys (SPKI PEM, or KeyObject) of the edges that may assert decisions, by key id. */
export type TrustedEdgeKeys = Record<string, string | KeyObject>;

/** @throws Error for a key that is no Ed25519 public key: a mistake of configuration. */
export function readTrustedKeys(keys: TrustedEdgeKeys): Map<string, KeyObject> {
  const read = new Map<string, KeyObject>();
  for (const [keyId, key] of Object.entries(keys)) {
    const publicKey = key instanceof KeyObject ? key : createPublicKey(key);
    if (publicKey.type !== 'public' || publicKey.asymmetricKeyType !== 'ed25519') {
      throw new Error(`edge key "${keyId}" is no Ed25519 public key`);
    }
    read.set(keyId, publicKey);
  }
  return read;
}

interface ApprovalsInput {
  plan: Pick<RollbackPlan, 'hash' | 'approval'>;
  incidentId: string;
  step: string;
  decisions: readonly SignedDecision[];
  keys: ReadonlyMap<string, KeyObject>;
  nowMs: number;
}

/**
 * Who validly approved exactly this plan: as many distinct people as it asks for, or one by break-glass where it allows
 * that. Expiry is left to the caller's choice: it bars acting on a decision, not
 * naming who took it.
 * @returns person ids, each once, in the order of the decisions.
 * @throws Unauthorized, saying what is wrong with each decision, when too few are left; Refused when one is a rejection.
 */
export function verifyApprovals(
  input: ApprovalsInput,
  { allowExpired }: { allowExpired: boolean },
): string[] {
  const { plan, decisions } = input;
  const approvedBy = new Set<string>();
  let alone = false;
  const problems: string[] = [];
  for (const [index, signed] of decisions.entries()) {
    const problem = problemOf(signed, input, allowExpired);
    if (problem !== undefined) {
      problems.push(`decision ${index + 1} ${problem}`);
    } else if (signed.decision.decision === 'reject') {
      throw fail('Refused', `${signed.decision.person} rejected this plan: make a new plan to ask again`);
    } else {
      approvedBy.add(signed.decision.person);
      alone ||= signed.decision.breakGlass === true;
    }
  }
  // No plan is applied without anybody's approval, whatever it says.
  const needed = alone ? 1 : Math.max(1, plan.approval.count);
  if (approvedBy.size < needed) {
    const why = problems.length > 0 ? `: ${problems.join('; ')}` : '';
    throw fail('Unauthorized', `${approvedBy.size} of ${needed} distinct people approved this plan${why}`);
  }
  return [...approvedBy];
}

/** What is wrong with a decision; undefined when it counts. The signature comes first: nothing before it is to be believed. */
function problemOf(signed: SignedDecision, input: ApprovalsInput, allowExpired: boolean): string | undefined {
  const { plan, incidentId, step, keys, nowMs } = input;
  const key = keys.get(signed.keyId);
  if (key === undefined) return 'is signed with a key that is not trusted here';
  if (!isSignedBy(signed, key)) return 'has a signature that does not fit it';
  const { decision } = signed;
  if (decision.incidentId !== incidentId) return 'is for another incident';
  if (decision.step !== step) return 'is for another step';
  if (decision.planHash !== plan.hash) return 'is for another plan';
  if (decision.decision === 'reject') return undefined;
  if (decision.decision !== 'approve') return 'is no approval';
  if (decision.breakGlass) {
    // Who may was the edge's to check, from the access file; that the plan allows it is part of the plan's hash.
    if (!plan.approval.breakGlass) return `is by break-glass, which this plan does not allow`;
  } else if (!plan.approval.from.some((group) => decision.groups.includes(group))) {
    return `is by ${decision.person}, who is in none of the groups ${plan.approval.from.join(', ')}`;
  }
  if (!(decision.issuedAtMs <= nowMs + MAX_CLOCK_SKEW_MS)) return 'was taken in the future: check the clocks';
  if (!allowExpired && !(nowMs < decision.expiresAtMs)) {
    return `by ${decision.person} has expired at ${new Date(decision.expiresAtMs).toISOString()}`;
  }
  return undefined;
}

function isSignedBy(signed: SignedDecision, key: KeyObject): boolean {
  const signature = Buffer.from(signed.signature, 'base64');
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
  try {
    return verify(null, Buffer.from(decisionText(signed.decision)), key, signature);
  } catch {
    // A decision that cannot be written as canonical JSON was never signed by an edge.
    return false;
  }
}
