import { z } from 'zod';
import { MILESTONES } from '../../domain/incident.ts';
import { API_VERSION } from '../../runbooks/schema.ts';
import { roleName } from '../../runbooks/steps/fields.ts';
import { laterMoment, moment, overTime, part, step, trigger } from './fields.ts';

/** The start where a scenario names none: any moment does, as long as it is always the same. */
const DEFAULT_START = '2026-01-01T00:00:00Z';
/** Virtual time after which a scenario ends at the latest. */
const DEFAULT_UNTIL = '7d';

const label = z.string().max(10_000);
const text = z.string().min(1).max(4_000);

const alert = z.strictObject({
  ...trigger,
  labels: z.record(z.string(), label).describe('Labels, as Alertmanager sends them.'),
  annotations: z.record(z.string(), label).default({}).describe('Annotations, such as summary.'),
  resolved: z
    .strictObject(trigger)
    .optional()
    .describe('When it stops firing: at a time, or after something; absent: never.'),
});

const declared = z
  .strictObject({
    person: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,99}$/, 'an id as in the access file, such as maria')
      .describe('Who declares it; does not approve alone.'),
    reason: text.describe('Why.'),
    to: z
      .union([z.enum(['last-known-good', 'previous']), z.strictObject({ revision: z.int().min(1) })], {
        error: 'write last-known-good, previous or { revision: 12 }',
      })
      .optional()
      .describe('Where to roll back; default: as the runbook says.'),
    labels: z.record(z.string(), label).describe('What an alert would name the target by.'),
  })
  .describe('A person opens the incident, instead of an alert.');

const target = z.strictObject({
  exists: z.boolean().default(true).describe('Whether the workload is in the cluster.'),
  mode: z.enum(['observe', 'approve', 'auto']).default('approve').describe('What may be changed.'),
  owner: z.string().max(200).optional().describe('Annotation ai.rmf/owner.'),
  riskTier: z.string().max(200).optional().describe('Annotation ai.rmf/risk-tier.'),
  replicas: z.int().min(0).max(1_000).default(3),
  paused: z.boolean().default(false).describe('Whether its rollouts are paused.'),
  gitops: z
    .string()
    .max(200)
    .optional()
    .describe('Who writes its template from Git, such as "Argo CD Application llm-api".'),
});

const rate = overTime(part, 'a part such as 0.05');

const revision = z.strictObject({
  revision: z.int().min(1).describe('Number in the rollout history.'),
  image: z.string().min(1).max(300),
  harmRate: rate.default([{ atMs: 0, value: 0 }]).describe('Part of its outputs that are harmful.'),
  since: moment
    .optional()
    .describe('For the one that runs: when it was shipped, such as -10m; default long ago.'),
  known: z.enum(['good', 'bad']).optional().describe('What an earlier incident found of it.'),
  served: z
    .boolean()
    .default(true)
    .describe('Whether Prometheus shows that it served for long; false: it was never proved.'),
  barrier: z.boolean().default(false).describe('Nothing older may come back (rollback barrier).'),
});

const shipped = z.strictObject({
  at: laterMoment,
  image: z.string().min(1).max(300),
  harmRate: rate.default([{ atMs: 0, value: 0 }]),
});

const rollout = z.strictObject({
  outcome: z
    .enum(['complete', 'deadline', 'unschedulable', 'superseded', 'paused'])
    .default('complete')
    .describe('How the rollout of a rollback ends.'),
  takes: laterMoment.default(90_000).describe('How long; default 90s.'),
});

const diversion = z.strictObject({
  effect: z
    .enum(['measured', 'not-seen', 'unknown'])
    .default('measured')
    .describe('Whether the traffic follows the breaker.'),
  // 2.5 scrapes of 15 s must show it: activities/prometheus/await-diverted.ts.
  takes: laterMoment.default(40_000).describe('How long until that is seen; default 40s.'),
});

/** One for all times, or one for each time in turn; the last one stays. */
function inTurn<S extends z.ZodType>(one: S) {
  return z
    .union([one, z.array(one).min(1).max(50)], { error: 'write one, or a list: one for each time in turn' })
    .transform((given): z.output<S>[] => (Array.isArray(given) ? given : [given as z.output<S>]));
}

const answer = z.strictObject({
  status: z.int().min(100).max(599).default(200).describe('HTTP status.'),
  json: z.unknown().optional().describe('Body of the answer.'),
});

const metricValue = z.union([z.number(), z.literal('unknown')]);

const world = z.strictObject({
  target: target.prefault({}).describe('The workload.'),
  revisions: z
    .array(revision)
    .min(1)
    .max(50)
    .default([
      {
        revision: 1,
        image: 'model:v1',
        harmRate: [{ atMs: 0, value: 0 }],
        served: true,
        barrier: false,
      },
    ])
    .describe('Rollout history, newest first; the first one runs.'),
  traffic: z
    .strictObject({
      requestsPerSecond: overTime(z.number().min(0).max(1_000_000), 'a number')
        .default([{ atMs: 0, value: 40 }])
        .describe('What arrives at the target while nothing is diverted.'),
      classified: overTime(part, 'a part such as 1')
        .default([{ atMs: 0, value: 1 }])
        .describe('Part of the outputs that the harm classifier looks at.'),
      until: laterMoment.optional().describe('No requests from then on.'),
    })
    .prefault({}),
  fallback: z
    .strictObject({
      problems: z
        .array(text)
        .max(20)
        .default([])
        .describe('Why nothing can be diverted to it; empty: it can.'),
      harmRate: rate.default([{ atMs: 0, value: 0 }]),
    })
    .prefault({}),
  diversion: inTurn(diversion).prefault({}).describe('What diverting does to the traffic.'),
  rollout: inTurn(rollout).prefault({}),
  metrics: z
    .record(z.string(), overTime(metricValue, 'a number or unknown'))
    .default({})
    .describe('Values of metrics that do not follow from the traffic, or that shall be other ones.'),
  changes: z
    .array(z.strictObject({ at: moment, what: text }))
    .max(100)
    .default([])
    .describe('What else changed around the target.'),
  shipped: z.array(shipped).max(20).default([]).describe('What others ship to the target meanwhile.'),
  tampered: z
    .array(z.strictObject({ at: laterMoment }))
    .max(20)
    .default([])
    .describe('When something else changes the breaker back.'),
  samples: z
    .strictObject({ count: z.int().min(0).max(1_000) })
    .optional()
    .describe('How many harmful outputs the source has; default: as many as there were.'),
  endpoints: z
    .record(z.string(), inTurn(answer))
    .default({})
    .describe('Answers of HTTP endpoints; default 200 without a body.'),
});

/** What a person can do, and what it needs beside a reason. */
export const DEEDS = [
  'acknowledge',
  'approve',
  'reject',
  'retry',
  'skip',
  'abort',
  'override',
  'note',
  'escalate',
  'update',
  'false-positive',
  'resolve',
  'severity',
  'commander',
] as const;

const person = z.strictObject({
  ...trigger,
  person: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,99}$/, 'an id as in the access file, such as maria')
    .describe('Who.'),
  does: z.enum(DEEDS).describe('What.'),
  step: step.optional().describe('approve, reject: default the one that waits; retry, skip: needed.'),
  reason: text.optional().describe('Why.'),
  groups: z.array(roleName).optional().describe('Groups of the person; default: those that are asked.'),
  breakGlass: z.boolean().default(false).describe('approve: alone, with a reason.'),
  toRevision: z.int().min(1).optional().describe('retry of a rollback: the revision that was chosen.'),
  force: z.enum(['open', 'closed', 'none']).optional().describe('override: the breaker.'),
  for: laterMoment
    .default(3_600_000)
    .describe('override: how long; update: when the next is due; default 1h.'),
  severity: z.enum(['SEV1', 'SEV2', 'SEV3', 'SEV4']).optional().describe('severity: which.'),
  commander: z.string().max(100).optional().describe('commander: who; default the person.'),
});

export const VENDORS = [
  'pager',
  'tickets',
  'samples',
  'chat',
  'records',
  'notifications',
  'endpoints',
  'cluster',
  'prometheus',
] as const;

const vendor = z.strictObject({
  vendor: z.enum(VENDORS),
  for: z
    .array(z.string().max(100))
    .optional()
    .describe('Only these: roles of the pager, channels of notifications, names of endpoints or sources.'),
  from: laterMoment.default(0),
  until: laterMoment.optional().describe('Default: to the end.'),
  fails: z
    .enum(['unavailable', 'refused', 'slow'])
    .default('unavailable')
    .describe('unavailable: no answer; refused: credentials are not accepted; slow: takes its time.'),
  takes: laterMoment
    .optional()
    .describe(
      'How long a call takes then; default 1s, slow 30s; prometheus slow 10s, after which production gives a query up.',
    ),
});

const statuses = z.enum([
  'pending',
  'watching',
  'waiting',
  'awaiting-approval',
  'running',
  'succeeded',
  'would-have',
  'failed',
  'rejected',
  'skipped',
]);

const milestone = z.union(
  [
    z.literal('never'),
    z.strictObject({
      within: laterMoment.optional().describe('At most this long after the start.'),
      notBefore: laterMoment.optional().describe('At least this long after the start.'),
    }),
  ],
  { error: 'write never, {} for reached at all, or { within: 2m }' },
);

const expectation = z
  .strictObject({
    state: z
      .enum([
        'triggered',
        'contained',
        'remediating',
        'verifying',
        'mitigated',
        'resolved',
        'closed',
        'needs-human',
      ])
      .optional()
      .describe('State at the end.'),
    outcome: z
      .enum([
        'recovered',
        'not-recovered',
        'insufficient-evidence',
        'rejected',
        'false-positive',
        'handed-over',
        'none',
      ])
      .optional()
      .describe('Outcome; none: there is none.'),
    severity: z.enum(['SEV1', 'SEV2', 'SEV3', 'SEV4']).optional(),
    steps: z
      .record(z.string(), statuses)
      .optional()
      .describe('Steps at the end; those not named may be anything.'),
    milestones: z.partialRecord(z.enum(MILESTONES), milestone).optional(),
    breaker: z
      .array(z.enum(['open', 'half-open', 'closed']))
      .optional()
      .describe('Every state that was written, in order.'),
    changes: z
      .array(z.string().max(120))
      .optional()
      .describe(
        'Every change of production, in order: divert, half-open, restore, rollback, override, http <endpoint>; [] for none.',
      ),
    wouldHave: z
      .array(step)
      .optional()
      .describe('Observe mode: exactly these steps would have changed production, in any order.'),
    paged: z.array(roleName).optional().describe('Exactly these roles were paged.'),
    notPaged: z.array(roleName).optional().describe('These roles were not paged.'),
    asked: z
      .record(z.string(), z.array(roleName))
      .optional()
      .describe('Exactly these steps asked for approval, each from these groups.'),
    notified: z.array(z.string().max(100)).optional().describe('Exactly these channels were told.'),
    tasks: z
      .array(
        z.strictObject({
          lane: z.enum(['control', 'assurance', 'safety-debt', 'exception']).optional(),
          title: text.describe('Text that the title holds.'),
          owner: text.optional(),
        }),
      )
      .optional()
      .describe('Action items that are there at the end, among others; [] for none at all.'),
    humanNeeded: z
      .array(text)
      .optional()
      .describe('Texts: each is in one reason why a human is needed at the end, and there are no others.'),
    refused: z
      .array(text)
      .optional()
      .describe('Texts: each is in the refusal of something that a person did, and there are no others.'),
    timeline: z.array(text).optional().describe('Texts of the timeline, in this order, among others.'),
    rounds: z.int().min(1).optional().describe('1, and one more for each alert that fired after mitigation.'),
    incidents: z.int().min(1).optional().describe('1, and one more for each that was opened after closing.'),
  })
  .refine((expected) => Object.entries(expected).some(([name, value]) => asserts(name, value)), {
    error: 'a scenario expects something: name at least one field that says so, such as state: closed',
  });

/** Fields that say nothing where they are empty; an empty list of the others says that there are none. */
const SAYS_NOTHING_EMPTY: ReadonlySet<string> = new Set(['steps', 'milestones', 'timeline', 'notPaged']);

function asserts(name: string, value: unknown): boolean {
  if (value === undefined) return false;
  if (!SAYS_NOTHING_EMPTY.has(name) || typeof value !== 'object') return true;
  return Object.keys(value ?? {}).length > 0;
}

/**
 * The schema of a scenario file. What depends on the runbook (steps, metrics, inputs, labels) is checked by check.ts.
 * Times are milliseconds from the start in its output.
 */
export const scenarioSchema = z
  .strictObject({
    apiVersion: z.literal(API_VERSION).describe(`The version of this format: ${API_VERSION}.`),
    kind: z.literal('Scenario'),
    metadata: z.strictObject({
      name: z
        .string()
        .regex(/^[a-z0-9]([-a-z0-9]{0,98}[a-z0-9])?$/, 'lower case letters, digits and dashes, at most 100')
        .describe('Name of the scenario; reports show it.'),
      description: z.string().max(2_000).optional().describe('What it shows.'),
    }),
    spec: z.strictObject({
      runbook: z.string().min(1).max(1_000).optional().describe('Path of the runbook, from this file.'),
      startsAt: z.iso
        .datetime({ offset: true, error: 'a time such as 2026-03-02T03:04:00Z' })
        .default(DEFAULT_START)
        .describe('When it starts.'),
      inputs: z
        .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
        .default({})
        .describe('Inputs, as an installation would set them.'),
      alerts: z
        .array(alert)
        .max(200)
        .default([])
        .describe('What Alertmanager sends; none where a person declares the incident.'),
      declared: declared.optional(),
      world: world.prefault({}).describe('What Prometheus, Kubernetes and vendors would answer.'),
      people: z.array(person).max(200).default([]).describe('Who does what, when.'),
      vendors: z.array(vendor).max(50).default([]).describe('What fails when; by default everything works.'),
      until: laterMoment
        .prefault(DEFAULT_UNTIL)
        .describe('Virtual time at which it ends at the latest; default 7d.'),
      expect: expectation.describe('What has to come of it.'),
    }),
  })
  .describe('An incident that did not happen, and what a runbook has to make of it.');

export type Scenario = z.output<typeof scenarioSchema>;
export type ScenarioSpec = Scenario['spec'];
export type ScenarioWorld = ScenarioSpec['world'];
export type PersonEvent = ScenarioSpec['people'][number];
export type VendorTrouble = ScenarioSpec['vendors'][number];
export type Vendor = VendorTrouble['vendor'];
export type Expectations = ScenarioSpec['expect'];
export type Trigger = Pick<PersonEvent, 'at' | 'after' | 'occurrence' | 'wait'>;
