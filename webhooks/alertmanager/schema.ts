import { z } from 'zod';
import type { Alert, AlertDelivery } from '../../domain/alert.ts';
import { EdgeError } from '../errors.ts';
import { parseUntrustedJson } from '../json.ts';
import { problemsOf } from '../zod-problems.ts';
import { wellFormed } from './bound.ts';

/** Alertmanager's own documents are 4 levels deep; the rest is room for what later versions may add. */
const MAX_DEPTH = 32;
/** Alertmanager's fingerprints are 16 hex digits; other senders of the same format use longer hashes. */
const MAX_FINGERPRINT_LENGTH = 128;

const text = z.string().transform(wellFormed);
/** Go writes an empty map as null where it was never made. */
const keyValues = z
  .record(z.string(), text)
  .nullish()
  .transform((values): Record<string, string> => values ?? {});

const alert = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: keyValues,
  annotations: keyValues,
  startsAt: z.iso.datetime({ offset: true, error: 'expected an RFC 3339 time' }),
  endsAt: z.iso
    .datetime({ offset: true, error: 'expected an RFC 3339 time' })
    .optional()
    .default('0001-01-01T00:00:00Z'),
  generatorURL: text.optional().default(''),
  fingerprint: z
    .string()
    .min(1, 'expected the fingerprint of the label set')
    .max(MAX_FINGERPRINT_LENGTH, `expected at most ${MAX_FINGERPRINT_LENGTH} characters`)
    .regex(/^[\w.:-]+$/, 'expected letters, digits, dot, colon, dash or underscore'),
});

const delivery = z.object({
  version: z.literal('4', { error: 'expected "4", the only version of the format that there is' }),
  groupKey: text.pipe(z.string().min(1, 'expected the key of the alert group')),
  truncatedAlerts: z.int().min(0).optional().default(0),
  status: z.enum(['firing', 'resolved']),
  receiver: text.optional().default(''),
  groupLabels: keyValues,
  commonLabels: keyValues,
  commonAnnotations: keyValues,
  externalURL: text.optional().default(''),
  alerts: z.array(alert),
});

/**
 * Reads the body of one delivery; unknown fields are tolerated and dropped.
 * @throws EdgeError invalid_json or invalid_request, naming the fields (ten at most), never their values.
 */
export function parseDelivery(body: Uint8Array): AlertDelivery {
  const result = delivery.safeParse(parseUntrustedJson(body, MAX_DEPTH));
  if (result.success) return result.data satisfies { alerts: Alert[] };
  throw new EdgeError('invalid_request', 'This is no Alertmanager delivery (webhook format, version 4).', {
    problems: problemsOf(result.error),
  });
}
