import axios, { type AxiosInstance } from 'axios';
import { truncate } from '../../domain/plain-text.ts';
import type { Severity } from '../../domain/severity.ts';
import type { PageInput } from '../contract.ts';
import { fail, fromAxios } from '../failure.ts';
import {
  cleanPage,
  fittingKey,
  MAX_PAGER_ANSWER_BYTES,
  PAGER_TIMEOUT_MS,
  type PagerChannel,
} from '../paging/channel.ts';

/**
 * PagerDuty Events API v2. Rules from https://developer.pagerduty.com/docs/events-api-v2-overview and
 * https://developer.pagerduty.com/docs/send-alert-event: 202 is acceptance; 429, 5xx and network errors may be sent
 * again, a 400 never; events of one dedup_key are one alert; acknowledge and resolve of an unknown key are dropped.
 */
const ENQUEUE_PATH = '/v2/enqueue';
const ACCEPTED = 202;
const MAX_DEDUP_KEY_LENGTH = 255;
const MAX_SUMMARY_LENGTH = 1_024;
/** The whole event; ours are far below it, since pages are bounded before. */
const MAX_EVENT_BYTES = 512 * 1024;

const SEVERITIES: Record<Severity, 'critical' | 'error' | 'warning' | 'info'> = {
  SEV1: 'critical',
  SEV2: 'error',
  SEV3: 'warning',
  SEV4: 'info',
};

export interface PagerDutyOptions {
  /** Integration key of an Events API v2 integration (32 characters). */
  routingKey: string;
  /** Base URL; https://events.eu.pagerduty.com for accounts in the EU. */
  url: string;
  name?: string;
  timeoutMs?: number;
}

interface Event {
  routing_key: string;
  event_action: 'trigger' | 'acknowledge' | 'resolve';
  dedup_key: string;
  payload?: Record<string, unknown>;
  links?: { href: string; text: string }[];
  client?: string;
  client_url?: string;
}

export function createPagerDutyChannel(
  options: PagerDutyOptions,
  http: AxiosInstance = axios.create(),
): PagerChannel {
  const { routingKey, name = 'pagerduty', timeoutMs = PAGER_TIMEOUT_MS } = options;
  const url = new URL(ENQUEUE_PATH, options.url).href;

  async function enqueue(event: Event): Promise<string> {
    const what = `PagerDuty ${event.event_action}`;
    const body = JSON.stringify(event);
    if (Buffer.byteLength(body) > MAX_EVENT_BYTES) {
      throw fail('InvalidInput', `${what}: the event is larger than ${MAX_EVENT_BYTES} bytes`);
    }
    const status = await http
      .post(url, body, {
        headers: { 'content-type': 'application/json' },
        timeout: timeoutMs,
        // `timeout` alone does not bound the connection's set-up.
        signal: AbortSignal.timeout(timeoutMs),
        // The body holds the routing key: it goes to the configured host only.
        maxRedirects: 0,
        maxContentLength: MAX_PAGER_ANSWER_BYTES,
      })
      .then((response) => response.status)
      .catch((error: unknown) => {
        throw fromAxios(error, what);
      });
    // Something between that answers 200 by itself has paged nobody.
    if (status !== ACCEPTED)
      throw fail('Unavailable', `${what} was answered ${status} instead of ${ACCEPTED}`);
    return event.dedup_key;
  }

  return {
    name,
    send: async (input) => ({ reference: await enqueue(toTrigger(cleanPage(input), routingKey)) }),
    update: async ({ dedupKey }, action) => {
      await enqueue({ routing_key: routingKey, event_action: action, dedup_key: toDedupKey(dedupKey) });
    },
  };
}

function toTrigger(page: PageInput, routingKey: string): Event {
  return {
    routing_key: routingKey,
    event_action: 'trigger',
    dedup_key: toDedupKey(page.dedupKey),
    payload: {
      summary: truncate(page.title, MAX_SUMMARY_LENGTH) || page.incidentId,
      // "The affected system": what the details call target, else the incident itself.
      source: truncate(page.details.target ?? page.incidentId, MAX_SUMMARY_LENGTH),
      severity: SEVERITIES[page.severity],
      component: page.incidentId,
      group: page.role,
      class: 'ai-incident',
      custom_details: page.details,
    },
    links: page.links,
    client: 'Firebreak',
    ...(page.links[0] ? { client_url: page.links[0].href } : {}),
  };
}

function toDedupKey(key: string): string {
  return fittingKey(key, MAX_DEDUP_KEY_LENGTH);
}
