import type { Severity } from '../../domain/severity.ts';
import { fail } from '../failure.ts';
import { plain, plainDetails, plainLinks, plainTitle, vendorKey } from '../paging/page-text.ts';
import { DEFAULT_PAGER_TIMEOUT_MS, type Pager } from '../paging/pager.ts';
import { postJson } from '../paging/post-json.ts';

/**
 * Operations of Jira Service Management (which Opsgenie has become), by its integration events:
 * https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v1/api-group-integration-events
 * Requests are accepted with 202 and worked on later; an alias is one open alert, created again it only counts. Alerts are
 * acknowledged and closed by `identifierType=alias` (https://jira.atlassian.com/browse/JSDCLOUD-14179).
 */
export interface JsmOperationsOptions {
  /** https://api.atlassian.com/jsm/ops/integration/v2/alerts */
  url: string;
  /** Of an API integration; a secret. */
  apiKey: string;
  timeoutMs?: number;
}

/**
 * The vendor's limits: message, alias and entity by https://operations-help.atlassian.net/wiki/spaces/OPSHELP/pages/8617985;
 * description, details and source as those of the Opsgenie API, whose contract it keeps.
 */
const MAX_MESSAGE_CHARS = 130;
const MAX_ENTITY_CHARS = 512;
const MAX_DESCRIPTION_CHARS = 15_000;
/** Names and values of all details together. */
const MAX_DETAILS_CHARS = 8_000;
const ACCEPTED = 202;
const SOURCE = 'Firebreak';

const PRIORITY: Record<Severity, 'P1' | 'P2' | 'P3' | 'P4'> = {
  SEV1: 'P1',
  SEV2: 'P2',
  SEV3: 'P3',
  SEV4: 'P4',
};

export function createJsmOperationsPager(options: JsmOperationsOptions): Pager {
  const base = options.url.replace(/\/+$/, '');

  async function post(what: string, url: string, body: Record<string, unknown>): Promise<void> {
    const { status } = await postJson({
      what,
      url,
      body: JSON.stringify(body),
      headers: { Authorization: `GenieKey ${options.apiKey}` },
      timeoutMs: options.timeoutMs ?? DEFAULT_PAGER_TIMEOUT_MS,
    });
    // Another 2xx is a proxy's page: nobody was paged, and it may pass.
    if (status !== ACCEPTED) {
      throw fail('Unavailable', `${what} was answered ${status}, not ${ACCEPTED}: is this URL that of JSM?`);
    }
  }

  return {
    name: 'jsm-operations',

    async send(page) {
      const alias = vendorKey(page.dedupKey);
      const title = plainTitle(page);
      const details = plainDetails({ incident: page.incidentId, role: page.role, ...page.details });
      const links = plainLinks(page.links).map(({ text, href }) => `${text}: ${href}`);
      const lines = [title, ...links, ...Object.entries(details).map(([name, value]) => `${name}: ${value}`)];
      await post('the alert of JSM', base, {
        message: plain(title, MAX_MESSAGE_CHARS),
        alias,
        description: bounded(lines, MAX_DESCRIPTION_CHARS),
        details: firstOf(details, MAX_DETAILS_CHARS),
        entity: plain(details.target ?? '', MAX_ENTITY_CHARS) || SOURCE,
        source: SOURCE,
        priority: PRIORITY[page.severity],
        tags: ['firebreak'],
      });
      return { reference: alias };
    },

    async update(page, action) {
      const verb = action === 'resolve' ? 'close' : 'acknowledge';
      const alias = encodeURIComponent(vendorKey(page.dedupKey));
      await post(`the ${action} of JSM`, `${base}/${alias}/${verb}?identifierType=alias`, {
        source: SOURCE,
        note: plain(`By Firebreak: incident ${page.incidentId}`, MAX_MESSAGE_CHARS),
      });
    },
  };
}

/** Whole lines, as many as there is room for. */
function bounded(lines: readonly string[], maxChars: number): string {
  let text = '';
  for (const line of lines) {
    if (text.length + line.length + 1 > maxChars) break;
    text += text === '' ? line : `\n${line}`;
  }
  return text;
}

function firstOf(details: Record<string, string>, maxChars: number): Record<string, string> {
  const kept: [string, string][] = [];
  let chars = 0;
  for (const [name, value] of Object.entries(details)) {
    chars += name.length + value.length;
    if (chars > maxChars) break;
    kept.push([name, value]);
  }
  return Object.fromEntries(kept);
}
