import { z } from 'zod';
import { parseDurationMs } from '../../domain/duration.ts';
import { MODES, WORKLOAD_KINDS } from '../../domain/target.ts';

/**
 * The schema of firebreak.yaml. Secrets only ever by reference; every default works on loopback with embedded parts.
 * The reference page is generated from the descriptions here.
 */

/** `env:NAME` or `file:PATH`: where a secret is, never the secret itself. */
export const secretRef = z
  .string()
  .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, 'a secret is given by reference: env:NAME or file:PATH');

/** A duration such as 90s, 5m, 1h30m; in milliseconds after parsing. */
export const duration = z.string().transform((text, context) => {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined) {
    context.addIssue({ code: 'custom', message: `"${text}" is no duration: write 90s, 5m, 1h30m or 250ms` });
    return z.NEVER;
  }
  return durationMs;
});

const httpUrl = z.url({ protocol: /^https?$/, error: 'expected an http:// or https:// URL' });
const mode = z.enum(MODES as [string, ...string[]]).transform((text) => text as (typeof MODES)[number]);

/** All attempts together have the 4.5 s that a projection of the breaker gives to what is beside the ConfigMap. */
export const MAX_TRAFFIC_WEBHOOK_TIMEOUT_MS = 4_000;

const trafficWebhook = z
  .strictObject({
    url: httpUrl.describe(
      'Takes POSTs of JSON; see docs/integrating.md for the shape. Redirects are not followed.',
    ),
    secret: secretRef.describe('The key that signs: whsec_ and the Base64 of at least 24 random bytes.'),
    timeout: duration.default(2_000).describe('Of one attempt; at most 4s.'),
  })
  .describe('Is told each change of a breaker of this cluster, signed as Standard Webhooks says.');

/** The guide's numbers: above 2% over more than 100 requests it trips; after 300 s a proved revision is tried again. */
const watchedBreaker = z
  .strictObject({
    namespace: z.string(),
    kind: z.enum(WORKLOAD_KINDS).default('Deployment'),
    name: z.string(),
    runbook: z.string().describe('Whose metrics are measured, and which answers when it trips.'),
    fallback: z.string().optional().describe('Deployment that serves then; absent: traffic is blocked.'),
    harmRate: z.number().gt(0).lt(1).default(0.02).describe('Trips when this is proved to be exceeded.'),
    errorRate: z.number().gt(0).lt(1).optional().describe('Or this.'),
    minExposure: z.int().min(1).default(100).describe('Classified outputs that are needed at least.'),
    window: duration.default(300_000).describe('Over which both are counted.'),
    recovery: duration
      .default(300_000)
      .describe('After this, where no incident holds it, a revision that was proved before is tried again.'),
  })
  .describe(
    'A breaker that trips by itself, without an alert. Changes traffic: only where the mode is not observe.',
  );

export const clusterSchema = z
  .strictObject({
    kubeconfig: z
      .string()
      .optional()
      .describe('Path of a kubeconfig; absent: the in-cluster service account.'),
    context: z.string().optional().describe('Context of the kubeconfig; absent: its current context.'),
    prometheus: z.strictObject({
      url: httpUrl.describe('Base URL of the Prometheus that scrapes the models of this cluster.'),
      bearerToken: secretRef.optional(),
      timeout: duration.default(10_000).describe('Of one query.'),
      replicaLabels: z
        .array(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'a label name: letters, digits and underscores'))
        .default([])
        .describe(
          'Labels by which replicas tell their copies of a series apart, where nothing in front makes them one: [prometheus_replica].',
        ),
    }),
    namespaces: z
      .record(z.string(), z.strictObject({ mode: mode.default('observe') }))
      .describe('Only these namespaces can ever be changed. The mode is the default for their workloads.'),
    breakers: z.array(watchedBreaker).default([]),
    gitops: z
      .strictObject({
        namespaces: z
          .array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'a name of a namespace'))
          .max(50)
          .default([])
          .describe(
            'Where Applications of Argo CD, Kustomizations and HelmReleases may be suspended by runbooks with gitops: suspend.',
          ),
      })
      .prefault({}),
    traffic: z.strictObject({ webhooks: z.array(trafficWebhook).default([]) }).prefault({}),
  })
  .describe('A Kubernetes cluster with models, and the Prometheus that watches them.');

const pagerDutyChannel = z.strictObject({
  type: z.literal('pagerduty'),
  routingKey: secretRef.describe('Integration key of an Events API v2 integration.'),
  url: httpUrl.default('https://events.pagerduty.com').describe('Base URL of the Events API.'),
});
const webhookChannel = z.strictObject({
  type: z.literal('webhook'),
  url: httpUrl,
  bearerToken: secretRef.optional(),
});

const sampleSource = z.strictObject({
  type: z.literal('http-json'),
  url: httpUrl.describe(
    'Answers GET with the recent outputs of a target; see docs/samples.md for the shape.',
  ),
  bearerToken: secretRef.optional(),
});

const slackChannelId = z
  .string()
  .regex(/^[CG][A-Z0-9]+$/, 'the id of the channel (C...), not its name: see "Copy link" in Slack');

/** As runbooks name channels and endpoints. */
const referenceName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'lower case letters, digits, dot, dash and underscore');

const notificationChannel = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('slack'),
      channel: slackChannelId.describe('Id of the channel; the app of chat.slack posts there.'),
    }),
    z.strictObject({
      type: z.literal('webhook'),
      url: httpUrl.describe('Takes POSTs of JSON; see docs/integrating.md for the shape.'),
      bearerToken: secretRef.optional(),
    }),
  ])
  .describe('Where the step notify tells people without waking them.');

/** Every runbook file is read at each look. */
export const MIN_WATCH_EVERY_MS = 1_000;

/** Workflows give an attempt 60 s. */
export const MAX_ENDPOINT_TIMEOUT_MS = 50_000;

const httpEndpoint = z
  .strictObject({
    url: httpUrl.describe('Base address; steps append a literal path to it. Redirects are not followed.'),
    bearerToken: secretRef.optional(),
    methods: z
      .array(z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']))
      .min(1)
      .default(['GET', 'POST'])
      .describe('What steps may do there.'),
    timeout: duration.default(10_000).describe('Of one call; at most 50s.'),
  })
  .describe('What the step http may call. Nothing else can be called.');

const person = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'lower case letters, digits, dot, dash, underscore'),
  name: z.string().min(1),
  email: z.email().optional(),
  groups: z.array(z.string()).default([]),
  tokens: z
    .array(secretRef)
    .default([])
    .describe('API tokens of this person; several at once allow rotation.'),
  slackUserId: z
    .string()
    .regex(/^[UW][A-Z0-9]+$/)
    .optional(),
  active: z.boolean().default(true),
});

export const configSchema = z.strictObject({
  server: z
    .strictObject({
      host: z.string().default('127.0.0.1'),
      port: z.int().min(0).max(65_535).default(8787),
      publicUrl: httpUrl.optional().describe('How people reach this server; used in links.'),
      alertmanager: z
        .strictObject({
          bearerTokens: z.array(secretRef).default([]),
          basic: z.array(z.strictObject({ username: z.string(), password: secretRef })).default([]),
          trustedProxyCertHeader: z
            .strictObject({ header: z.string(), values: z.array(z.string()).min(1) })
            .optional()
            .describe('mTLS ended at a proxy: the header that carries the verified client subject.'),
        })
        .prefault({}),
    })
    .prefault({}),
  dataDir: z.string().default('.firebreak/data').describe('Keys, embedded records, cached workflow bundle.'),
  temporal: z
    .strictObject({
      profile: z
        .string()
        .optional()
        .describe('Profile of the Temporal environment configuration (temporal.toml).'),
      address: z.string().optional(),
      namespace: z.string().optional(),
      taskQueue: z.string().default('firebreak'),
      encryption: z
        .boolean()
        .default(true)
        .describe('Encrypt payloads (AES-256-GCM) with the keys in dataDir/keys.'),
    })
    .prefault({}),
  clusters: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), clusterSchema).default({}),
  runbooks: z
    .strictObject({
      paths: z.array(z.string()).default([]).describe('Files or folders; absent: the shipped library.'),
      reload: z.boolean().default(true).describe('Take changed files while it runs; false: only on SIGHUP.'),
      watchEvery: duration
        .default(5_000)
        .describe('How often to look for changed runbook files; at least 1s.'),
      inputs: z
        .record(z.string(), z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])))
        .default({})
        .describe('Values of inputs by runbook and input; they have the type of the default in the runbook.'),
    })
    .prefault({}),
  paging: z
    .strictObject({
      roles: z
        .record(
          z.string(),
          z.strictObject({
            channels: z.array(z.discriminatedUnion('type', [pagerDutyChannel, webhookChannel])).min(1),
          }),
        )
        .default({}),
    })
    .prefault({}),
  chat: z
    .strictObject({
      slack: z
        .strictObject({
          botToken: secretRef,
          signingSecrets: z.array(secretRef).min(1),
          channel: slackChannelId.describe('Id of the channel in which incidents are shown.'),
          apiUrl: httpUrl.optional().describe('Base URL of the Web API, ending in /api/.'),
          teamId: z.string().optional(),
        })
        .optional(),
    })
    .prefault({}),
  tickets: z
    .strictObject({
      github: z
        .strictObject({
          token: secretRef,
          repository: z.string().regex(/^[^/]+\/[^/]+$/, 'owner/name'),
          apiUrl: httpUrl.default('https://api.github.com'),
        })
        .optional(),
    })
    .prefault({}),
  samples: z.record(z.string(), sampleSource).default({}),
  notifications: z.record(referenceName, notificationChannel).default({}),
  http: z.record(referenceName, httpEndpoint).default({}),
  access: z
    .strictObject({
      people: z.array(person).default([]),
      rules: z
        .strictObject({
          viewer: z
            .array(z.string())
            .default(['*'])
            .describe('Groups that may read incidents; * is every person.'),
          responder: z
            .array(z.string())
            .default([])
            .describe('Groups that may acknowledge, note, retry, skip.'),
          commander: z.array(z.string()).default([]).describe('Groups that may abort, resolve, override.'),
          breakGlass: z
            .array(z.string().refine((group) => group !== '*', 'name the groups: * would be everybody'))
            .default([])
            .describe(
              'Groups that may approve alone, with a reason, where the runbook allows break-glass; nobody unless named.',
            ),
        })
        .prefault({}),
      decisionTtl: duration.default(900_000).describe('How long a signed decision may be acted on.'),
    })
    .prefault({}),
  records: z
    .strictObject({
      postgresUrl: secretRef.optional().describe('PostgreSQL; absent: PGlite in dataDir/records.'),
    })
    .prefault({}),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }).prefault({}),
});

export type FirebreakConfig = z.output<typeof configSchema>;
