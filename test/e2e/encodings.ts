/** A text as it may stand in files and messages: as it is, or in what programs commonly make of it. */

/** The first and last characters of Base64 mix with what stands beside. */
const BASE64_EDGE = 2;
const OFFSETS = [0, 1, 2] as const;

/** @param text ASCII letters, digits and dashes only: nothing escapes them but who escapes everything. */
export function encodingsOf(text: string): Record<string, Buffer> {
  const bytes = Buffer.from(text);
  const hex = bytes.toString('hex');
  const utf16le = Buffer.from(text, 'utf16le');
  return {
    plain: bytes,
    'JSON-escaped': Buffer.from([...text].map((char) => `\\u${codeOf(char)}`).join('')),
    'UTF-16LE': utf16le,
    'UTF-16BE': Buffer.from(utf16le).swap16(),
    hex: Buffer.from(hex),
    HEX: Buffer.from(hex.toUpperCase()),
    ...Object.fromEntries(
      OFFSETS.map((offset) => [`Base64 at ${offset}`, Buffer.from(inBase64(bytes, offset))]),
    ),
  };
}

/** @returns the names of the encodings in which the text is in there. */
export function encodingsIn(haystack: Buffer, text: string): string[] {
  return Object.entries(encodingsOf(text)).flatMap(([name, needle]) =>
    haystack.includes(needle) ? [name] : [],
  );
}

function codeOf(char: string): string {
  return (char.codePointAt(0) ?? 0).toString(16).padStart(4, '0');
}

/** What every Base64 of something that has the bytes at this offset (modulo 3) has in it. */
function inBase64(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .replace(/=+$/, '');
  return encoded.slice(offset === 0 ? 0 : offset + 1, -BASE64_EDGE);
}
