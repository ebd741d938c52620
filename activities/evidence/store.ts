/** Who did what with kept texts. Never holds a text. */
export interface EvidenceEntry {
  seq: number;
  atMs: number;
  action: 'kept' | 'revealed' | 'destroyed';
  /** Person id, or `firebreak`. */
  actor: string;
  source: string;
  keyId: string;
  /** For `revealed`. */
  ref?: string;
  reason?: string;
  via?: string;
  /** For `kept` and `destroyed`. */
  texts?: number;
}

/** A data key as it is stored: encrypted by a key that is not in the database. */
export interface WrappedKey {
  keyId: string;
  incidentId: string;
  source: string;
  wrapped: string;
  wrappingKeyId: string;
  destroyAtMs: number;
}

export interface SealedText {
  ref: string;
  sealed: string;
}

export interface KeptText {
  ref: string;
  source: string;
  keptAtMs: number;
  destroyAtMs: number;
}

/** What came of asking for a text; `gone`: its key is destroyed, or its time has come. */
export type TakenText =
  | { found: true; key: WrappedKey; text: string; entry: EvidenceEntry }
  | { found: false; gone: boolean };

/**
 * Encrypted texts beside the records, in tables of their own. Every method throws RecordsError.
 */
export interface EvidenceStore {
  /** The live key of an incident and source; `fresh` is stored where there is none. An earlier date stays. */
  openKey(fresh: WrappedKey & { createdAtMs: number }): Promise<WrappedKey>;
  /**
   * Stores texts and says so in the log, together; a ref that is there already stays as it is.
   * @returns refs that are readable now. None where the key was destroyed meanwhile.
   */
  keep(input: { key: WrappedKey; texts: readonly SealedText[]; atMs: number }): Promise<string[]>;
  /** Texts that can be read now. */
  list(incidentId: string, nowMs: number): Promise<KeptText[]>;
  /**
   * Writes down who reads which text and why, and only then hands it out. Nothing is written down where `open` throws: nobody
   * has read it.
   */
  take(input: {
    incidentId: string;
    ref: string;
    person: string;
    reason: string;
    via: string;
    atMs: number;
    open: (key: WrappedKey, sealed: string) => string;
  }): Promise<TakenText>;
  /**
   * Destroys the key and removes its texts, and takes the wrapped key out of the database's files as far as it may; again
   * only does the latter. @returns how many texts went.
   */
  destroy(input: { incidentId: string; keyId: string; atMs: number }): Promise<{ texts: number }>;
  /**
   * Destroys every key whose date has come: the second line behind the durable timers. Also ends what a process that died
   * in the middle of destroying left in the files.
   * @returns what it destroyed, and how late (ms).
   */
  destroyOverdue(atMs: number): Promise<{ incidentId: string; keyId: string; lateMs: number }[]>;
  /** Ids of the keys that wrap what can be read at `atMs`. */
  wrappingKeyIds(atMs: number): Promise<string[]>;
  log(incidentId: string): Promise<EvidenceEntry[]>;
  /** Recomputes the log's hash chain. */
  verifyLog(incidentId: string): Promise<{ ok: boolean; entries: number }>;
}
