import { createHash } from 'node:crypto';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import { plain, plainTitle } from '../paging/page-text.ts';
import { postJson } from '../paging/post-json.ts';
import { DEFAULT_TIMEOUT_MS, MAX_TEXT_CHARS, type NotificationChannel } from './channel.ts';

export interface WebhookNotificationOptions {
  /** Name in the configuration, for messages. */
  name: string;
  url: string;
  bearerToken?: string | undefined;
  timeoutMs?: number | undefined;
}

/** Raised when a field changes its meaning; new fields may come without it. */
const BODY_VERSION = 1;
const MAX_REFERENCE_CHARS = 200;

/**
 * A receiver of one's own, by POST of JSON:
 *
 *     { "version": 1, "action": "notify", "incidentId": "inc-...", "title": "...", "severity": "SEV2", "text": "..." }
 *
 * with `Authorization: Bearer ...` where a token is configured, and an `Idempotency-Key` that is the same for every attempt
 * of one notification. Texts hold no control or invisible characters; they are plain text, and may look like any markup.
 *
 * Any 2xx means that it was taken; the answer may be JSON with the receiver's own `id`. 429 (with `Retry-After`), 408, 5xx
 * and no answer are tried again; other statuses are not.
 */
export function createWebhookNotifications(options: WebhookNotificationOptions): NotificationChannel {
  return {
    async send({ incidentId, key, title, severity, text }) {
      const idempotencyKey = createHash('sha256')
        .update(JSON.stringify(['notify', key]))
        .digest('hex');
      const { data } = await postJson({
        what: `the notification to notifications.${options.name}`,
        url: options.url,
        body: JSON.stringify({
          version: BODY_VERSION,
          action: 'notify',
          incidentId,
          title: plainTitle({ title, incidentId }),
          severity,
          text: plainLines(text),
        }),
        headers: {
          'Idempotency-Key': idempotencyKey,
          ...(options.bearerToken !== undefined && { Authorization: `Bearer ${options.bearerToken}` }),
        },
        timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      });
      return { reference: referenceIn(data) ?? idempotencyKey };
    },
  };
}

/** The line breaks are the runbook's: values that were put in have none. */
function plainLines(text: string): string {
  return truncate(text.split('\n').map(stripControl).join('\n').trim(), MAX_TEXT_CHARS);
}

function referenceIn(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('id' in answer)) return undefined;
  if (typeof answer.id !== 'string' && typeof answer.id !== 'number') return undefined;
  return plain(String(answer.id), MAX_REFERENCE_CHARS) || undefined;
}
