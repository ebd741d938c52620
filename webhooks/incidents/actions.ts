import { z } from 'zod';
import { SAMPLE_VERDICTS } from '../../domain/samples/precision.ts';
import { SEVERITIES, type Severity } from '../../domain/severity.ts';
import {
  type Actor,
  abortUpdate,
  acknowledgeUpdate,
  addNoteUpdate,
  assignCommanderUpdate,
  escalateUpdate,
  informUpdate,
  markFalsePositiveUpdate,
  overrideBreakerUpdate,
  resolveUpdate,
  retryStepUpdate,
  reviewSampleUpdate,
  setSeverityUpdate,
  skipStepUpdate,
} from '../../workflows/messages.ts';
import type { AccessAction } from '../access/access.ts';
import { wellFormed } from '../alertmanager/bound.ts';

/** A note is read in a timeline, not a document; the workflow's history carries it. */
const MAX_TEXT = 4_000;
/** An override that nobody renews must not outlive a shift. */
const MAX_OVERRIDE_MS = 24 * 3_600_000;

const text = z
  .string()
  .transform(wellFormed)
  .pipe(z.string().trim().min(1, 'must not be empty').max(MAX_TEXT));
const stepId = z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/, 'expected the id of a step');
const personId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'expected the id of a person in the access file');

/** An action that is sent as one update of the incident's workflow. Approve and reject are not here: see decide.ts. */
export interface ActionSpec<Body extends z.ZodType = z.ZodType> {
  /** What the access file is asked for. */
  access: AccessAction;
  body: Body;
  /** Name of the update. */
  update: string;
  argument(actor: Actor, body: z.output<Body>): unknown;
  /** What of the body goes into the record of attempts. */
  record(body: z.output<Body>): { step?: string; reason?: string };
  /** Who of the body is given something to do: refused where the access file does not have them active. */
  given?(body: z.output<Body>): string;
}

function action<Body extends z.ZodType>(spec: ActionSpec<Body>): ActionSpec<Body> {
  return spec;
}

const reasonOnly = z.strictObject({ reason: text });
const stepAndReason = z.strictObject({ step: stepId, reason: text });

/** A reminder sooner than this is a nuisance; later than a day nobody remembers what it is about. */
const MIN_REMINDER_MS = 60_000;
const MAX_REMINDER_MS = 24 * 3_600_000;

/** By the last part of their path: POST /api/v1/incidents/ID/<action>. */
export const ACTIONS = {
  acknowledge: action({
    access: 'acknowledge',
    body: z.strictObject({}),
    update: acknowledgeUpdate.name,
    argument: (actor) => ({ actor }),
    record: () => ({}),
  }),
  note: action({
    access: 'note',
    body: z.strictObject({ text }),
    update: addNoteUpdate.name,
    argument: (actor, body) => ({ actor, text: body.text }),
    record: () => ({}),
  }),
  severity: action({
    access: 'set-severity',
    body: z.strictObject({ severity: z.enum(SEVERITIES as [Severity, ...Severity[]]), reason: text }),
    update: setSeverityUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: ({ reason }) => ({ reason }),
  }),
  commander: action({
    access: 'assign-commander',
    body: z.strictObject({ commander: personId }),
    update: assignCommanderUpdate.name,
    argument: (actor, body) => ({ actor, commander: body.commander }),
    record: () => ({}),
    given: ({ commander }) => commander,
  }),
  escalate: action({
    access: 'escalate',
    body: z.strictObject({ reason: text.optional() }),
    update: escalateUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: ({ reason }) => (reason === undefined ? {} : { reason }),
  }),
  update: action({
    access: 'update',
    body: z.strictObject({
      text,
      remindAfterMs: z
        .int()
        .min(MIN_REMINDER_MS, 'at least one minute')
        .max(MAX_REMINDER_MS, 'at most 24 hours')
        .optional(),
    }),
    update: informUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: () => ({}),
  }),
  'retry-step': action({
    access: 'retry',
    body: stepAndReason.extend({ toRevision: z.int().min(1).optional() }),
    update: retryStepUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: ({ step, reason }) => ({ step, reason }),
  }),
  'skip-step': action({
    access: 'skip',
    body: stepAndReason,
    update: skipStepUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: (body) => body,
  }),
  abort: action({
    access: 'abort',
    body: reasonOnly,
    update: abortUpdate.name,
    argument: (actor, body) => ({ actor, reason: body.reason }),
    record: (body) => body,
  }),
  'review-sample': action({
    access: 'note',
    body: z.strictObject({ sampleId: z.string().min(1).max(200), verdict: z.enum(SAMPLE_VERDICTS) }),
    update: reviewSampleUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: ({ verdict }) => ({ reason: verdict }),
  }),
  resolve: action({
    access: 'resolve',
    body: reasonOnly,
    update: resolveUpdate.name,
    argument: (actor, body) => ({ actor, reason: body.reason }),
    record: (body) => body,
  }),
  'false-positive': action({
    access: 'false-positive',
    body: reasonOnly,
    update: markFalsePositiveUpdate.name,
    argument: (actor, body) => ({ actor, reason: body.reason }),
    record: (body) => body,
  }),
  'override-breaker': action({
    access: 'override',
    body: z.strictObject({
      force: z.enum(['open', 'closed', 'hold', 'none']),
      reason: text,
      forMs: z.int().min(60_000, 'at least one minute').max(MAX_OVERRIDE_MS, 'at most 24 hours'),
    }),
    update: overrideBreakerUpdate.name,
    argument: (actor, body) => ({ actor, ...body }),
    record: ({ reason }) => ({ reason }),
  }),
} as const;

export type ActionName = keyof typeof ACTIONS;

/** POST /api/v1/incidents/ID/{approve,reject}: people decide on the plan with this hash and on no other. */
export const decisionBody = z.strictObject({
  step: stepId.optional(),
  planHash: z.string().regex(/^[0-9a-f]{64}$/, 'expected the hash of the plan: 64 hex digits'),
  reason: text.optional(),
  breakGlass: z.boolean().optional(),
});
