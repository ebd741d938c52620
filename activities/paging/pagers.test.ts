import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGrafanaIrmSink } from '../../demo/vendors/grafana-irm-sink.ts';
import { startJsmOperationsSink } from '../../demo/vendors/jsm-operations-sink.ts';
import { startPagerDutySink } from '../../demo/vendors/pagerduty-sink.ts';
import { type SinkBehaviour, startWebhookSink } from '../../demo/vendors/webhook-sink.ts';
import type { PageInput } from '../contract.ts';
import { createGrafanaIrmPager } from '../pager-webhook/grafana-irm.ts';
import { createWebhookPager } from '../pager-webhook/index.ts';
import { createJsmOperationsPager } from '../pager-webhook/jsm-operations.ts';
import { createPagerDutyPager } from '../pagerduty/index.ts';
import type { Pager } from './pager.ts';

/** One table for every pager, against a server that keeps the vendor's rules. */

const SECRET = '0123456789abcdef0123456789abcdef';
/** Only for requests that are never answered. */
const SHORT_TIMEOUT_MS = 200;

interface ShownPage {
  dedupKey: string;
  title: string;
  severity: string;
  acknowledged: boolean;
  resolved: boolean;
}

interface Vendor {
  url: string;
  /** What people see. */
  shown(): ShownPage[];
  /** Bodies that were accepted. */
  accepted(): unknown[];
  requests(): number;
  respondWith(behaviour: SinkBehaviour): void;
  close(): Promise<void>;
}

const PAGERS: {
  name: string;
  start(): Promise<Vendor>;
  create(url: string, timeoutMs?: number): Pager;
  severities: Record<string, string>;
  /** Whether people see there that somebody has acknowledged elsewhere. */
  acknowledges?: false;
  /** Facts stand in lines of ours; a value has none. */
  lines?: true;
}[] = [
  {
    name: 'pagerduty',
    async start() {
      const sink = await startPagerDutySink();
      return {
        ...sink,
        shown: () => sink.pages().map(({ summary, ...page }) => ({ ...page, title: summary })),
        accepted: sink.events,
      };
    },
    create: (url, timeoutMs) => createPagerDutyPager({ url, routingKey: SECRET, timeoutMs }),
    severities: { SEV1: 'critical', SEV2: 'error', SEV3: 'warning', SEV4: 'info' },
  },
  {
    name: 'webhook',
    async start() {
      const sink = await startWebhookSink({ bearerToken: SECRET });
      return { ...sink, shown: sink.pages, accepted: () => sink.deliveries().map(({ message }) => message) };
    },
    create: (url, timeoutMs) => createWebhookPager({ url, bearerToken: SECRET, timeoutMs }),
    severities: { SEV1: 'SEV1', SEV2: 'SEV2', SEV3: 'SEV3', SEV4: 'SEV4' },
  },
  {
    name: 'jsm-operations',
    async start() {
      const sink = await startJsmOperationsSink({ apiKey: SECRET });
      return {
        ...sink,
        shown: () =>
          sink.alerts().map(({ alias, message, priority, acknowledged, closed }) => {
            return { dedupKey: alias, title: message, severity: priority, acknowledged, resolved: closed };
          }),
      };
    },
    create: (url, timeoutMs) => createJsmOperationsPager({ url, apiKey: SECRET, timeoutMs }),
    severities: { SEV1: 'P1', SEV2: 'P2', SEV3: 'P3', SEV4: 'P4' },
    lines: true,
  },
  {
    name: 'grafana-irm',
    async start() {
      const sink = await startGrafanaIrmSink();
      return {
        ...sink,
        shown: () =>
          sink.groups().map(({ alertUid, title, severity, resolved }) => {
            return { dedupKey: alertUid, title, severity, acknowledged: false, resolved };
          }),
      };
    },
    // The address is the secret there.
    create: (url, timeoutMs) => createGrafanaIrmPager({ url: `${url}/${SECRET}/`, timeoutMs }),
    severities: { SEV1: 'SEV1', SEV2: 'SEV2', SEV3: 'SEV3', SEV4: 'SEV4' },
    acknowledges: false,
    lines: true,
  },
];

const PAGE: PageInput = {
  incidentId: 'inc-3f9a1c2b7d01-0a1b2c3d',
  role: 'ml-oncall',
  dedupKey: 'inc-3f9a1c2b7d01-0a1b2c3d-r1',
  title: 'Harmful output of llm-api',
  severity: 'SEV1',
  details: { target: 'prod/ai/Deployment/llm-api', runbook: 'harmful-output v3' },
  links: [{ text: 'Incident', href: 'https://firebreak.example.com/incidents/inc-1' }],
};

describe.each(PAGERS)('$name', ({ start, create, severities, acknowledges = true, lines }) => {
  let vendor: Vendor;
  beforeEach(async () => {
    vendor = await start();
  });
  afterEach(() => vendor.close());

  it('is accepted, with the vendor’s name for the page', async () => {
    const { reference } = await create(vendor.url).send(PAGE);
    expect(reference).not.toBe('');
    expect(vendor.shown()).toMatchObject([
      { dedupKey: PAGE.dedupKey, title: PAGE.title, acknowledged: false, resolved: false },
    ]);
    expect(JSON.stringify(vendor.accepted())).toContain('https://firebreak.example.com/incidents/inc-1');
    expect(JSON.stringify(vendor.accepted())).toContain('prod/ai/Deployment/llm-api');
  });

  it.each(['SEV1', 'SEV2', 'SEV3', 'SEV4'] as const)(
    'says how severe %s is in the vendor’s terms',
    async (severity) => {
      await create(vendor.url).send({ ...PAGE, severity });
      expect(vendor.shown()[0]?.severity).toBe(severities[severity]);
    },
  );

  it('acknowledges, then resolves, the page it sent', async () => {
    const pager = create(vendor.url);
    await pager.send(PAGE);
    await pager.update(PAGE, 'acknowledge');
    expect(vendor.shown()).toMatchObject([{ acknowledged: acknowledges, resolved: false }]);
    await pager.update(PAGE, 'resolve');
    expect(vendor.shown()).toMatchObject([{ acknowledged: acknowledges, resolved: true }]);
  });

  it('updates a page the vendor never got without an error', async () => {
    await create(vendor.url).update(PAGE, 'resolve');
    expect(vendor.shown()).toEqual([]);
  });

  it('shows one page however often it is sent', async () => {
    const pager = create(vendor.url);
    for (let attempt = 0; attempt < 3; attempt += 1) await pager.send(PAGE);
    expect(vendor.accepted()).toHaveLength(3);
    expect(vendor.shown()).toHaveLength(1);
  });

  it('shows one page when the first attempt was accepted but not answered in time', async () => {
    vendor.respondWith({ status: 202, times: 1, silent: true });
    await expect(create(vendor.url, SHORT_TIMEOUT_MS).send(PAGE)).rejects.toMatchObject({
      type: 'Unavailable',
      nonRetryable: false,
      message: expect.stringContaining(`no answer within ${SHORT_TIMEOUT_MS} ms`),
    });
    expect(vendor.shown()).toHaveLength(1);
    await create(vendor.url).send(PAGE);
    expect(vendor.accepted()).toHaveLength(2);
    expect(vendor.shown()).toHaveLength(1);
  });

  it('keeps pages of keys apart that differ only beyond the vendor’s limit', async () => {
    const pager = create(vendor.url);
    const long = 'k'.repeat(400);
    await pager.send({ ...PAGE, dedupKey: `${long}1` });
    await pager.send({ ...PAGE, dedupKey: `${long}2` });
    await pager.update({ ...PAGE, dedupKey: `${long}1` }, 'resolve');
    expect(vendor.shown().map(({ resolved }) => resolved)).toEqual([true, false]);
  });

  it.each([
    { status: 429, retryAfterSeconds: 7, type: 'RateLimited', retried: true, delayMs: 7_000 },
    { status: 429, type: 'RateLimited', retried: true },
    { status: 500, type: 'Unavailable', retried: true },
    { status: 503, retryAfterSeconds: 2, type: 'Unavailable', retried: true, delayMs: 2_000 },
    { status: 400, type: 'InvalidInput', retried: false },
    { status: 401, type: 'Unauthorized', retried: false },
    { status: 403, type: 'Unauthorized', retried: false },
    { status: 404, type: 'NotFound', retried: false },
    { status: 307, type: 'InvalidInput', retried: false },
  ])('fails with $type when answered $status', async ({ type, retried, delayMs, ...behaviour }) => {
    vendor.respondWith({ ...behaviour, times: 1 });
    const failure = await create(vendor.url)
      .send(PAGE)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ type, nonRetryable: !retried });
    expect((failure as { nextRetryDelay?: number }).nextRetryDelay ?? undefined).toBe(delayMs);
    expect(JSON.stringify(failure) + String(failure)).not.toContain(SECRET);
    // No retry of its own: falling over to another channel is quicker.
    expect(vendor.requests()).toBe(1);
    expect(vendor.shown()).toEqual([]);
    await create(vendor.url).send(PAGE);
    expect(vendor.shown()).toHaveLength(1);
  });

  it('fails with Unavailable when nothing listens', async () => {
    await vendor.close();
    await expect(create(vendor.url).send(PAGE)).rejects.toMatchObject({ type: 'Unavailable' });
  });

  it('sends any text of an alert, bounded and plain', async () => {
    const hostile = `\u0000\u001b[31mline\r\nbreak\u202e\ud800"\\${'語'.repeat(50_000)}`;
    const details = Object.fromEntries(
      Array.from({ length: 500 }, (_, number) => [`label ${number} ${hostile}`, hostile]),
    );
    await create(vendor.url).send({
      ...PAGE,
      title: hostile,
      details: { target: hostile, 'tar\u0000get': 'another', __proto__: hostile, ...details },
      links: [
        { text: hostile, href: 'javascript:alert(1)' },
        { text: hostile, href: 'not a url' },
        { text: hostile, href: `https://example.com/${'a'.repeat(5_000)}` },
        ...Array.from({ length: 100 }, (_, number) => ({
          text: hostile,
          href: `https://example.com/${number}/${'語'.repeat(150)}`,
        })),
      ],
    });
    const [page] = vendor.shown();
    expect(page?.title).toMatch(/^\[31mline break"/);
    expect(page?.title.length).toBeLessThanOrEqual(1_024);
    const body = JSON.stringify(vendor.accepted());
    expect(/javascript:|not a url|\\u0000|\\u001b|\\ud800|\u202e|\\r/.exec(body)?.[0]).toBeUndefined();
    expect(body.includes('\\n')).toBe(lines === true);
    expect(body).not.toContain('\\nbreak');
    expect(body).not.toContain('another');
    expect(Buffer.byteLength(body)).toBeLessThan(512 * 1024);
  });

  it('pages with the incident’s id when nothing of the title is legible', async () => {
    await create(vendor.url).send({ ...PAGE, title: '\u0000\u200b \r\n' });
    expect(vendor.shown()[0]?.title).toContain(PAGE.incidentId);
  });
});

describe('pagerduty alone', () => {
  it('counts only 202 as acceptance', async () => {
    const sink = await startPagerDutySink();
    try {
      sink.respondWith({ status: 200, times: 1 });
      const sending = createPagerDutyPager({ url: `${sink.url}/`, routingKey: SECRET }).send(PAGE);
      await expect(sending).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
    } finally {
      await sink.close();
    }
  });

  it('says that a routing key cannot be one, without the key', async () => {
    const sink = await startPagerDutySink();
    try {
      const sending = createPagerDutyPager({ url: sink.url, routingKey: 'short-secret' }).send(PAGE);
      await expect(sending).rejects.toMatchObject({
        type: 'InvalidInput',
        message: expect.stringMatching(/^(?!.*short-secret).*12 characters.*32/),
      });
      expect(sink.requests()).toBe(0);
    } finally {
      await sink.close();
    }
  });
});

describe('webhook alone', () => {
  it('has an Idempotency-Key of its own for another title, role or action, and the same for a repetition', async () => {
    const sink = await startWebhookSink();
    try {
      const pager = createWebhookPager({ url: sink.url });
      await pager.send(PAGE);
      await pager.send(PAGE);
      await pager.send({ ...PAGE, title: `Not acknowledged: ${PAGE.title}` });
      await pager.send({ ...PAGE, role: 'commander' });
      await pager.update(PAGE, 'acknowledge');
      await pager.update(PAGE, 'acknowledge');
      await pager.update(PAGE, 'resolve');
      expect(sink.deliveries().map(({ duplicate }) => duplicate)).toEqual([
        false,
        true,
        false,
        false,
        false,
        true,
        false,
      ]);
      expect(sink.pages()).toMatchObject([
        { role: 'ml-oncall', triggers: 2, acknowledged: true, resolved: true },
        { role: 'commander', triggers: 1, acknowledged: false, resolved: false },
      ]);
    } finally {
      await sink.close();
    }
  });

  it('refers to the page by the receiver’s id', async () => {
    const sink = await startWebhookSink();
    try {
      expect(await createWebhookPager({ url: sink.url }).send(PAGE)).toEqual({ reference: 'page-1' });
    } finally {
      await sink.close();
    }
  });
});
