import { z } from 'zod';
import { logQlProblem } from '../../activities/samples/sources/log-ql.ts';
import { postgresQueryProblem } from '../../activities/samples/sources/postgres-query.ts';
import { parseDurationMs } from '../../domain/duration.ts';
import { MODES, WORKLOAD_KINDS } from '../../domain/target.ts';
import { pagingSchema } from './paging.ts';
import { ticketsSchema } from './tickets.ts';

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
            'Where Applications of Argo CD, Kustomizations and HelmReleases may be read, and suspended by runbooks with gitops: suspend.',
          ),
      })
      .prefault({}),
    traffic: z.strictObject({ webhooks: z.array(trafficWebhook).default([]) }).prefault({}),
  })
  .describe('A Kubernetes cluster with models, and the Prometheus that watches them.');

const fieldPath = z.string().regex(/^[\w@-]+(\.[\w@-]+)*$/, 'a path such as response.text');

const DEFAULT_SAMPLE_RETENTION_MS = 30 * 24 * 3_600_000;

const sampleCommon = {
  link: httpUrl
    .refine((url) => url.includes('{id}') || url.includes('{requestId}'), 'name {id} or {requestId} in it')
    .optional()
    .describe('Address of an output in its store, with {id} or {requestId}, which are filled in encoded.'),
  text: z
    .enum(['never', 'keep'])
    .default('never')
    .describe('keep: redacted, encrypted, revealed to named people only; never: hashed, measured, dropped.'),
  retention: duration
    .optional()
    .describe(
      'When the key of kept texts is destroyed, from the first text of the incident on; 30d where it is not given.',
    ),
  presidio: z
    .strictObject({
      url: httpUrl.describe('Base URL of a Microsoft Presidio analyzer.'),
      language: z
        .string()
        .regex(/^[a-z]{2}$/)
        .default('en'),
      bearerToken: secretRef.optional(),
    })
    .optional()
    .describe('Asked beside the detectors of this process, for texts that are kept.'),
};

const sampleSource = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('http-json'),
      url: httpUrl.describe(
        'Answers GET with the recent outputs of a target; see docs/samples.md for the shape.',
      ),
      bearerToken: secretRef.optional(),
      ...sampleCommon,
    }),
    z.strictObject({
      type: z.literal('loki'),
      url: httpUrl.describe('Base URL, without /loki/api/v1.'),
      bearerToken: secretRef.optional(),
      basic: z.strictObject({ username: z.string(), password: secretRef }).optional(),
      tenant: z.string().optional().describe('Sent as X-Scope-OrgID.'),
      query: z
        .string()
        .superRefine(problemOf(logQlProblem))
        .describe(
          'LogQL of harmful outputs; $namespace, $name, $cluster and $kind are bound as string literals, unquoted: {namespace=$namespace}.',
        ),
      fields: z
        .strictObject({
          id: fieldPath.optional(),
          requestId: fieldPath.optional(),
          at: fieldPath.optional(),
          categories: fieldPath.optional(),
          text: fieldPath.optional(),
          sha256: fieldPath.optional(),
          length: fieldPath.optional(),
        })
        .prefault({})
        .describe('Where a line (a JSON object, else its labels) has them; see docs/samples.md.'),
      ...sampleCommon,
    }),
    z.strictObject({
      type: z.literal('postgres'),
      connection: secretRef.describe('postgresql:// URL of a role that may only read.'),
      query: z
        .string()
        .superRefine(problemOf(postgresQueryProblem))
        .describe('One SELECT with $1 namespace, $2 name, $3 from, $4 to, $5 limit, $6 cluster.'),
      ...sampleCommon,
    }),
  ])
  .superRefine((source, context) => {
    // A retention that is written down and does nothing would be believed.
    if (source.text === 'keep') return;
    for (const name of ['retention', 'presidio'] as const) {
      if (source[name] === undefined) continue;
      const message = 'is for texts that are kept: add text: keep, or leave it out';
      context.addIssue({ code: 'custom', path: [name], message });
    }
  })
  .transform(({ retention = DEFAULT_SAMPLE_RETENTION_MS, ...source }) => ({ ...source, retention }))
  .describe('Where recent harmful outputs are looked up.');

/** A check that says what is wrong, as zod takes it. */
function problemOf(check: (text: string) => string | undefined) {
  return (text: string, context: z.RefinementCtx<string>): void => {
    const problem = check(text);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  };
}

const slackChannelId = z
  .string()
  .regex(/^[CG][A-Z0-9]+$/, 'the id of the channel (C...), not its name: see "Copy link" in Slack');

const incidentChannels = z
  .strictObject({
    prefix: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_-]{0,20}$/, 'lower case letters, digits, - and _, at most 21')
      .default('inc-')
      .describe('What their names begin with.'),
    severities: z
      .array(z.enum(['SEV1', 'SEV2', 'SEV3', 'SEV4']))
      .min(1)
      .default(['SEV1', 'SEV2']),
    invite: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'Ids of people and names of groups of access, ids of Slack users (U...) and of Slack user groups (S...).',
      ),
    private: z.boolean().default(false),
    archiveWhenClosed: z.boolean().default(false).describe('Else a channel stays until people archive it.'),
  })
  .describe(
    'A channel of its own for each severe incident; absent: none. See docs/slack-messages.md for the scopes.',
  );

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
  email: z
    .email({ pattern: z.regexes.unicodeEmail })
    .optional()
    .describe('Joins Slack, OIDC and the pager, where they have verified this address.'),
  groups: z.array(z.string()).default([]),
  tokens: z
    .array(secretRef)
    .default([])
    .describe('API tokens of this person; several at once allow rotation.'),
  slackUserId: z
    .string()
    .regex(/^[UW][A-Z0-9]+$/)
    .optional()
    .describe('Joins this Slack user, and no other, without asking Slack for an e-mail.'),
  github: z
    .string()
    .regex(/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?(?:_[A-Za-z0-9]+)?$/, 'a login of GitHub')
    .optional()
    .describe('Login: action items of this person are assigned to it.'),
  jiraAccountId: z
    .string()
    .regex(/^[A-Za-z0-9:_-]{1,128}$/, 'an account id of Jira, as in the address of the profile')
    .optional()
    .describe('Action items of this person are assigned to this account of Jira.'),
  active: z.boolean().default(true),
});

const pagerDutyId = z.string().regex(/^[A-Z0-9]{6,20}$/, 'expected an id of PagerDuty, such as PI7DH85');

/** Decisions that can be narrowed to who is on call. */
export const NARROWED_DECISIONS = ['approve', 'reject', 'break-glass'] as const;

const onCallGroup = z
  .strictObject({
    pagerduty: z
      .strictObject({
        schedules: z
          .array(pagerDutyId)
          .default([])
          .describe('Ids of schedules. PagerDuty knows those as on call that an escalation policy uses.'),
        escalationPolicies: z
          .array(pagerDutyId)
          .default([])
          .describe('Ids of escalation policies: whoever is on call at any level of them.'),
      })
      .refine(
        ({ schedules, escalationPolicies }) => schedules.length + escalationPolicies.length > 0,
        'name a schedule or an escalation policy',
      ),
    decisions: z
      .array(z.enum(NARROWED_DECISIONS))
      .min(1)
      .default(['approve'])
      .describe('What only those on call decide. By default, the whole group may say no, and break glass.'),
  })
  .describe('Only members who are on call now decide for this group; the group, where that is not known.');

/** What an access file holds: the people, what they may do, and who of them is asked. */
export const accessFileSchema = z.strictObject({
  people: z.array(person).default([]),
  rules: z
    .strictObject({
      viewer: z
        .array(z.string())
        .default(['*'])
        .describe('Groups that may read incidents; * is every person.'),
      responder: z.array(z.string()).default([]).describe('Groups that may acknowledge, note, retry, skip.'),
      commander: z.array(z.string()).default([]).describe('Groups that may abort, resolve, override.'),
      breakGlass: z
        .array(z.string().refine((group) => group !== '*', 'name the groups: * would be everybody'))
        .default([])
        .describe(
          'Groups that may approve alone, with a reason, where the runbook allows break-glass; nobody unless named.',
        ),
    })
    .prefault({}),
  onCall: z.record(z.string(), onCallGroup).default({}),
  decisionTtl: duration.default(900_000).describe('How long a signed decision may be acted on.'),
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
  paging: pagingSchema({ secretRef, duration, httpUrl }).prefault({}),
  chat: z
    .strictObject({
      slack: z
        .strictObject({
          botToken: secretRef,
          signingSecrets: z
            .array(secretRef)
            .default([])
            .describe('Of the app, for signed HTTP requests; several at once allow rotation.'),
          appToken: secretRef
            .optional()
            .describe(
              'App-level token (xapp-): Socket Mode, in which Slack needs no address of this server.',
            ),
          channel: slackChannelId.describe('Id of the channel in which incidents are shown.'),
          apiUrl: httpUrl.optional().describe('Base URL of the Web API, ending in /api/.'),
          teamId: z
            .string()
            .optional()
            .describe(
              'Id of the workspace (T...); absent: the one of the token. Requests of others are refused.',
            ),
          incidentChannels: incidentChannels.optional(),
        })
        .refine(
          ({ appToken, signingSecrets }) => appToken !== undefined || signingSecrets.length > 0,
          "the app's signing secret is needed, or appToken for Socket Mode",
        )
        .optional(),
    })
    .prefault({}),
  tickets: ticketsSchema({ secretRef, httpUrl }).prefault({}),
  gitops: z
    .strictObject({
      pullRequests: z
        .strictObject({
          github: z
            .strictObject({
              token: secretRef.describe(
                'Fine-grained token with "Contents" and "Pull requests": read and write.',
              ),
              apiUrl: httpUrl.default('https://api.github.com'),
              repositories: z
                .array(z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'owner/name'))
                .min(1)
                .max(100)
                .describe('The only ones in which pull requests are made.'),
            })
            .optional(),
        })
        .prefault({})
        .describe('Where runbooks with gitops: pull-request propose to take a change back.'),
    })
    .prefault({}),
  samples: z.record(z.string(), sampleSource).default({}),
  notifications: z.record(referenceName, notificationChannel).default({}),
  stakeholders: z
    .strictObject({
      channels: z
        .array(referenceName)
        .default([])
        .describe('Names of notifications: where updates for stakeholders are told.'),
    })
    .prefault({}),
  http: z.record(referenceName, httpEndpoint).default({}),
  access: z
    .strictObject({
      file: z
        .string()
        .min(1)
        .optional()
        .describe(
          'File with people, rules, onCall and decisionTtl instead of here; followed while it runs, and read on SIGHUP.',
        ),
      ...accessFileSchema.shape,
      oidc: z
        .strictObject({
          issuer: httpUrl.describe('Issuer of the ID tokens, exactly as its discovery document says.'),
          clientId: z.string().min(1).describe('A public client: authorization code with PKCE, device flow.'),
          audience: z
            .string()
            .min(1)
            .optional()
            .describe('Another audience beside the client whose tokens of this issuer are taken.'),
          scopes: z
            .array(z.string().regex(/^[!#-[\]-~]+$/, 'a scope has no spaces and no quotes'))
            .default(['openid', 'email', 'offline_access'])
            .describe('What firebreak login asks for.'),
        })
        .optional()
        .describe('People sign in here for the API and the command line; absent: API tokens only.'),
      pagerduty: z
        .strictObject({
          apiToken: secretRef.describe('REST API key; a read-only one is enough.'),
          url: httpUrl
            .default('https://api.pagerduty.com')
            .describe('Base URL of the REST API; accounts in the EU: https://api.eu.pagerduty.com'),
        })
        .optional()
        .describe('Where onCall is asked.'),
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
