import { createHash, timingSafeEqual } from 'node:crypto';

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/**
 * Whether `given` is one of `accepted`, in a time that tells nothing about which one or how much of it is right: digests of
 * equal length are compared, and all of them are looked at.
 */
export function equalsOneOf(given: string, accepted: readonly string[]): boolean {
  const givenDigest = digest(given);
  let found = false;
  for (const candidate of accepted) {
    if (timingSafeEqual(givenDigest, digest(candidate))) found = true;
  }
  return found;
}
