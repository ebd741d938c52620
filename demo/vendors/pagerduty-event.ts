import { z } from 'zod';

/**
 * The documented shape and limits of Events API v2 (https://developer.pagerduty.com/docs/send-alert-event), so that what
 * PagerDuty would refuse is refused here as well.
 */
export const MAX_EVENT_BYTES = 512 * 1024;
const ROUTING_KEY_LENGTH = 32;
const MAX_DEDUP_KEY_LENGTH = 255;
const MAX_SUMMARY_LENGTH = 1_024;

const httpUrl = z.url({ protocol: /^https?$/ });

const payload = z.strictObject({
  summary: z.string().min(1).max(MAX_SUMMARY_LENGTH),
  source: z.string().min(1),
  severity: z.enum(['critical', 'error', 'warning', 'info']),
  timestamp: z.iso.datetime({ offset: true }).optional(),
  component: z.string().optional(),
  group: z.string().optional(),
  class: z.string().optional(),
  custom_details: z.record(z.string(), z.unknown()).optional(),
});

const common = {
  routing_key: z
    .string()
    .length(
      ROUTING_KEY_LENGTH,
      `Length of 'routing_key' is incorrect (should be ${ROUTING_KEY_LENGTH} characters)`,
    ),
  dedup_key: z.string().min(1).max(MAX_DEDUP_KEY_LENGTH),
  client: z.string().optional(),
  client_url: httpUrl.optional(),
  links: z.array(z.strictObject({ href: httpUrl, text: z.string().optional() })).optional(),
  images: z.array(z.looseObject({ src: z.url({ protocol: /^https$/ }) })).optional(),
};

export const pagerDutyEvent = z.discriminatedUnion('event_action', [
  // A trigger without a key gets one from PagerDuty; the others refer to one.
  z.strictObject({
    event_action: z.literal('trigger'),
    payload,
    ...common,
    dedup_key: common.dedup_key.optional(),
  }),
  z.strictObject({
    event_action: z.literal('acknowledge'),
    payload: payload.partial().optional(),
    ...common,
  }),
  z.strictObject({ event_action: z.literal('resolve'), payload: payload.partial().optional(), ...common }),
]);

export type PagerDutyEvent = z.output<typeof pagerDutyEvent>;
