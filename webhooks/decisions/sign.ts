import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Decision, SignedDecision } from '../../domain/decision.ts';
import { decisionText } from '../../domain/decision.ts';

/** Hex digits of an update id's digest: 128 bits, so that no two decisions share one. */
const UPDATE_ID_DIGEST_LENGTH = 32;

export interface DecisionSigner {
  /** Which key signs. */
  keyId: string;
  sign(decision: Decision): SignedDecision;
}

/** Signs decisions for people whom the access file allows them; the caller has checked that. */
export function createDecisionSigner(key: { privateKeyPem: string; keyId: string }): DecisionSigner {
  const privateKey = createPrivateKey(key.privateKeyPem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('decisions are signed with an Ed25519 key');
  return {
    keyId: key.keyId,
    sign: (decision) => ({
      decision,
      keyId: key.keyId,
      signature: sign(null, Buffer.from(decisionText(decision)), privateKey).toString('base64'),
    }),
  };
}

export type DecisionCheck = { ok: true } | { ok: false; reason: string };

/**
 * Says whether one of the known edges signed exactly this decision, and whether it may be acted on at `nowMs`.
 * Whether it is the right decision (incident, step, plan, groups, distinct people) is for who acts on it to check.
 * @param publicKeys PEM by key id.
 */
export function verifyDecision(
  signed: SignedDecision,
  publicKeys: Readonly<Record<string, string>>,
  nowMs: number,
): DecisionCheck {
  const pem = Object.hasOwn(publicKeys, signed.keyId) ? publicKeys[signed.keyId] : undefined;
  if (pem === undefined) return { ok: false, reason: 'it is signed with a key that is not known here' };
  const { decision } = signed;
  if (!hasSigned(signed, pem)) return { ok: false, reason: 'its signature does not fit its content' };
  if (nowMs >= decision.expiresAtMs) {
    return { ok: false, reason: `it expired at ${new Date(decision.expiresAtMs).toISOString()}` };
  }
  return { ok: true };
}

function hasSigned({ decision, signature }: SignedDecision, pem: string): boolean {
  try {
    const text = Buffer.from(decisionText(decision));
    return verify(null, text, createPublicKey(pem), Buffer.from(signature, 'base64'));
  } catch {
    // A decision that is no JSON, or a key that is no key, has not been signed.
    return false;
  }
}

/**
 * The id under which a decision is sent to the workflow: the same decision has the same id however often it is sent, and
 * Temporal answers the second with the first's result. Hashed: ids hold no personal data.
 * @param decision what was decided; `break-glass` is an approval given alone, which may follow an ordinary one.
 * @param requestedAtMs when the approval was asked for; an approval asked for anew takes a fresh decision by the same person
 * on the same plan, which would otherwise be answered with the old one's result.
 */
export function updateIdOf(
  step: string,
  planHash: string,
  person: string,
  decision: Decision['decision'] | 'break-glass',
  requestedAtMs?: number,
): string {
  const text = canonicalJson([step, planHash, person, decision, requestedAtMs ?? null]);
  return `${decision}-${createHash('sha256').update(text).digest('hex').slice(0, UPDATE_ID_DIGEST_LENGTH)}`;
}
