import { plainDetails, plainLinks, plainTitle, vendorKey } from '../paging/page-text.ts';
import { DEFAULT_PAGER_TIMEOUT_MS, type Pager } from '../paging/pager.ts';
import { postJson } from '../paging/post-json.ts';

/**
 * Grafana IRM (formerly OnCall) by an integration of the kind Formatted Webhook:
 * https://grafana.com/docs/grafana-cloud/alerting-and-irm/irm/configure/integrations/webhooks/incoming-webhooks/oncall-webhooks
 * Recognised are alert_uid (groups), title, state (alerting, ok), message, link_to_upstream_details; other fields can be used
 * by templates. 300 alerts in 5 minutes an integration, 900 an organization, else 429:
 * https://grafana.com/docs/grafana-cloud/alerting-and-irm/irm/reference/rate-limits.md
 */
export interface GrafanaIrmOptions {
  /** The integration's own address; a secret, as everybody who has it can page. */
  url: string;
  bearerToken?: string;
  timeoutMs?: number;
}

export function createGrafanaIrmPager(options: GrafanaIrmOptions): Pager {
  async function post(what: string, body: Record<string, unknown>): Promise<void> {
    await postJson({
      what,
      url: options.url,
      body: JSON.stringify(body),
      headers: options.bearerToken === undefined ? {} : { Authorization: `Bearer ${options.bearerToken}` },
      timeoutMs: options.timeoutMs ?? DEFAULT_PAGER_TIMEOUT_MS,
    });
  }

  return {
    name: 'grafana-irm',

    async send(page) {
      const { incidentId, role, severity } = page;
      const alertUid = vendorKey(page.dedupKey);
      const details = plainDetails({ incident: incidentId, role, severity, ...page.details });
      const links = plainLinks(page.links);
      await post('the page to Grafana IRM', {
        alert_uid: alertUid,
        title: plainTitle(page),
        state: 'alerting',
        message: Object.entries(details)
          .map(([name, value]) => `${name}: ${value}`)
          .join('\n'),
        ...(links[0] && { link_to_upstream_details: links[0].href }),
        severity,
        incident: incidentId,
        role,
      });
      return { reference: alertUid };
    },

    /** A formatted webhook has no state for an acknowledgement: only the end is told. */
    async update({ incidentId, role, dedupKey }, action) {
      if (action !== 'resolve') return;
      await post('the resolve to Grafana IRM', {
        alert_uid: vendorKey(dedupKey),
        title: `Incident ${incidentId} is over`,
        state: 'ok',
        message: '',
        incident: incidentId,
        role,
      });
    },
  };
}
