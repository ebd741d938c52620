/**
 * JSON with object keys sorted and `undefined` left out: the text that hashes and signatures are taken over.
 * Same result as RFC 8785 (JCS) for the values we hash: strings, finite numbers, booleans, null, arrays, plain objects.
 * @throws TypeError for a value that JSON cannot carry (NaN, Infinity, bigint, function), so that a hash never lies.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`a ${value} cannot be written as JSON`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
    return `{${entries.join(',')}}`;
  }
  throw new TypeError(`a ${typeof value} cannot be written as JSON`);
}
