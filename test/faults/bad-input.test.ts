/** What must not be taken, or must be taken with care: a clear answer, nothing started, nothing changed, nothing logged raw. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import { awaitRolledOut, createNamespace, shipModel } from '../../demo/world/models.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { type Installation, install } from '../e2e/installation.ts';
import {
  dedupKeyOf,
  deliverRaw,
  deploymentAsShipped,
  harmDelivery,
  type IntakeAnswer,
  workflowIdFor,
} from './alert-deliveries.ts';
import { type TemporalRights, takeTemporalRights } from './temporal-rights.ts';
import { incidentWhen, openIncident, stepOf } from './waiting-incident.ts';

const ALLOWED = 'bad-input';
const NOT_ALLOWED = 'kube-system';
/** Not allowed either. */
const OTHER_NAMESPACE = 'kube-public';
/** Named so that no other test of the shared cluster has one of this name in that namespace. */
const FOREIGN_MODEL = 'bad-input-model';
/** In every body that is refused: it must turn up nowhere. */
const MARKER = 'marker-7f3c1e9b5a';
const WRONG_SECRET = 'wrong-secret-4be1d02c9f4a47d8';
const TOO_LARGE_BYTES = 20 * 1024 * 1024;
const ESC = String.fromCharCode(27);

let installation: Installation;
let temporal: TemporalRights;

beforeAll(async () => {
  installation = await install({ name: 'bad-input', namespaces: { [ALLOWED]: 'approve' } });
  temporal = await takeTemporalRights(installation);
  await createNamespace(installation.stack.kube.kubeconfigPath, ALLOWED);
});
afterAll(async () => {
  await temporal?.close();
  await installation?.close();
});

const log = () => readFileSync(installation.firebreak.logFile, 'utf8');

/** Whatever the valid body starts has this id. */
const WORKFLOW_ID = workflowIdFor(ALLOWED);
const LISTED_MS = 30_000;

function validBody(change: Record<string, unknown> = {}): string {
  const delivery = harmDelivery(ALLOWED, { annotations: { summary: MARKER } });
  return JSON.stringify({ ...delivery, ...change });
}

function bodyWithAlert(change: Record<string, unknown>): string {
  const delivery = harmDelivery(ALLOWED, { annotations: { summary: MARKER } });
  return JSON.stringify({ ...delivery, alerts: [{ ...(delivery.alerts[0] as object), ...change }] });
}

/** As large as a delivery must not be, as one JSON document. */
function tooLarge(): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(
    validBody({ commonAnnotations: { description: 'x'.repeat(TOO_LARGE_BYTES) } }),
  );
}

function inPieces(bytes: Uint8Array): ReadableStream {
  const pieceBytes = 64 * 1024;
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}

interface Refused {
  what: string;
  send: () => Promise<IntakeAnswer>;
  status: number;
  code: string;
  /** Fields that the answer names. */
  fields?: string[];
}

const send =
  (body: () => Parameters<typeof deliverRaw>[1], headers: Record<string, string | null> = {}) =>
  () =>
    deliverRaw(installation, body(), headers);

const REFUSED: Refused[] = [
  {
    what: 'a wrong secret',
    send: send(validBody, { authorization: `Bearer ${WRONG_SECRET}` }),
    status: 401,
    code: 'unauthenticated',
  },
  {
    what: 'no secret',
    send: send(validBody, { authorization: null }),
    status: 401,
    code: 'unauthenticated',
  },
  {
    what: 'a wrong secret with a body of 20 MiB',
    send: send(tooLarge, { authorization: `Bearer ${WRONG_SECRET}` }),
    status: 401,
    code: 'unauthenticated',
  },
  {
    what: 'truncated JSON',
    send: send(() => validBody().slice(0, -40)),
    status: 400,
    code: 'invalid_json',
  },
  { what: 'an empty body', send: send(() => ''), status: 400, code: 'invalid_json' },
  {
    what: 'text that is not UTF-8',
    send: send(() => new Uint8Array([0x22, 0xff, 0xfe, 0x22])),
    status: 400,
    code: 'invalid_json',
  },
  {
    what: 'JSON of another kind',
    send: send(() => JSON.stringify([MARKER])),
    status: 400,
    code: 'invalid_request',
  },
  {
    what: 'a label of the wrong type',
    send: send(() => bodyWithAlert({ labels: { alertname: { [MARKER]: 1 }, namespace: ALLOWED } })),
    status: 400,
    code: 'invalid_request',
    fields: ['alerts[0].labels.alertname'],
  },
  {
    what: 'fields of wrong types',
    send: send(() => validBody({ alerts: MARKER, truncatedAlerts: MARKER, status: MARKER })),
    status: 400,
    code: 'invalid_request',
    fields: ['alerts', 'truncatedAlerts', 'status'],
  },
  {
    what: 'a time and a fingerprint that are none',
    send: send(() => bodyWithAlert({ startsAt: MARKER, fingerprint: `../${MARKER}` })),
    status: 400,
    code: 'invalid_request',
    fields: ['alerts[0].startsAt', 'alerts[0].fingerprint'],
  },
  {
    what: 'an unknown version',
    send: send(() => validBody({ version: '5' })),
    status: 400,
    code: 'invalid_request',
    fields: ['version'],
  },
  {
    what: '20 MiB',
    send: send(tooLarge),
    status: 413,
    code: 'payload_too_large',
  },
  {
    what: '20 MiB without a length',
    send: send(() => inPieces(tooLarge())),
    status: 413,
    code: 'payload_too_large',
  },
  {
    what: 'a __proto__ key',
    send: send(() => validBody().replace('{"receiver"', '{"__proto__":{"polluted":true},"receiver"')),
    status: 400,
    code: 'invalid_json',
  },
  {
    what: 'a __proto__ label',
    send: send(() => validBody().replace('"alertname":', '"__proto__":{"polluted":true},"alertname":')),
    status: 400,
    code: 'invalid_json',
  },
  {
    what: 'a constructor.prototype key',
    send: send(() =>
      validBody().replace('{"receiver"', '{"constructor":{"prototype":{"polluted":true}},"receiver"'),
    ),
    status: 400,
    code: 'invalid_json',
  },
  {
    what: 'nesting without end',
    send: send(() => validBody({ commonLabels: JSON.parse('['.repeat(200) + ']'.repeat(200)) })),
    status: 400,
    code: 'invalid_json',
  },
  {
    what: 'a wrong content type',
    send: send(validBody, { 'content-type': 'text/plain' }),
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    what: 'no content type',
    send: send(() => new TextEncoder().encode(validBody()), { 'content-type': null }),
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    what: 'a compressed body',
    send: send(() => new Uint8Array(gzipSync(validBody())), { 'content-encoding': 'gzip' }),
    status: 415,
    code: 'unsupported_media_type',
  },
];

describe('a delivery that is not taken', () => {
  it.each(REFUSED)('$what: answered $status $code, naming the fields', async ({ send, ...expected }) => {
    const { status, body, text } = await send();
    expect({ status, code: body.error?.code }).toEqual({ status: expected.status, code: expected.code });
    expect(body.error?.message.length).toBeGreaterThan(10);
    expect(body.error?.hint.length).toBeGreaterThan(10);
    for (const field of expected.fields ?? []) {
      expect(body.error?.problems?.some((problem) => problem.startsWith(field))).toBe(true);
    }
    expect(text).not.toContain(MARKER);
    expect(text).not.toContain(WRONG_SECRET);
  });

  it('starts nothing, pages nobody and leaves neither body nor secret in the log', async () => {
    expect(await temporal.exists(WORKFLOW_ID)).toBe(false);
    expect(installation.vendors.pagerDuty.requests()).toBe(0);
    const { body } = await deliverRaw(installation, validBody());
    expect(body.incidents).toEqual([WORKFLOW_ID]);
    // Lists of Temporal lag behind: with this one in it, all that came before is in it too.
    const ids = await pollUntil('the incident being listed by Temporal', LISTED_MS, async () => {
      const all = await temporal.workflowIds();
      return all.includes(WORKFLOW_ID) ? all : undefined;
    });
    expect(ids.filter((id) => id.startsWith('incident-'))).toEqual([WORKFLOW_ID]);
    expect(log()).toContain('delivery refused');
    expectNothingRaw();
  });
});

/** No secret of the installation and no text of a body is in its log. */
function expectNothingRaw(): void {
  const text = log();
  expect(text.includes(MARKER), 'text of a body in the log').toBe(false);
  expect(text.includes(WRONG_SECRET), 'the wrong secret in the log').toBe(false);
  expect(text.includes('polluted'), 'a key of a body in the log').toBe(false);
  const folder = path.join(installation.firebreak.dir, 'secrets');
  for (const name of readdirSync(folder)) {
    const secret = readFileSync(path.join(folder, name), 'utf8').trim();
    expect(secret.length).toBeGreaterThan(10);
    expect(text.includes(secret), `the secret ${name} in the log`).toBe(false);
  }
}

async function pagedWithoutTarget(delivery: unknown): Promise<IncidentView> {
  const incidentId = await openIncident(installation, ALLOWED, delivery);
  return incidentWhen(
    installation,
    incidentId,
    'having paged and opened a ticket',
    (view) =>
      stepOf(view, 'page')?.status === 'succeeded' &&
      stepOf(view, 'ticket')?.status === 'succeeded' &&
      // For the steps that need a target and have none.
      view.pages.some(({ role }) => role === 'commander') &&
      view.steps.every((step) => step.endedAtMs !== undefined),
  );
}

describe('an alert about a namespace that is not allowed', () => {
  it('pages, needs a human, and changes nothing in the cluster', async () => {
    const kubeconfig = installation.stack.kube.kubeconfigPath;
    const { core } = connectKube(kubeconfig);
    for (const image of ['demo.invalid/llm:v1', 'demo.invalid/llm:v2']) {
      const model = { kubeconfig, namespace: NOT_ALLOWED, name: FOREIGN_MODEL, image };
      await shipModel({ ...model, replicas: 0 });
      await awaitRolledOut(model);
    }
    const configMaps = async () =>
      (await core.listNamespacedConfigMap({ namespace: NOT_ALLOWED })).items.map(
        ({ metadata }) => `${metadata?.name} ${metadata?.uid}`,
      );
    const before = {
      deployment: await deploymentAsShipped(installation, NOT_ALLOWED, FOREIGN_MODEL),
      configMaps: await configMaps(),
    };

    const view = await pagedWithoutTarget(
      harmDelivery(NOT_ALLOWED, { labels: { deployment: FOREIGN_MODEL } }),
    );
    expect(view.state).toBe('needs-human');
    expect(view.target).toBeUndefined();
    expect(view.targetProblem).toContain(`namespace ${NOT_ALLOWED}`);
    expect(view.humanNeeded.join()).toContain('no usable target');
    expect(new Set(view.pages.map(({ role }) => role))).toEqual(
      new Set(['ml-oncall', 'security-oncall', 'commander']),
    );
    expect(view.pendingApprovals).toEqual([]);
    expect(view.breaker).toBeUndefined();
    for (const mutating of ['divert', 'rollback', 'restore']) {
      expect(['failed', 'skipped']).toContain(stepOf(view, mutating)?.status);
    }
    expect({
      deployment: await deploymentAsShipped(installation, NOT_ALLOWED, FOREIGN_MODEL),
      configMaps: await configMaps(),
    }).toEqual(before);
    expect((await temporal.workflowIds()).filter((id) => id.startsWith('target-'))).toEqual([]);
  });

  it.each<[string, string]>([
    ['a path', '../..'],
    ['a path into another one', 'models/../kube-system'],
    ['nothing', ''],
    ['all', '*'],
    ['a name in capitals', 'Models'],
    ['a template', `\${{ labels.deployment }}`],
    ['a name that is too long', 'a'.repeat(300)],
  ])('needs a human for %s as well', async (_what, namespace) => {
    const view = await pagedWithoutTarget(harmDelivery(namespace));
    expect(view.state).toBe('needs-human');
    expect(view.target).toBeUndefined();
    expect(view.targetProblem?.length).toBeLessThan(250);
    expect(view.pages.map(({ role }) => role)).toEqual(
      expect.arrayContaining(['ml-oncall', 'security-oncall']),
    );
    expect((await temporal.workflowIds()).filter((id) => id.startsWith('target-'))).toEqual([]);
  });
});

describe('hostile text in an alert', () => {
  const HOSTILE = [
    `${ESC}]0;owned\u0007${ESC}[2J`,
    '<script>alert(1)</script>',
    '<!channel> <@U000000001> <https://evil.invalid|click>',
    '@acme/everyone ![x](https://evil.invalid/x.png) [click](https://evil.invalid)',
    '\u202Egnp.exe\u0000',
    '$' + '{{ labels.namespace }} $' + '{process.env.HOME}',
    '\n{"level":50,"msg":"forged line"}\n',
  ].join(' ');

  it('stays plain text in log, ticket, pages and chat', async () => {
    const view = await pagedWithoutTarget(
      harmDelivery(OTHER_NAMESPACE, {
        labels: { alertname: `AiHarmful ${HOSTILE.replaceAll('\n', ' ')}`, rmf_function: 'MANAGE' },
        annotations: { summary: `${MARKER} ${HOSTILE}`, description: HOSTILE, runbook_url: 'javascript:1' },
      }),
    );
    const text = log();
    expect(text).not.toContain(ESC);
    expect(text).not.toContain('\u202E');
    expect(text.split('\n').filter((line) => line.includes('"msg":"forged line"'))).toEqual([]);
    expectNothingRaw();

    const issue = (await installation.vendors.emulators.github.issues()).find(
      ({ body, labels }) => labels.includes('firebreak-ticket') && body.includes(view.incidentId),
    );
    expect(issue?.body).toContain('AiHarmful');
    expect(issue?.body).not.toMatch(/<script|(?<!\\)!\[x\]|(?<!\\)\[click\]\(|\u001b|\u0000/);

    const messages = (await installation.vendors.emulators.slack.messages()).filter((message) =>
      JSON.stringify(message).includes(view.incidentId),
    );
    expect(messages.length).toBeGreaterThan(0);
    for (const message of messages) expectInert(message);
    expect(issue?.title).toContain('AiHarmful');
    expect(issue?.title).not.toContain(ESC);
    const pages = installation.vendors.pagerDuty
      .pages()
      .filter(({ dedupKey }) => dedupKey.startsWith(dedupKeyOf(OTHER_NAMESPACE)));
    expect(pages.length).toBeGreaterThanOrEqual(2);
    for (const { summary } of pages) {
      expect(summary).toContain('AiHarmful');
      expect(summary).not.toContain(ESC);
    }
  });
});

/** No mention, link or markup of the alert is live in a Slack message: plain text or escaped. */
function expectInert(message: { text: string; blocks: unknown[] }): void {
  expect(message.text).not.toMatch(/<[!@#]|<https?:/);
  const kinds = [...JSON.stringify(message.blocks).matchAll(/"type":"([a-z_]+)"/g)].map(([, kind]) => kind);
  expect(kinds).not.toContain('mrkdwn');
  expect(kinds).not.toContain('user');
  expect(kinds).not.toContain('broadcast');
}
