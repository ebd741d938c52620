/** Characters of a path and its query (RFC 3986), without `$`, `{` and backslash: nothing is ever filled in there. */
export const ENDPOINT_PATH = /^(?:(?:\/[\w.~!&'()*+,;=:@%-]+)+\/?(?:\?[\w.~!&'()*+,;=:@%/?-]*)?)?$/;

/** What a URL parser takes for a step up or a separator, however it is written. */
const ESCAPES = /%2f|%5c|%(?![0-9a-f]{2})/i;
const DOTS = /^(?:\.|%2e){1,2}$/i;

/** Whether a path stays below the address that it is appended to: empty, or `/literal` without `.`, `..` and `//`. */
export function isEndpointPath(path: string): boolean {
  if (!ENDPOINT_PATH.test(path)) return false;
  const [beforeQuery = ''] = path.split('?');
  return !ESCAPES.test(beforeQuery) && !beforeQuery.split('/').some((segment) => DOTS.test(segment));
}
