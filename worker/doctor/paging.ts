import { createPagingActivities } from '../../activities/paging/index.ts';
import type { Finding } from '../../domain/finding.ts';
import { pagerChannels } from '../paging.ts';
import { answers, http, PROBE_TIMEOUT_MS, type Probing, probe } from './probe.ts';

/** No page was ever sent under this key, so there is nothing that could be resolved. */
const NOBODYS_KEY = 'firebreak-doctor';

/**
 * Each channel of each role. Where the vendor drops what ends an alert that it does not know (PagerDuty, JSM Operations), that
 * is sent: the key is tried for real and nobody is woken. Else only that somebody answers.
 */
export function pagingChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const found: Promise<Finding>[] = [];
  for (const [role, { channels }] of Object.entries(config.paging.roles)) {
    for (const configured of channels) {
      const kind = configured.type === 'webhook' ? configured.template : configured.type;
      found.push(
        probe(`pager ${kind} of ${role}`, async () => {
          // One at a time: a secret that is missing is told of its channel, and the others are tried all the same.
          const paging = { ...config.paging, roles: { [role]: { channels: [configured] } } };
          const [channel] = pagerChannels({ ...config, paging }, secret)[role] ?? [];
          if (channel === undefined) throw new Error('it is not configured');
          if (kind !== 'pagerduty' && kind !== 'jsm-operations')
            return answers(channel.url, 'no page was sent: firebreak drill sends one');
          const { updatePage } = createPagingActivities({
            roles: { [role]: [channel] },
            timeoutMs: PROBE_TIMEOUT_MS,
          });
          await updatePage({ incidentId: NOBODYS_KEY, role, dedupKey: NOBODYS_KEY, action: 'resolve' });
          return 'the key is accepted (an end without a beginning was sent, which pages nobody)';
        }),
      );
    }
  }
  const { watchdog, policies, roles } = config.paging;
  if (Object.keys(roles).length === 0)
    found.push(
      probe('paging', async () => {
        throw new Error('nobody can be paged: configure paging.roles');
      }),
    );
  found.push(
    probe('watchdog', async () => {
      if (!watchdog)
        throw new Error(
          'nobody would notice that alerts no longer arrive: configure paging.watchdog (docs/paging.md)',
        );
      if (!watchdog.deadMansSwitch)
        throw new Error(
          'nobody would notice that Firebreak is dead: configure paging.watchdog.deadMansSwitch (docs/paging.md)',
        );
      return `${watchdog.alertname} is expected; a dead-man's switch is fed (it is not called from here)`;
    }),
  );
  if (Object.keys(policies).length > 0)
    found.push(probe('escalation policies', async () => Object.keys(policies).join(', ')));
  return found.map(async (finding) => [await finding]);
}

/** The REST API of PagerDuty, which tells who is on call (https://developer.pagerduty.com/api-reference). */
export function onCallChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { pagerduty, onCall } = config.access;
  if (!pagerduty) return [];
  const ask = async (path: string): Promise<{ status: number; data: unknown }> =>
    http.get(`${pagerduty.url.replace(/\/+$/, '')}${path}`, {
      headers: {
        accept: 'application/vnd.pagerduty+json;version=2',
        authorization: `Token token=${secret(pagerduty.apiToken)}`,
      },
    });
  const there = async (path: string, what: string): Promise<void> => {
    const { status } = await ask(path);
    if (status === 401 || status === 403)
      throw new Error(
        'PagerDuty refuses the API key: make a REST API key (read-only is enough) for access.pagerduty.apiToken',
      );
    if (status === 404) throw new Error(`PagerDuty has no ${what}: ids are in the address of its page`);
    if (status !== 200) throw new Error(`PagerDuty was answered ${status} for ${what}`);
  };
  const groups = Object.entries(onCall).map(([group, { pagerduty: asked }]) =>
    probe(`on call: ${group}`, async () => {
      const members = config.access.people.filter(({ groups: own, active }) => active && own.includes(group));
      const unknown = members.filter(({ email }) => email === undefined).map(({ id }) => id);
      if (members.length === unknown.length)
        throw new Error(
          `nobody of ${group} has an e-mail in the access file, by which PagerDuty's people are found`,
        );
      if (unknown.length > 0)
        throw new Error(
          `${unknown.join(', ')} of ${group}: without an e-mail in the access file they are never on call, and cannot decide while others are`,
        );
      for (const id of asked.schedules) await there(`/schedules/${encodeURIComponent(id)}`, `schedule ${id}`);
      for (const id of asked.escalationPolicies)
        await there(`/escalation_policies/${encodeURIComponent(id)}`, `escalation policy ${id}`);
      return 'schedules and policies are there';
    }),
  );
  const key = probe('pagerduty REST API', async () => {
    await there('/oncalls?limit=1', 'list of who is on call');
    return 'the API key is accepted';
  });
  return [key, ...groups].map(async (finding) => [await finding]);
}
