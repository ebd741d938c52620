import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** A key of AES-256-GCM with its name. */
export interface NamedKey {
  id: string;
  /** 32 bytes. */
  key: Uint8Array;
}

const ALGORITHM = 'aes-256-gcm';
export const DATA_KEY_BYTES = 32;
/** 96 bits at random: a data key seals at most some hundred texts (NIST SP 800-38D, 8.3, allows 2^32). */
const IV_BYTES = 12;
/** The full tag: SP 800-38D, 5.2.1.2. */
const TAG_BYTES = 16;

/** A key was changed or belongs to something else: never says what was in it. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/** @param bound what the result belongs to: it opens with exactly the same only. */
export function seal(key: Uint8Array, plain: Uint8Array, bound: readonly string[]): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(JSON.stringify(bound)));
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** @throws SealError */
export function unseal(key: Uint8Array, sealed: string, bound: readonly string[]): Buffer {
  const data = Buffer.from(sealed, 'base64');
  if (data.length < IV_BYTES + TAG_BYTES) throw new SealError('what is stored is cut off');
  const decipher = createDecipheriv(ALGORITHM, key, data.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(JSON.stringify(bound)));
  decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
  try {
    const body = data.subarray(IV_BYTES, data.length - TAG_BYTES);
    return Buffer.concat([decipher.update(body), decipher.final()]);
  } catch {
    throw new SealError('what is stored was changed, or belongs to another key');
  }
}
