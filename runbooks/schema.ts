import { z } from 'zod';
import { GITOPS_POLICIES } from '../domain/runbook.ts';
import { WORKLOAD_KINDS } from '../domain/target.ts';
import { duration, expression, roleName, stepId } from './steps/fields.ts';

/**
 * The schema of a runbook file. It checks shapes; what depends on other parts of the file (needs, expressions, metrics,
 * the target's labels) is checked by runbooks/checks, and `with` by the step type's own schema.
 */
export const API_VERSION = 'firebreak.dev/v1alpha1';

/** More steps than this are several runbooks. */
export const MAX_STEPS = 100;
const MAX_METRICS = 50;
/** Two approvers are usual, more than this are a meeting. */
const MAX_APPROVERS = 10;

const labelName = z
  .string()
  .regex(
    /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/,
    'a Prometheus label: letters, digits, _; names that start with __ are reserved',
  );
const metricName = z
  .string()
  .regex(
    /^[a-z][a-zA-Z0-9_]*$/,
    'a metric starts with a lower case letter and has letters, digits and _ only',
  );
const promMetricName = z
  .string()
  .regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/, 'the name of a Prometheus counter, such as ai_requests_total');
const boundValue = z
  .string()
  .describe('target.cluster, target.namespace, target.name, or a literal in quotes.');

const counterMetric = z.strictObject({
  counter: promMetricName.describe(
    'Name of a Prometheus counter; the metric is its rate, summed over the target.',
  ),
  labels: z
    .record(labelName, boundValue)
    .describe('Which series are the target: label to field of the target.'),
  window: duration.default(300_000).describe('Window of the rate; default 5m.'),
});
const ratioMetric = z.strictObject({
  ratio: z.tuple([metricName, metricName]).describe('Two counter metrics: numerator, denominator.'),
  window: duration.default(300_000).describe('Window of both increases; default 5m.'),
});
const promqlMetric = z.strictObject({
  promql: z
    .string()
    .min(1)
    .max(2_000)
    .describe('PromQL with placeholders such as $d where a label value stands.'),
  bind: z
    .record(
      z.string().regex(/^[a-z][a-zA-Z0-9_]*$/, 'a placeholder is letters, digits and _, without the $'),
      boundValue,
    )
    .default({})
    .describe('What each placeholder stands for; it is put in as a quoted literal.'),
});
export const metricSchema = z.union([counterMetric, ratioMetric, promqlMetric]);
/** The variants by the field that tells which one is meant. */
export const METRIC_VARIANTS = { counter: counterMetric, ratio: ratioMetric, promql: promqlMetric } as const;

const approval = z.strictObject({
  from: z
    .array(roleName)
    .min(1, 'at least one group of the access file')
    .describe('Groups whose members may approve.'),
  count: z.int().min(1).max(MAX_APPROVERS).default(1).describe('How many distinct people have to approve.'),
  timeout: duration.default(600_000).describe('How long to wait for them; default 10m.'),
  onTimeout: z
    .enum(['escalate', 'reject'])
    .default('escalate')
    .describe('escalate pages on; reject ends the step.'),
  preapprovedWhen: expression
    .optional()
    .describe(
      'CEL: where the mode of the target is auto and this holds, nobody is asked. Never counts while it is unknown, nor for a rollback while traffic is diverted.',
    ),
  breakGlass: z
    .boolean()
    .default(false)
    .describe(
      'One person with the break-glass right may approve alone, with a reason; the commander is paged.',
    ),
});

export const stepSchema = z.strictObject({
  id: stepId.describe('Name of the step, used by needs and in expressions.'),
  uses: z.string().describe('Type of the step.'),
  needs: z.array(stepId).default([]).describe('Steps that must have succeeded before this one starts.'),
  always: z.boolean().default(false).describe('Start when the needed steps have ended, however they ended.'),
  when: expression.optional().describe('CEL: decided once, when the step could start.'),
  whenever: expression.optional().describe('CEL: watched until it holds or the incident ends.'),
  whenUnknown: z
    .enum(['run', 'skip'])
    .optional()
    .describe('What to do where the condition cannot be decided.'),
  timeout: duration.optional().describe('Time for the step, without waiting for people.'),
  retry: z
    .strictObject({
      maxAttempts: z
        .int()
        .min(1)
        .max(1_000)
        .describe('Attempts of each call of the step to a vendor or cluster.'),
    })
    .optional()
    .describe('Without it, calls are tried again until the timeout of the step.'),
  onFailure: z
    .enum(['continue', 'escalate', 'halt'])
    .default('escalate')
    .describe('escalate: a human is told.'),
  approval: approval.optional().describe('Who has to approve before the step runs.'),
  with: z.record(z.string(), z.unknown()).default({}).describe('Input of the step type.'),
});

/** Inputs are few: more is a program. */
const MAX_INPUTS = 50;

const inputName = z
  .string()
  .regex(
    /^[a-z][a-zA-Z0-9_]*$/,
    'an input starts with a lower case letter and has letters, digits and _ only',
  );

const input = z
  .strictObject({
    default: z
      .union([z.string().max(2_000), z.number(), z.boolean()])
      .describe('Value where the installation sets none; what it sets has the same type.'),
    description: z.string().max(2_000).optional().describe('What it is for.'),
  })
  .describe('A value that installations set.');

/** More than this is no tuning but switching the checks off. */
const MAX_IGNORED = 20;

const ignored = z.strictObject({
  rule: z.string().min(1).describe('Id of a warning.'),
  step: stepId.optional().describe('Only for this step.'),
  reason: z
    .string()
    .min(10, 'a reason of at least 10 characters')
    .max(500)
    .describe('Why it does not matter here.'),
});

const target = z.strictObject({
  kind: z.enum(WORKLOAD_KINDS).describe('What is acted on; Rollout is the one of Argo Rollouts.'),
  cluster: z.string().min(1).optional().describe('Default: label cluster, or the only cluster configured.'),
  namespace: z.string().min(1).describe(`Namespace: '\${{ labels.namespace }}' or a literal.`),
  name: z.string().min(1).describe(`Name: '\${{ labels.deployment }}' or a literal.`),
});

export const runbookSchema = z
  .strictObject({
    apiVersion: z.literal(API_VERSION).describe(`The version of this format: ${API_VERSION}.`),
    kind: z.literal('Runbook'),
    metadata: z.strictObject({
      name: z
        .string()
        .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'lower case letters, digits and dashes, at most 63')
        .describe('Name of the runbook; incidents are known by it.'),
      owner: z.string().min(1).max(200).describe('Who answers for it: a team or a mail address.'),
      version: z.int().min(1).describe('Raise it with every change.'),
      description: z.string().max(2_000).optional().describe('What it is for.'),
      ignore: z.array(ignored).max(MAX_IGNORED).default([]).describe('Warnings that are turned off.'),
    }),
    spec: z.strictObject({
      match: z.array(z.string()).max(50).describe('Alertmanager matchers that must all match an alert.'),
      correlateBy: z
        .array(labelName)
        .min(1, 'at least one label: alerts with equal values of these are one incident')
        .max(10)
        .describe('Labels whose values make the incident.'),
      target: target.optional().describe('What the steps act on; absent for runbooks that change nothing.'),
      inputs: z
        .record(inputName, input)
        .refine((inputs) => Object.keys(inputs).length <= MAX_INPUTS, `at most ${MAX_INPUTS} inputs`)
        // As the refinement says it, for editors; so for metrics.
        .meta({ maxProperties: MAX_INPUTS })
        .default({})
        .describe('What installations set without editing the runbook.'),
      gitops: z
        .enum(GITOPS_POLICIES)
        .default('refuse')
        .describe(
          'Workloads whose template comes from Git. refuse: they are not rolled back, the change to revert is handed over. suspend: their sync is suspended as a part of the approved rollback. pull-request: as refuse, and the change is proposed in Git.',
        ),
      metrics: z
        .record(metricName, metricSchema)
        .refine((metrics) => Object.keys(metrics).length <= MAX_METRICS, `at most ${MAX_METRICS} metrics`)
        .meta({ maxProperties: MAX_METRICS })
        .default({})
        .describe('What is measured over the target.'),
      severity: expression.default('"SEV2"').describe('CEL that gives "SEV1" to "SEV4"; default "SEV2".'),
      resolveAfter: duration
        .default(300_000)
        .describe('Without a firing alert for this long, it can resolve; default 5m.'),
      quietFor: duration
        .default(3_600_000)
        .describe(
          'An alert that still fires within this time after closing opens no new incident; default 1h.',
        ),
      watchEvery: duration
        .default(15_000)
        .describe('How often conditions and severity are measured; default 15s.'),
      steps: z.array(stepSchema).min(1, 'at least one step').max(MAX_STEPS).describe('What happens.'),
    }),
  })
  .describe('A Firebreak runbook: which alerts it answers, what it measures, and what happens.');
