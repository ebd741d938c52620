import { randomBytes, randomUUID } from 'node:crypto';
import { DATA_KEY_BYTES, type NamedKey, SealError, seal, unseal } from './seal.ts';
import type { EvidenceStore, WrappedKey } from './store.ts';

const TEXT_PURPOSE = 'firebreak-evidence-text-v1';
const KEY_PURPOSE = 'firebreak-evidence-key-v1';

export interface Vault {
  /** The data key's row of an incident and source, made where there is none. Nothing is readable without it. */
  openKey(input: {
    incidentId: string;
    source: string;
    retentionMs: number;
    nowMs: number;
  }): Promise<WrappedKey>;
  /** Encrypts and stores texts that are redacted already. @returns refs that can be read. */
  keep(key: WrappedKey, texts: readonly { ref: string; text: string }[], nowMs: number): Promise<string[]>;
  /**
   * The text for a named person, once it is written down who reads it and why.
   * @throws SealError where the stored text or key was changed, or the wrapping key is not here.
   */
  reveal(input: {
    incidentId: string;
    ref: string;
    person: string;
    reason: string;
    via: string;
    nowMs: number;
  }): Promise<{ found: true; text: string; destroyAtMs: number } | { found: false; gone: boolean }>;
  /** Keys that texts are under and that this process does not have: those texts cannot be read here. */
  missingKeys(nowMs: number): Promise<string[]>;
}

/**
 * Texts under a data key of their own for each incident and source (AES-256-GCM), which is stored wrapped by a key of
 * this installation: who destroys the data key destroys every copy of the texts.
 * @param keys the first wraps, all unwrap.
 */
export function createVault(store: EvidenceStore, keys: readonly NamedKey[]): Vault {
  const [current] = keys;
  if (current === undefined) throw new Error('kept samples need at least one key in keys/evidence.json');
  const byId = new Map(keys.map(({ id, key }) => [id, key]));

  const unwrap = (key: WrappedKey): Buffer => {
    const wrapping = byId.get(key.wrappingKeyId);
    if (wrapping === undefined) {
      throw new SealError(
        `the text is under the key ${JSON.stringify(key.wrappingKeyId)}, which this process does not have: see keys/evidence.json in the data folder`,
      );
    }
    return unseal(wrapping, key.wrapped, [KEY_PURPOSE, key.incidentId, key.keyId]);
  };

  return {
    openKey({ incidentId, source, retentionMs, nowMs }) {
      const keyId = randomUUID();
      const wrapped = seal(current.key, randomBytes(DATA_KEY_BYTES), [KEY_PURPOSE, incidentId, keyId]);
      return store.openKey({
        keyId,
        incidentId,
        source,
        wrapped,
        wrappingKeyId: current.id,
        createdAtMs: nowMs,
        destroyAtMs: nowMs + retentionMs,
      });
    },

    async keep(key, texts, nowMs) {
      const dataKey = unwrap(key);
      const sealed = texts.map(({ ref, text }) => ({
        ref,
        sealed: seal(dataKey, Buffer.from(text), [TEXT_PURPOSE, key.incidentId, key.keyId, ref]),
      }));
      return store.keep({ key, texts: sealed, atMs: nowMs });
    },

    async missingKeys(nowMs) {
      return (await store.wrappingKeyIds(nowMs)).filter((id) => !byId.has(id));
    },

    async reveal({ nowMs, ...asked }) {
      const open = (key: WrappedKey, sealed: string) =>
        unseal(unwrap(key), sealed, [TEXT_PURPOSE, key.incidentId, key.keyId, asked.ref]).toString();
      const taken = await store.take({ ...asked, atMs: nowMs, open });
      if (!taken.found) return taken;
      return { found: true, text: taken.text, destroyAtMs: taken.key.destroyAtMs };
    },
  };
}
