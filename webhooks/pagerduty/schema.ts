import { z } from 'zod';
import type { PagerEventKind } from '../../domain/paging.ts';
import { stripControl, truncate } from '../../domain/plain-text.ts';
import { EdgeError } from '../errors.ts';
import { parseUntrustedJson } from '../json.ts';
import { problemsOf } from '../zod-problems.ts';

/** PagerDuty's documents are about 6 levels deep. */
const MAX_DEPTH = 32;
/** The vendor's own limit of a dedup key is 255. */
const MAX_KEY_CHARS = 1_000;
const MAX_NAME_CHARS = 200;

const reference = z.object({ id: z.string(), type: z.string(), summary: z.string().nullish() });

/** https://developer.pagerduty.com/docs/webhooks-overview: one event a delivery; unknown fields may come. */
const delivery = z.object({
  event: z.object({
    id: z.string().min(1).max(MAX_KEY_CHARS),
    event_type: z.string().max(MAX_KEY_CHARS),
    occurred_at: z.iso.datetime({ offset: true, error: 'expected an ISO 8601 time' }),
    agent: reference.nullish(),
    data: z
      .object({ incident_key: z.string().max(MAX_KEY_CHARS).nullish(), html_url: z.string().nullish() })
      .nullish(),
  }),
});

const KINDS: Readonly<Record<string, PagerEventKind>> = {
  'incident.acknowledged': 'acknowledged',
  'incident.unacknowledged': 'unacknowledged',
  'incident.reassigned': 'reassigned',
  'incident.escalated': 'escalated',
  'incident.resolved': 'resolved',
};

export interface PagerDutyDelivery {
  id: string;
  /** `ping`: sent when somebody tries the subscription. Undefined: an event that means nothing here. */
  kind: PagerEventKind | 'ping' | undefined;
  atMs: number;
  /** The dedup key of our page. */
  key: string | undefined;
  /** Who did it; undefined: PagerDuty itself, or an integration (ours among them). */
  user: { id: string; name: string } | undefined;
}

/** @throws EdgeError invalid_json, invalid_request: names of fields, never their values. */
export function parsePagerDuty(body: Uint8Array): PagerDutyDelivery {
  const result = delivery.safeParse(parseUntrustedJson(body, MAX_DEPTH));
  if (!result.success) {
    throw new EdgeError('invalid_request', 'This is no webhook (v3) of PagerDuty.', {
      problems: problemsOf(result.error),
    });
  }
  const { id, event_type: type, occurred_at: at, agent, data } = result.data.event;
  const isUser = agent?.type === 'user_reference' || agent?.type === 'user';
  return {
    id,
    kind: type === 'pagey.ping' ? 'ping' : Object.hasOwn(KINDS, type) ? KINDS[type] : undefined,
    atMs: Date.parse(at),
    key: data?.incident_key ?? undefined,
    user:
      agent && isUser
        ? {
            id: agent.id,
            name: truncate(stripControl(agent.summary ?? '').trim(), MAX_NAME_CHARS) || 'somebody',
          }
        : undefined,
  };
}
