/** The page as each pager gets it: what the adapters really send, caught by a server of our own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import type { PageInput } from '../../activities/contract.ts';
import { createGrafanaIrmPager } from '../../activities/pager-webhook/grafana-irm.ts';
import { createJsmOperationsPager } from '../../activities/pager-webhook/jsm-operations.ts';
import { createPagerDutyPager } from '../../activities/pagerduty/index.ts';
import type { Pager } from '../../activities/paging/pager.ts';
import type { PageRequest } from '../../domain/paging.ts';
import type { StepContext } from '../../runbooks/steps/context.ts';
import { run as pageStep } from '../../runbooks/steps/page/run.ts';
import { sha256Hex } from '../../webhooks/alertmanager/group.ts';
import { column, type Element, type Picture, row, text } from './element.ts';
import { ALERTED } from './views.ts';

const PAGES_WIDTH = 980;
const ROLE = 'ml-oncall';
const GROUP_KEY = '{}/{rmf_function=~".+"}:{alertname="AiHarmfulOutputRateHigh", namespace="models"}';
/** As long as PagerDuty's are; worth nothing. */
const KEY = 'R'.repeat(32);

interface SentPage {
  name: string;
  vendor: string;
  body: Record<string, unknown>;
}

/** What the step `page` of a runbook asks for. */
async function askedPage(): Promise<PageInput> {
  let asked: Omit<PageRequest, 'id' | 'dedupKey'> | undefined;
  const context: Pick<StepContext, 'step' | 'incidentId' | 'view' | 'page' | 'reach'> = {
    step: { with: { roles: [ROLE] } } as unknown as StepContext['step'],
    incidentId: ALERTED.incidentId,
    view: () => ALERTED,
    page: async (request) => {
      asked = request;
    },
    reach: () => undefined,
  };
  await pageStep.run(context as StepContext, { prepared: undefined, decisions: [] });
  if (asked === undefined) throw new Error('the step paged nobody');
  const { title, severity, details, links } = asked;
  const { incidentId } = ALERTED;
  return { incidentId, role: ROLE, dedupKey: sha256Hex(GROUP_KEY), title, severity, details, links };
}

/** The bodies of one page by each pager. */
async function sentPages(): Promise<SentPage[]> {
  let body = '';
  const server = createServer(async (request, response) => {
    body = await readText(request);
    response.writeHead(202, { 'content-type': 'application/json' });
    response.end('{"status":"success","result":"ok","requestId":"1"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pagers: [name: string, vendor: string, Pager][] = [
    ['pagerduty', 'PagerDuty, Events API v2', createPagerDutyPager({ url, routingKey: KEY })],
    ['grafana-irm', 'Grafana IRM, formatted webhook', createGrafanaIrmPager({ url })],
    ['jsm-operations', 'JSM Operations, alert API', createJsmOperationsPager({ url, apiKey: 'k' })],
  ];
  try {
    const page = await askedPage();
    const sent: SentPage[] = [];
    for (const [name, vendor, pager] of pagers) {
      await pager.send(page);
      const { routing_key: _secret, ...shown } = JSON.parse(body) as Record<string, unknown>;
      sent.push({ name, vendor, body: shown });
    }
    return sent;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

export async function pagePictures(): Promise<Picture[]> {
  return (await sentPages()).map(({ name, vendor, body }) => ({
    name: `page-${name}`,
    alt: `One page as it is sent: ${vendor}, field by field`,
    width: PAGES_WIDTH,
    element: pageElement(vendor, body),
  }));
}

function pageElement(vendor: string, body: Record<string, unknown>): Element {
  return column(
    {
      width: PAGES_WIDTH,
      padding: 20,
      gap: 4,
      backgroundColor: '#ffffff',
      color: '#172b4d',
      fontFamily: 'Lato, DejaVu Sans Mono',
      fontSize: 14,
    },
    [text(vendor, { fontWeight: 700, marginBottom: 4 }), ...rowsOf(body)],
  );
}

/** Fields by their paths: nothing of the payload is left out but the key. */
function rowsOf(value: Record<string, unknown>, prefix = ''): Element[] {
  return Object.entries(value).flatMap(([name, inner]): Element[] => {
    const path = `${prefix}${name}`;
    if (Array.isArray(inner)) {
      return inner.flatMap((one, index) =>
        typeof one === 'object' && one !== null
          ? rowsOf(one as Record<string, unknown>, `${path}[${index}].`)
          : [field(`${path}[${index}]`, String(one))],
      );
    }
    if (typeof inner === 'object' && inner !== null)
      return rowsOf(inner as Record<string, unknown>, `${path}.`);
    return [field(path, String(inner))];
  });
}

function field(name: string, value: string): Element {
  return row({ gap: 12 }, [
    text(name, { width: 240, color: '#6b778c', fontFamily: 'DejaVu Sans Mono', fontSize: 12, flexShrink: 0 }),
    text(value, { flexGrow: 1, flexShrink: 1, flexBasis: 0 }),
  ]);
}
