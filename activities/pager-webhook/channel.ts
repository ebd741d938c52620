import axios, { type AxiosInstance } from 'axios';
import { truncate } from '../../domain/plain-text.ts';
import type { Severity } from '../../domain/severity.ts';
import { fromAxios } from '../failure.ts';
import {
  cleanPage,
  MAX_PAGER_ANSWER_BYTES,
  PAGER_TIMEOUT_MS,
  type PagerChannel,
  type PageUpdate,
  sha256,
} from '../paging/channel.ts';

const MAX_TITLE_LENGTH = 1_024;

/**
 * What is POSTed as JSON to the configured URL, with `Authorization: Bearer <token>` where one is configured. Any 2xx is
 * acceptance; 429 (with Retry-After), 5xx and silence are tried again, other answers are not.
 *
 * Every attempt of one page carries the same `Idempotency-Key` header: a receiver that keeps the keys pages once. A
 * receiver must take an acknowledge or resolve of a `dedupKey` that it has never seen for what it is, and answer 2xx.
 */
export type WebhookPage =
  | {
      version: 1;
      action: 'trigger';
      incidentId: string;
      role: string;
      /** The same for all pages of one incident: several are one page to people. */
      dedupKey: string;
      title: string;
      severity: Severity;
      details: Record<string, string>;
      links: { text: string; href: string }[];
    }
  | { version: 1; action: 'acknowledge' | 'resolve'; incidentId: string; role: string; dedupKey: string };

export interface WebhookPagerOptions {
  url: string;
  bearerToken?: string | undefined;
  name?: string;
  timeoutMs?: number;
}

export function createWebhookChannel(
  options: WebhookPagerOptions,
  http: AxiosInstance = axios.create(),
): PagerChannel {
  const { url, bearerToken, name = 'webhook', timeoutMs = PAGER_TIMEOUT_MS } = options;

  async function post(body: WebhookPage): Promise<{ reference: string }> {
    // Over all that is said: "not acknowledged" to the same role later is a page of its own.
    const key = sha256(JSON.stringify(body));
    await http
      .post(url, body, {
        headers: {
          'content-type': 'application/json',
          'idempotency-key': key,
          ...(bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` }),
        },
        timeout: timeoutMs,
        // `timeout` alone does not bound the connection's set-up.
        signal: AbortSignal.timeout(timeoutMs),
        maxRedirects: 0,
        maxContentLength: MAX_PAGER_ANSWER_BYTES,
      })
      .catch((error: unknown) => {
        throw fromAxios(error, `webhook pager ${body.action}`);
      });
    return { reference: key };
  }

  return {
    name,
    send: (input) => {
      const { incidentId, role, dedupKey, title, severity, details, links } = cleanPage(input);
      const shortTitle = truncate(title, MAX_TITLE_LENGTH);
      return post({
        version: 1,
        action: 'trigger',
        incidentId,
        role,
        dedupKey,
        title: shortTitle,
        severity,
        details,
        links,
      });
    },
    update: async ({ incidentId, role, dedupKey }: PageUpdate, action) => {
      await post({ version: 1, action, incidentId, role, dedupKey });
    },
  };
}
