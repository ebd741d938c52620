import { createHash } from 'node:crypto';
import { canonicalJson } from '../../domain/canonical-json.ts';

/** First `prev_hash` of an incident: bound to its id, so that a whole chain cannot be moved to another incident. */
export function genesisHash(incidentId: string): string {
  return sha256(`firebreak-timeline-v1\n${incidentId}`);
}

/** Hash of an entry: SHA-256 (hex) over the hash before it and the entry's canonical JSON. */
export function chainHash(prevHash: string, entry: unknown): string {
  return sha256(prevHash + canonicalJson(entry));
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The value as `jsonb` gives it back: without `undefined`, and with U+FFFD for NUL and for lone surrogates, which
 * PostgreSQL refuses. They come in with alert labels, and must not keep an incident from being recorded.
 * @throws TypeError for what JSON cannot carry.
 */
export function storable(value: unknown): unknown {
  return clean(JSON.parse(canonicalJson(value)));
}

/** Text as a PostgreSQL `text` column can hold it. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\uFFFD');
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [storableText(key), clean(item)]));
  }
  return value;
}
