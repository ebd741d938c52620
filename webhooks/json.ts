import parseSecurely from 'secure-json-parse';
import { EdgeError } from './errors.ts';

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether objects and arrays nest deeper than `limit`. Looked at in the bytes, before a parser allocates for them. */
function nestsDeeperThan(bytes: Uint8Array, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1;
      if (depth > limit) return true;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1;
  }
  return false;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/**
 * Parses a body from outside.
 * @throws EdgeError invalid_json: not UTF-8, not JSON, nested deeper than `maxDepth`, or with keys that reach for the
 * prototype. What was wrong is said, never what was sent.
 */
export function parseUntrustedJson(bytes: Uint8Array, maxDepth: number): unknown {
  if (bytes.length === 0) throw new EdgeError('invalid_json', 'The body is empty.');
  if (nestsDeeperThan(bytes, maxDepth)) {
    throw new EdgeError('invalid_json', `The body nests deeper than ${maxDepth} levels.`);
  }
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new EdgeError('invalid_json', 'The body is not valid UTF-8.');
  }
  try {
    return parseSecurely(text, { protoAction: 'error', constructorAction: 'error' });
  } catch (error) {
    // The parser's own message quotes the text around the fault, so it is not passed on.
    const forbidden = error instanceof Error && error.message.includes('forbidden prototype property');
    throw new EdgeError(
      'invalid_json',
      forbidden
        ? 'The body has a __proto__ or constructor.prototype key, which is never taken.'
        : 'The body is not a complete JSON document.',
    );
  }
}
