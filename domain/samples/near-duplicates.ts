/**
 * Which texts say nearly the same. A model that does harm repeats itself: fifty copies of one answer are one finding.
 * MinHash (A. Broder, "On the resemblance and containment of documents", 1997) over word shingles finds the pairs that
 * are worth comparing; their real resemblance decides. Pure.
 */

/** Words in a shingle: one says only which words there are, five would call a changed name another text. */
const SHINGLE_WORDS = 3;
/** Hashes of a signature: its estimate of a resemblance has a standard error of at most 0.5 / sqrt(64), 6%. */
const SIGNATURE_LENGTH = 64;
/** Estimated resemblance from which a pair is compared: four standard errors below the one that counts. */
const COMPARE_FROM = 0.55;
/** Resemblance (Jaccard) of shingles from which two texts are one. */
const SAME_FROM = 0.8;
/** Words that are looked at: texts that agree so far are the same finding. */
const MAX_WORDS = 2_000;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

export interface Shingled {
  shingles: ReadonlySet<number>;
  signature: Uint32Array;
}

/** The text's words without case, punctuation, accents and numbers' values. */
function normalisedWords(text: string): string[] {
  const words = text
    .slice(0, MAX_WORDS * 20)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/\p{N}+/gu, '0')
    .match(/[\p{L}\p{N}]+/gu);
  return (words ?? []).slice(0, MAX_WORDS);
}

/** What resemblance is judged by: numbers, never the text. */
export function shingle(text: string): Shingled {
  const words = normalisedWords(text);
  const shingles = new Set<number>();
  const last = Math.max(1, words.length - SHINGLE_WORDS + 1);
  if (words.length > 0) {
    for (let at = 0; at < last; at++) shingles.add(fnv1a(words.slice(at, at + SHINGLE_WORDS).join(' ')));
  }
  const signature = new Uint32Array(SIGNATURE_LENGTH).fill(0xffffffff);
  for (const hash of shingles) {
    for (let row = 0; row < SIGNATURE_LENGTH; row++) {
      const value = permuted(hash, row);
      if (value < (signature[row] ?? 0)) signature[row] = value;
    }
  }
  return { shingles, signature };
}

/** Whether two texts are one finding. Texts without words resemble nothing. */
export function nearlySame(a: Shingled, b: Shingled): boolean {
  if (a.shingles.size === 0 || b.shingles.size === 0) return false;
  let equal = 0;
  for (let row = 0; row < SIGNATURE_LENGTH; row++) if (a.signature[row] === b.signature[row]) equal++;
  if (equal / SIGNATURE_LENGTH < COMPARE_FROM) return false;
  let common = 0;
  for (const hash of a.shingles) if (b.shingles.has(hash)) common++;
  return common / (a.shingles.size + b.shingles.size - common) >= SAME_FROM;
}

/**
 * Keeps the first of those that nearly repeat it, in the order given, with how many it stands for.
 * @param digest equal digests are the same text, also where the text itself is not there.
 */
export function mergeNearDuplicates<T extends { sha256: string; shingled?: Shingled }>(
  samples: readonly T[],
): { sample: T; similar: T[] }[] {
  const kept: { sample: T; similar: T[] }[] = [];
  const byDigest = new Map<string, { sample: T; similar: T[] }>();
  for (const sample of samples) {
    const { shingled } = sample;
    const same =
      byDigest.get(sample.sha256) ??
      (shingled &&
        kept.find((group) => group.sample.shingled && nearlySame(group.sample.shingled, shingled)));
    if (same) {
      same.similar.push(sample);
      byDigest.set(sample.sha256, same);
      continue;
    }
    const group = { sample, similar: [] };
    kept.push(group);
    byDigest.set(sample.sha256, group);
  }
  return kept;
}

function fnv1a(text: string): number {
  let hash = FNV_OFFSET;
  for (let at = 0; at < text.length; at++) {
    hash ^= text.charCodeAt(at);
    hash = Math.imul(hash, FNV_PRIME);
  }
  return hash >>> 0;
}

/** One of many independent-looking permutations of 32 bits: murmur3's finaliser over the hash and the row. */
function permuted(hash: number, row: number): number {
  let mixed = (hash ^ Math.imul(row + 1, 0x9e3779b1)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
