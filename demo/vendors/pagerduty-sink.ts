import { randomUUID } from 'node:crypto';
import { type JsonRequest, listenForJson, type SinkBehaviour } from './webhook-sink.ts';

/**
 * PagerDuty's Events API v2 as far as its documentation tells what it accepts and what it does with alerts:
 * https://developer.pagerduty.com/docs/events-api-v2-overview
 */

const MAX_BODY_BYTES = 512 * 1024;
const ROUTING_KEY_CHARS = 32;
const MAX_DEDUP_KEY_CHARS = 255;
const MAX_SUMMARY_CHARS = 1_024;
const ACTIONS: unknown[] = ['trigger', 'acknowledge', 'resolve'];
const SEVERITIES: unknown[] = ['critical', 'error', 'warning', 'info'];

/** An event as it was sent, with the vendor's names; `dedup_key` is the vendor's where none was given. */
export interface PagerDutyEvent {
  routing_key: string;
  dedup_key: string;
  event_action: 'trigger' | 'acknowledge' | 'resolve';
  client?: string;
  client_url?: string;
  links?: { href: string; text?: string }[];
  payload?: {
    summary: string;
    source: string;
    severity: 'critical' | 'error' | 'warning' | 'info';
    custom_details?: Record<string, unknown>;
  };
}

export interface PagerDutyPage {
  routingKey: string;
  dedupKey: string;
  summary: string;
  severity: string;
  source: string;
  triggers: number;
  acknowledged: boolean;
  resolved: boolean;
}

export interface PagerDutySink {
  /** Base URL, to be used in place of https://events.pagerduty.com. */
  url: string;
  /** All accepted events in order. */
  events(): (PagerDutyEvent & { atMs: number })[];
  /** Alerts: one for each routing key and dedup key; a trigger after a resolve opens another. */
  pages(): PagerDutyPage[];
  /** Requests that came in, whatever became of them. */
  requests(): number;
  respondWith(behaviour: SinkBehaviour | undefined): void;
  close(): Promise<void>;
}

/** @param options.port 0 or absent: a free one. */
export async function startPagerDutySink(options: { port?: number } = {}): Promise<PagerDutySink> {
  const events: (PagerDutyEvent & { atMs: number })[] = [];
  const pages: PagerDutyPage[] = [];

  function handle({ path, json, tooLarge }: JsonRequest) {
    if (path !== '/v2/enqueue') return { status: 404, body: { status: 'error', message: 'Not found' } };
    const errors = tooLarge ? [`The event is larger than ${MAX_BODY_BYTES} bytes`] : errorsOf(json);
    if (errors.length > 0) return { status: 400, body: invalidEvent(errors) };
    const event = {
      dedup_key: randomUUID(),
      ...(json as Omit<PagerDutyEvent, 'dedup_key'>),
      atMs: Date.now(),
    };
    events.push(event);
    apply(pages, event);
    return {
      status: 202,
      body: { status: 'success', message: 'Event processed', dedup_key: event.dedup_key },
    };
  }

  const listener = await listenForJson({
    port: options.port,
    maxBodyBytes: MAX_BODY_BYTES,
    handle,
    // 429 and 5xx have no documented body.
    failure: (status) => (status === 400 ? invalidEvent(['The sink was told to refuse it']) : undefined),
  });
  return { ...listener, events: () => structuredClone(events), pages: () => structuredClone(pages) };
}

function invalidEvent(errors: string[]) {
  return { status: 'invalid event', message: 'Event object is invalid', errors };
}

/** Why an event is not accepted; empty when it is. */
function errorsOf(json: unknown): string[] {
  if (!isObject(json)) return ['The body is no JSON object'];
  const { routing_key, event_action, dedup_key, payload, links } = json;
  const isTrigger = event_action === 'trigger';
  const rules: [ok: boolean, error: string][] = [
    [
      typeof routing_key === 'string' && routing_key.length === ROUTING_KEY_CHARS,
      `Length of 'routing_key' is incorrect (should be ${ROUTING_KEY_CHARS} characters)`,
    ],
    [ACTIONS.includes(event_action), "'event_action' must be trigger, acknowledge or resolve"],
    [
      (isTrigger && dedup_key === undefined) || isText(dedup_key, MAX_DEDUP_KEY_CHARS),
      `'dedup_key' must have 1 to ${MAX_DEDUP_KEY_CHARS} characters`,
    ],
    [!isTrigger || isObject(payload), "'payload' is missing or is no object"],
    [
      links === undefined || (Array.isArray(links) && links.every(isLink)),
      "'links' must be objects with 'href'",
    ],
  ];
  if (isTrigger && isObject(payload)) {
    rules.push(
      [
        isText(payload.summary, MAX_SUMMARY_CHARS),
        `'payload.summary' must have 1 to ${MAX_SUMMARY_CHARS} characters`,
      ],
      [isText(payload.source, Number.POSITIVE_INFINITY), "'payload.source' is missing or blank"],
      [SEVERITIES.includes(payload.severity), "'payload.severity' must be critical, error, warning or info"],
      [
        payload.custom_details === undefined || isObject(payload.custom_details),
        "'payload.custom_details' must be an object",
      ],
    );
  }
  return rules.flatMap(([ok, error]) => (ok ? [] : [error]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown, maxChars: number): boolean {
  return typeof value === 'string' && value.trim() !== '' && value.length <= maxChars;
}

function isLink(value: unknown): boolean {
  return isObject(value) && isText(value.href, Number.POSITIVE_INFINITY);
}

function apply(pages: PagerDutyPage[], event: PagerDutyEvent): void {
  const open = pages.find(
    (page) => page.routingKey === event.routing_key && page.dedupKey === event.dedup_key && !page.resolved,
  );
  // Acknowledging or resolving what is not open is dropped.
  if (event.event_action === 'acknowledge' && open) open.acknowledged = true;
  if (event.event_action === 'resolve' && open) open.resolved = true;
  if (event.event_action !== 'trigger' || event.payload === undefined) return;
  if (open) {
    open.triggers += 1;
    return;
  }
  const { summary, severity, source } = event.payload;
  const { routing_key: routingKey, dedup_key: dedupKey } = event;
  const state = { triggers: 1, acknowledged: false, resolved: false };
  pages.push({ routingKey, dedupKey, summary, severity, source, ...state });
}
