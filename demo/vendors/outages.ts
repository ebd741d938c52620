/** What vendors do on their bad days, as a table: a proxy in front of a vendor's server does it (outage-proxy.ts). */

/**
 * - `refuse`: nothing listens. `reset`: the connection breaks as soon as something was asked.
 * - `late`: the vendor does what it was asked and answers after `afterMs`. `trickle`: its answer never ends.
 * - `answer`: something answers in the vendor's place, and the vendor never hears of it.
 */
export type Outage =
  | { how: 'refuse' }
  | { how: 'reset' }
  | { how: 'late'; afterMs: number }
  | { how: 'trickle'; everyMs: number }
  | { how: 'answer'; status: number; headers: Record<string, string>; body: () => string };

/** Longer than any of Firebreak's calls waits. */
const LATE_MS = 60_000;
/** Often enough that a timeout which starts again with every byte never ends. */
const TRICKLE_MS = 1_000;
/** A vendor that asks for this has no rate limit, but an outage. */
const ONE_DAY_SECONDS = 86_400;
const HUGE_BYTES = 10 * 1024 * 1024;

const HTML = '<!doctype html><title>Down for maintenance</title><h1>We will be right back</h1>';

export const OUTAGES = {
  refused: { how: 'refuse' },
  reset: { how: 'reset' },
  late: { how: 'late', afterMs: LATE_MS },
  trickle: { how: 'trickle', everyMs: TRICKLE_MS },
  html: { how: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: () => HTML },
  'wrong-json': json(200, () => '{"unexpected":[1,2,3]}'),
  'error-500': json(500, () => '{"error":"internal"}'),
  'not-found': { how: 'answer', status: 404, headers: { 'content-type': 'text/html' }, body: () => HTML },
  'rate-limited': {
    ...json(429, () => '{"message":"slow down"}'),
    headers: { 'content-type': 'application/json', 'retry-after': String(ONE_DAY_SECONDS) },
  },
  huge: json(200, () => `{"ok":true,"items":[],"padding":"${'x'.repeat(HUGE_BYTES)}"}`),
  'not-ok': json(200, () => '{"ok":false,"error":"internal_error"}'),
} as const satisfies Record<string, Outage>;

export type OutageName = keyof typeof OUTAGES;

function json(status: number, body: () => string) {
  return { how: 'answer' as const, status, headers: { 'content-type': 'application/json' }, body };
}
