/** A whole incident id, as workflows/ids.ts makes it. */
const WHOLE_ID = /^inc-[0-9a-f]{12}-[0-9a-f]{8}$/;
/** What people may type: the start of an id, with or without `inc-`. */
const ID_PREFIX = /^(inc-)?[0-9a-f]{2,12}(-[0-9a-f]{0,8})?$/;

export type IdInput = { kind: 'whole'; id: string } | { kind: 'prefix'; prefix: string } | { kind: 'none' };

/** Reads what a person gave as an incident id; `none` when it can be no incident's. */
export function readId(given: string): IdInput {
  const text = given.trim().toLowerCase();
  if (WHOLE_ID.test(text)) return { kind: 'whole', id: text };
  if (!ID_PREFIX.test(text)) return { kind: 'none' };
  const prefix = text.startsWith('inc-') ? text : `inc-${text}`;
  return WHOLE_ID.test(prefix) ? { kind: 'whole', id: prefix } : { kind: 'prefix', prefix };
}
