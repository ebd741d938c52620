/** The section `paging` of the configuration: who is behind a role, in which order, and the watchdog. */
import { z } from 'zod';
import type { EscalationPolicy } from '../../activities/paging/policies.ts';
import { DAYS, isTimeZone, parseMinute } from '../../activities/paging/working-hours.ts';

/** Parts that every section shares; passed in, as they stand in the schema that takes this section in. */
interface SharedParts {
  secretRef: z.ZodString;
  duration: z.ZodType<number, string>;
  httpUrl: z.ZodURL;
}

/** As runbooks name roles and policies. */
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'lower case letters, digits, dot, dash and underscore');

/** Levels of one policy; more would take longer than any incident. */
const MAX_LEVELS = 10;
const MAX_ROLES = 10;
const MAX_REPEATS = 20;
/** Somebody has to have the time to take up a telephone. */
const MIN_LEVEL_AFTER_MS = 30_000;
/** Alertmanager sends a group again after its repeat_interval; less than this cannot be told from jitter. */
const MIN_WATCHDOG_WITHIN_MS = 60_000;

/** More often than this, services for this purpose limit the rate. */
const MIN_FEED_EVERY_MS = 10_000;

const clock = z
  .string()
  .refine((text) => parseMinute(text) !== undefined, 'a time of the day such as 09:00 (24:00 is its end)')
  .transform((text) => parseMinute(text) ?? 0);

const NEITHER = 'expected an http:// or https:// URL, or env:NAME or file:PATH of one';

function isUrlOrReference(text: string): boolean {
  if (/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/.test(text)) return true;
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function isOne(alternatives: Record<string, unknown>): boolean {
  return Object.values(alternatives).filter((value) => value !== undefined).length === 1;
}

export function pagingSchema({ secretRef, duration, httpUrl }: SharedParts) {
  const pagerDutyChannel = z.strictObject({
    type: z.literal('pagerduty'),
    routingKey: secretRef.describe('Integration key of an Events API v2 integration.'),
    url: httpUrl.default('https://events.pagerduty.com').describe('Base URL of the Events API.'),
  });
  const webhookChannel = z
    .strictObject({
      type: z.literal('webhook'),
      template: z
        .enum(['generic', 'jsm-operations', 'grafana-irm'])
        .default('generic')
        .describe('What is posted: see docs/paging.md.'),
      url: z
        .string()
        .refine(isUrlOrReference, NEITHER)
        .describe(
          'By reference (env:NAME or file:PATH) where the address itself is a secret, as that of Grafana IRM is.',
        ),
      bearerToken: secretRef
        .optional()
        .describe('Sent as bearer token; of jsm-operations: the API key of the integration.'),
    })
    .refine(({ template, bearerToken }) => template !== 'jsm-operations' || bearerToken !== undefined, {
      path: ['bearerToken'],
      error: 'jsm-operations needs the API key of the integration',
    });
  const roles = z.array(name).max(MAX_ROLES);
  const level = z.strictObject({
    roles: roles.min(1, 'at least one role'),
    after: duration
      .default(300_000)
      .describe('Without an acknowledgement for this long, the next level is paged.'),
  });
  const workingHours = z
    .strictObject({
      timeZone: z
        .string()
        .refine(isTimeZone, 'no time zone: write its IANA name, such as Europe/Berlin')
        .describe('IANA name.'),
      days: z.array(z.enum(DAYS)).min(1).default(['mon', 'tue', 'wed', 'thu', 'fri']),
      from: clock.describe('By the wall clock there: HH:MM.'),
      to: clock.describe('HH:MM; at or before `from`: on the next day.'),
      outside: z
        .strictObject({
          policy: name.optional().describe('Another policy.'),
          level: z
            .int()
            .min(1)
            .max(MAX_LEVELS)
            .optional()
            .describe('This one, from a level on; 1 is the first.'),
        })
        .refine(isOne, 'one of the two: a policy, or a level')
        .describe('Who is called then.'),
    })
    .describe('Decided when somebody is paged, and again when the levels are repeated.');
  const policy = z
    .strictObject({
      levels: z.array(level).min(1, 'at least one level').max(MAX_LEVELS),
      repeats: z.int().min(0).max(MAX_REPEATS).default(2).describe('How often all levels are called again.'),
      workingHours: workingHours.optional(),
      fallOver: z
        .strictObject({
          role: name.optional().describe('A role of paging.roles.'),
          channel: name.optional().describe('A name of notifications.'),
        })
        .refine(isOne, 'one of the two: a role, or a channel')
        .optional()
        .describe('Where to turn when no channel of any level takes the page.'),
    })
    .describe('Who is paged, and who is when nobody acknowledges.');
  const watchdog = z
    .strictObject({
      alertname: z
        .string()
        .min(1)
        .default('Watchdog')
        .describe('The alert that always fires; it never opens an incident.'),
      within: duration
        .default(600_000)
        .describe('It has to arrive at least this often; see repeat_interval in docs/paging.md.'),
      roles: roles.default([]).describe('Paged when it does not arrive.'),
      policy: name.optional().describe('Or these, one level after another.'),
      deadMansSwitch: z
        .strictObject({
          url: z
            .string()
            .refine(isUrlOrReference, NEITHER)
            .describe(
              'Takes a POST while all is well, such as https://hc-ping.com/UUID; by reference, as whoever has it can feed it.',
            ),
          every: duration
            .default(60_000)
            .describe('The outside service has to wait for longer than this before it alarms.'),
        })
        .optional()
        .describe('Notices outside when Firebreak itself is dead, or alerts no longer arrive.'),
    })
    .refine(({ roles: named, policy: policyName }) => named.length > 0 || policyName !== undefined, {
      path: ['roles'],
      error: 'somebody has to be paged: name roles or a policy',
    });
  return z.strictObject({
    roles: z
      .record(
        z.string(),
        z.strictObject({
          channels: z.array(z.discriminatedUnion('type', [pagerDutyChannel, webhookChannel])).min(1),
        }),
      )
      .default({}),
    policies: z.record(name, policy).default({}),
    pagerduty: z
      .strictObject({
        webhookSecrets: z
          .array(secretRef)
          .min(1)
          .describe('Signing secrets of webhook subscriptions (v3); several at once allow rotation.'),
      })
      .optional()
      .describe('What happens in PagerDuty is told to POST /webhooks/pagerduty.'),
    watchdog: watchdog.optional(),
  });
}

type Alternative<Name extends string, Value> = { [name in Name]?: Value | undefined };

interface PagingNames {
  paging: {
    roles: Readonly<Record<string, unknown>>;
    policies: Readonly<
      Record<
        string,
        {
          levels: readonly { roles: readonly string[]; after: number }[];
          workingHours?:
            | { outside: Alternative<'policy', string> & Alternative<'level', number> }
            | undefined;
          fallOver?: (Alternative<'role', string> & Alternative<'channel', string>) | undefined;
        }
      >
    >;
    watchdog?:
      | {
          roles: readonly string[];
          policy?: string | undefined;
          within: number;
          deadMansSwitch?: { every: number } | undefined;
        }
      | undefined;
  };
  notifications: Readonly<Record<string, unknown>>;
}

/** Names within the section that there are not, and policies that hand over in a circle; with their paths. */
export function pagingProblems(config: PagingNames): { path: PropertyKey[]; message: string }[] {
  const found: { path: PropertyKey[]; message: string }[] = [];
  const { roles, policies, watchdog } = config.paging;
  const wantRoles = (names: readonly string[], path: PropertyKey[]) => {
    for (const [index, role] of names.entries()) {
      if (Object.hasOwn(roles, role)) continue;
      found.push({ path: [...path, index], message: `there is no role ${role} under paging.roles` });
    }
  };
  const wantAtLeast = (durationMs: number, leastMs: number, path: PropertyKey[]) => {
    if (durationMs < leastMs) found.push({ path, message: `at least ${leastMs / 1_000}s` });
  };
  const wantPolicy = (policy: string, path: PropertyKey[]) => {
    if (Object.hasOwn(policies, policy)) return;
    found.push({ path, message: `there is no policy ${policy} under paging.policies` });
  };
  for (const [policyName, { levels, workingHours, fallOver }] of Object.entries(policies)) {
    const path = ['paging', 'policies', policyName];
    for (const [index, level] of levels.entries()) {
      wantRoles(level.roles, [...path, 'levels', index, 'roles']);
      wantAtLeast(level.after, MIN_LEVEL_AFTER_MS, [...path, 'levels', index, 'after']);
    }
    const outsidePath = [...path, 'workingHours', 'outside'];
    const outside = workingHours?.outside;
    if (outside?.level !== undefined && outside.level > levels.length) {
      found.push({ path: [...outsidePath, 'level'], message: `this policy has ${levels.length} levels` });
    }
    if (outside?.policy !== undefined) {
      wantPolicy(outside.policy, [...outsidePath, 'policy']);
      if (isCircle(policies, policyName)) {
        found.push({ path: outsidePath, message: 'these policies hand over to one another in a circle' });
      }
    }
    const { role, channel } = fallOver ?? {};
    if (role !== undefined && !Object.hasOwn(roles, role)) {
      found.push({
        path: [...path, 'fallOver', 'role'],
        message: `there is no role ${role} under paging.roles`,
      });
    }
    if (channel !== undefined && !Object.hasOwn(config.notifications, channel)) {
      const message = `there is no channel ${channel} under notifications`;
      found.push({ path: [...path, 'fallOver', 'channel'], message });
    }
  }
  if (watchdog !== undefined) {
    const path = ['paging', 'watchdog'];
    wantRoles(watchdog.roles, [...path, 'roles']);
    wantAtLeast(watchdog.within, MIN_WATCHDOG_WITHIN_MS, [...path, 'within']);
    const everyMs = watchdog.deadMansSwitch?.every;
    if (everyMs !== undefined) wantAtLeast(everyMs, MIN_FEED_EVERY_MS, [...path, 'deadMansSwitch', 'every']);
    if (watchdog.policy !== undefined) wantPolicy(watchdog.policy, ['paging', 'watchdog', 'policy']);
  }
  return found;
}

function isCircle(policies: PagingNames['paging']['policies'], start: string): boolean {
  const seen = new Set<string>();
  for (let at: string | undefined = start; at !== undefined; ) {
    if (seen.has(at)) return true;
    seen.add(at);
    at = Object.hasOwn(policies, at) ? policies[at]?.workingHours?.outside.policy : undefined;
  }
  return false;
}

/** The policies as the paging activities take them. */
export function policiesOf(
  paging: z.output<ReturnType<typeof pagingSchema>>,
): Record<string, EscalationPolicy> {
  return Object.fromEntries(
    Object.entries(paging.policies).map(([policyName, { levels, repeats, workingHours, fallOver }]) => [
      policyName,
      {
        levels: levels.map(({ roles, after }) => ({ roles, afterMs: after })),
        repeats,
        ...(workingHours && {
          workingHours: {
            timeZone: workingHours.timeZone,
            days: workingHours.days,
            fromMinute: workingHours.from,
            toMinute: workingHours.to,
            // The schema has seen to it that one of the two is there.
            outside: workingHours.outside.policy ?? workingHours.outside.level ?? 1,
          },
        }),
        ...(fallOver?.role !== undefined && { fallOver: { role: fallOver.role } }),
        ...(fallOver?.channel !== undefined && { fallOver: { channel: fallOver.channel } }),
      },
    ]),
  );
}

/** An address, or what its reference resolves to. */
export function urlOf(address: string, secret: (reference: string) => string): string {
  if (!/^(env|file):/.test(address)) return address;
  const url = secret(address);
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new Error(`${address} holds no http:// or https:// URL`);
}
