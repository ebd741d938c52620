import type { Severity } from '../../domain/severity.ts';
import { fail } from '../failure.ts';
import { plain, plainDetails, plainLinks, plainTitle, vendorKey } from '../paging/page-text.ts';
import { DEFAULT_PAGER_TIMEOUT_MS, type Pager } from '../paging/pager.ts';
import { postJson } from '../paging/post-json.ts';

/**
 * PagerDuty, Events API v2: https://developer.pagerduty.com/docs/events-api-v2-overview
 * 202 is acceptance; 429, 5xx and network errors are retried, 400 never. Acknowledging or resolving an alert that is
 * not open is dropped there; a trigger after a resolve opens a new alert.
 */
export interface PagerDutyOptions {
  /** Integration key; a secret, as everybody who has it can page. */
  routingKey: string;
  /** Base URL of the Events API; EU accounts have one of their own. */
  url: string;
  timeoutMs?: number;
}

/** The vendor's: "the 32 character Integration Key". */
const ROUTING_KEY_CHARS = 32;
/** `source` has no documented limit; a target's key is at most four Kubernetes names. */
const MAX_SOURCE_CHARS = 1_024;
const CLIENT = 'Firebreak';
const ACCEPTED = 202;

const SEVERITY: Record<Severity, 'critical' | 'error' | 'warning' | 'info'> = {
  SEV1: 'critical',
  SEV2: 'error',
  SEV3: 'warning',
  SEV4: 'info',
};

export function createPagerDutyPager(options: PagerDutyOptions): Pager {
  const url = `${options.url.replace(/\/+$/, '')}/v2/enqueue`;

  async function enqueue(
    what: string,
    event: { dedup_key: string } & Record<string, unknown>,
  ): Promise<void> {
    if (options.routingKey.length !== ROUTING_KEY_CHARS) {
      throw fail(
        'InvalidInput',
        `${what}: the routing key has ${options.routingKey.length} characters, a PagerDuty integration key has ${ROUTING_KEY_CHARS}`,
      );
    }
    const body = JSON.stringify({ routing_key: options.routingKey, ...event });
    const timeoutMs = options.timeoutMs ?? DEFAULT_PAGER_TIMEOUT_MS;
    const { status } = await postJson({ what, url, body, timeoutMs });
    // A maintenance page or a captive proxy says 200. Nobody was paged, and it may pass.
    if (status !== ACCEPTED) {
      throw fail('Unavailable', `${what} was answered ${status}, not ${ACCEPTED}: is this URL PagerDuty's?`);
    }
  }

  return {
    name: 'pagerduty',

    async send(page) {
      const dedupKey = vendorKey(page.dedupKey);
      const details = plainDetails({ incident: page.incidentId, role: page.role, ...page.details });
      const links = plainLinks(page.links);
      await enqueue('PagerDuty trigger', {
        event_action: 'trigger',
        dedup_key: dedupKey,
        client: CLIENT,
        ...(links[0] && { client_url: links[0].href }),
        links,
        payload: {
          summary: plainTitle(page),
          severity: SEVERITY[page.severity],
          source: plain(details.target ?? '', MAX_SOURCE_CHARS) || CLIENT,
          custom_details: details,
        },
      });
      return { reference: dedupKey };
    },

    async update(page, action) {
      await enqueue(`PagerDuty ${action}`, { event_action: action, dedup_key: vendorKey(page.dedupKey) });
    },
  };
}
