import { createHash } from 'node:crypto';
import { plain, plainDetails, plainLinks, plainTitle, vendorKey } from '../paging/page-text.ts';
import { DEFAULT_PAGER_TIMEOUT_MS, type Pager } from '../paging/pager.ts';
import { postJson } from '../paging/post-json.ts';

export interface WebhookPagerOptions {
  url: string;
  bearerToken?: string;
  timeoutMs?: number;
}

/** Raised when a field changes its meaning; new fields may come without it. */
const BODY_VERSION = 1;
const MAX_REFERENCE_CHARS = 200;

/**
 * A pager of one's own: a bridge to another vendor, an on-call bot. It is sent by POST, as JSON:
 *
 *     { "version": 1, "action": "trigger", "incidentId": "inc-...", "role": "ml-oncall", "dedupKey": "...",
 *       "title": "...", "severity": "SEV1", "details": { "target": "..." }, "links": [{ "text": "...", "href": "..." }] }
 *     { "version": 1, "action": "acknowledge" or "resolve", "incidentId": ..., "role": ..., "dedupKey": ... }
 *
 * with `Authorization: Bearer ...` where a token is configured, and an `Idempotency-Key` that is the same for every
 * attempt of one message: what was taken under a key should not be shown again. Messages of one `dedupKey` and `role`
 * belong to one page; a trigger with another title (an escalation) has another `Idempotency-Key`.
 *
 * Any 2xx means that the receiver has taken the page. Its answer may be JSON with the receiver's own `id` of the page.
 * 429 (with `Retry-After`), 408, 5xx and no answer are tried again; other statuses are not.
 */
export function createWebhookPager(options: WebhookPagerOptions): Pager {
  async function post(
    what: string,
    idempotencyParts: string[],
    body: { dedupKey: string } & Record<string, unknown>,
  ) {
    const key = createHash('sha256').update(JSON.stringify(idempotencyParts)).digest('hex');
    const { data } = await postJson({
      what,
      url: options.url,
      body: JSON.stringify({ version: BODY_VERSION, ...body }),
      headers: {
        'Idempotency-Key': key,
        ...(options.bearerToken !== undefined && { Authorization: `Bearer ${options.bearerToken}` }),
      },
      timeoutMs: options.timeoutMs ?? DEFAULT_PAGER_TIMEOUT_MS,
    });
    return data;
  }

  return {
    name: 'webhook',

    async send(page) {
      const { incidentId, role, severity } = page;
      const dedupKey = vendorKey(page.dedupKey);
      const title = plainTitle(page);
      const answer = await post('the page to the webhook', ['trigger', role, page.dedupKey, title], {
        action: 'trigger',
        incidentId,
        role,
        dedupKey,
        title,
        severity,
        details: plainDetails(page.details),
        links: plainLinks(page.links),
      });
      return { reference: referenceIn(answer) ?? dedupKey };
    },

    async update({ incidentId, role, dedupKey }, action) {
      await post(`the ${action} to the webhook`, [action, role, dedupKey], {
        action,
        incidentId,
        role,
        dedupKey: vendorKey(dedupKey),
      });
    },
  };
}

function referenceIn(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('id' in answer)) return undefined;
  if (typeof answer.id !== 'string' && typeof answer.id !== 'number') return undefined;
  return plain(String(answer.id), MAX_REFERENCE_CHARS) || undefined;
}
