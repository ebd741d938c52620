import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayError } from '../gateway/types.ts';
import { alertOf, deliveryOf } from '../test-support/deliveries.ts';
import { ALERTMANAGER_TOKEN, createTestEdge, noRecords } from '../test-support/edge.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';
import { MAX_SIGNAL_BYTES } from './deliver.ts';

let app: FastifyInstance;
afterEach(() => app?.close());

async function edge(change = {}): Promise<{
  gateway: RecordingGateway;
  log: string[];
  post: (body: unknown, headers?: Record<string, string>) => Promise<LightMyRequestResponse>;
  metric: (line: string) => Promise<boolean>;
}> {
  const made = await createTestEdge({ records: noRecords, ...change });
  app = made.app;
  return {
    gateway: made.gateway,
    log: made.log,
    post: async (body, headers = {}) =>
      app.inject({
        method: 'POST',
        url: '/webhooks/alertmanager',
        headers: {
          authorization: `Bearer ${ALERTMANAGER_TOKEN}`,
          'content-type': 'application/json',
          ...headers,
        },
        payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      }),
    metric: async (line) => (await made.registry.metrics()).split('\n').includes(line),
  };
}

describe('a delivery with firing alerts', () => {
  it('starts the incident of its runbook and correlation, with the target that the labels name', async () => {
    const { gateway, post, metric } = await edge();
    const response = await post(deliveryOf());
    expect(response.statusCode).toBe(200);
    expect(gateway.started).toHaveLength(1);
    const [{ workflowId, start, alerts }] = gateway.started as [(typeof gateway.started)[0]];
    expect(workflowId).toMatch(/^incident-[0-9a-f]{12}$/);
    expect(start.runbook.name).toBe('ai-harm-response');
    expect(start.mode).toBe('approve');
    expect(start.correlation).toEqual({ cluster: 'local', namespace: 'models', deployment: 'llm-api' });
    expect(start.target).toEqual({
      ok: true,
      target: { cluster: 'local', namespace: 'models', kind: 'Deployment', name: 'llm-api' },
    });
    // SHA-256 of the group key, as Alertmanager's PagerDuty notifier makes its dedup_key.
    expect(alerts.dedupKey).toMatch(/^[0-9a-f]{64}$/);
    expect(alerts.alerts[0]?.fingerprint).toBe('5b6e0b3b8a1f0c11');
    expect(response.json()).toEqual({ accepted: 1, unmatched: 0, incidents: [workflowId] });
    expect(await metric('firebreak_deliveries_total{result="accepted"} 1')).toBe(true);
    expect(await metric('firebreak_alerts_total{disposition="firing"} 1')).toBe(true);
  });

  it('opens one incident a correlation, whatever the order of alerts', async () => {
    const { gateway, post } = await edge();
    const other = alertOf({ fingerprint: 'b' }, { deployment: 'llm-batch' });
    await post(deliveryOf([alertOf(), other, alertOf({ fingerprint: 'c' }, { pod: 'x' })]));
    expect(gateway.started.map(({ alerts }) => alerts.alerts.length).sort()).toEqual([1, 2]);
    expect(new Set(gateway.started.map(({ workflowId }) => workflowId)).size).toBe(2);
  });

  it('opens an incident without a target where the namespace is not in the configuration', async () => {
    const { gateway, post } = await edge();
    expect((await post(deliveryOf([alertOf({}, { namespace: 'kube-system' })]))).statusCode).toBe(200);
    expect(gateway.started[0]?.start.target).toEqual({
      ok: false,
      reason: 'namespace kube-system of cluster local is not in the configuration',
    });
    expect(gateway.started[0]?.start.mode).toBe('observe');
  });

  it('is not fooled by namespaces that every JavaScript object has', async () => {
    const { gateway, post } = await edge();
    await post(deliveryOf([alertOf({}, { namespace: 'constructor' })]));
    expect(gateway.started[0]?.start.target.ok).toBe(false);
  });

  it('opens the shipped default runbook for AI risk that no runbook matches', async () => {
    const { gateway, post } = await edge();
    await post(deliveryOf([alertOf({}, { alertname: 'AiDrift', rmf_function: 'MEASURE' })]));
    expect(gateway.started[0]?.start.runbook.name).toBe('default');
  });

  it('answers 2xx, counts and logs alerts that nothing is meant for', async () => {
    const { gateway, post, metric, log } = await edge();
    const alert = { ...alertOf(), labels: { alertname: 'DiskFull\u001b[31m\nforged line' } };
    const response = await post(deliveryOf([alert]));
    expect(response.statusCode).toBe(200);
    expect(response.json()).toEqual({ accepted: 0, unmatched: 1, incidents: [] });
    expect(gateway.started).toEqual([]);
    expect(await metric('firebreak_alerts_total{disposition="unmatched"} 1')).toBe(true);
    const line = log.find((text) => text.includes('match no runbook')) ?? '';
    expect(JSON.parse(line).alertnames).toEqual(['DiskFull[31m forged line']);
  });

  it('splits what is too large for one signal, loses nothing, and tells truncatedAlerts once', async () => {
    const { gateway, post } = await edge();
    const alerts = Array.from({ length: 2_000 }, (_, index) =>
      alertOf(
        { fingerprint: `f${index}`, annotations: { summary: 'x'.repeat(800) } },
        { pod: `pod-${index}` },
      ),
    );
    expect((await post(deliveryOf(alerts, { truncatedAlerts: 7 }))).statusCode).toBe(200);
    expect(gateway.started.length).toBeGreaterThan(2);
    for (const { alerts: part } of gateway.started) {
      expect(JSON.stringify(part.alerts).length).toBeLessThanOrEqual(MAX_SIGNAL_BYTES + 2);
    }
    const seen = gateway.started.flatMap(({ alerts: part }) =>
      part.alerts.map(({ fingerprint }) => fingerprint),
    );
    expect(seen).toEqual(alerts.map(({ fingerprint }) => fingerprint));
    expect(gateway.started.map(({ alerts: part }) => part.truncatedAlerts)).toEqual([
      7,
      ...gateway.started.slice(1).map(() => 0),
    ]);
  });

  it('takes 200 identical deliveries at once', async () => {
    const { gateway, post } = await edge();
    const responses = await Promise.all(Array.from({ length: 200 }, () => post(deliveryOf())));
    expect(responses.map(({ statusCode }) => statusCode)).toEqual(Array.from({ length: 200 }, () => 200));
    expect(new Set(gateway.started.map(({ workflowId }) => workflowId)).size).toBe(1);
  });
});

describe('a delivery with resolved alerts', () => {
  const resolved = deliveryOf([alertOf({ status: 'resolved', endsAt: '2026-03-01T11:00:00+01:00' })], {
    status: 'resolved',
  });

  it('signals an incident that runs', async () => {
    const { gateway, post } = await edge();
    await post(deliveryOf());
    expect((await post(resolved)).json().accepted).toBe(1);
    expect(gateway.started).toHaveLength(1);
    expect(gateway.signalled).toHaveLength(1);
  });

  it('starts nothing where none runs', async () => {
    const { gateway, post, metric } = await edge();
    const response = await post(resolved);
    expect(response.statusCode).toBe(200);
    expect(response.json().incidents).toEqual([]);
    expect(gateway.started).toEqual([]);
    expect(await metric('firebreak_alerts_total{disposition="ignored"} 1')).toBe(true);
  });

  it('goes with the firing ones of its incident', async () => {
    const { gateway, post } = await edge();
    await post(deliveryOf([alertOf({ status: 'resolved', fingerprint: 'r' }), alertOf()]));
    expect(gateway.started[0]?.alerts.alerts.map(({ status }) => status)).toEqual(['firing', 'resolved']);
  });
});

describe('when Temporal does not take it', () => {
  it('answers 503 with Retry-After, whatever the reason', async () => {
    const { gateway, post, metric, log } = await edge();
    for (const problem of ['unavailable', 'refused'] as const) {
      gateway.failure = new GatewayError(problem, 'Could not signal: connect ECONNREFUSED');
      const response = await post(deliveryOf());
      expect(response.statusCode).toBe(503);
      expect(response.headers['retry-after']).toBe('1');
      expect(response.json().error.code).toBe('temporal_unavailable');
      expect(response.body).not.toContain('ECONNREFUSED');
    }
    expect(await metric('firebreak_deliveries_total{result="temporal_unavailable"} 2')).toBe(true);
    expect(log.some((line) => line.includes('ECONNREFUSED'))).toBe(true);
  });

  it('answers 503 when one incident of several was not reached', async () => {
    const { gateway, post } = await edge();
    const signalWithStart = gateway.signalWithStart.bind(gateway);
    gateway.signalWithStart = async (input) => {
      if (input.start.correlation.deployment === 'llm-batch') throw new GatewayError('unavailable', 'no');
      return signalWithStart(input);
    };
    const other = alertOf({ fingerprint: 'b' }, { deployment: 'llm-batch' });
    expect((await post(deliveryOf([alertOf(), other]))).statusCode).toBe(503);
  });
});

describe('input that is not a delivery', () => {
  const refused: [string, unknown, number, string, string?][] = [
    ['truncated JSON', JSON.stringify(deliveryOf()).slice(0, -20), 400, 'invalid_json'],
    ['an empty body', '', 400, 'invalid_json'],
    ['no JSON', 'ALERT!', 400, 'invalid_json'],
    [
      'an array',
      '[]',
      400,
      'invalid_request',
      'the document: Invalid input: expected object, received array',
    ],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 400, 'invalid_json'],
    ['a __proto__ key', `{"version":"4","__proto__":{"a":1}}`, 400, 'invalid_json'],
    ['an escaped __proto__ key', `{"alerts":[{"labels":{"\\u005f_proto__":"x"}}]}`, 400, 'invalid_json'],
    ['a constructor.prototype key', `{"constructor":{"prototype":{"a":1}}}`, 400, 'invalid_json'],
    ['deep nesting', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 400, 'invalid_json'],
    [
      'an unknown version',
      deliveryOf([alertOf()], { version: '5' }),
      400,
      'invalid_request',
      'version: expected "4", the only version of the format that there is',
    ],
    [
      'a number as version',
      deliveryOf([alertOf()], { version: 4 }),
      400,
      'invalid_request',
      'version: expected "4", the only version of the format that there is',
    ],
    [
      'no alerts',
      deliveryOf([], { alerts: undefined }),
      400,
      'invalid_request',
      'alerts: Invalid input: expected array, received undefined',
    ],
    [
      'a number as label',
      deliveryOf([{ ...alertOf(), labels: { team: 5 } }]),
      400,
      'invalid_request',
      'alerts[0].labels.team: Invalid input: expected string, received number',
    ],
    [
      'an unknown status',
      deliveryOf([alertOf({ status: 'pending' })]),
      400,
      'invalid_request',
      'alerts[0].status: Invalid option: expected one of "firing"|"resolved"',
    ],
    [
      'a time that is none',
      deliveryOf([alertOf({ startsAt: 'yesterday' })]),
      400,
      'invalid_request',
      'alerts[0].startsAt: expected an RFC 3339 time',
    ],
    [
      'a fingerprint with markup',
      deliveryOf([alertOf({ fingerprint: '<script>' })]),
      400,
      'invalid_request',
      'alerts[0].fingerprint: expected letters, digits, dot, colon, dash or underscore',
    ],
  ];
  it.each(refused)('refuses %s and names the field', async (_name, body, status, code, problem) => {
    const { gateway, post } = await edge();
    const response = await post(body);
    expect(response.statusCode).toBe(status);
    expect(response.json().error.code).toBe(code);
    if (problem !== undefined) expect(response.json().error.problems).toContain(problem);
    expect(gateway.started).toEqual([]);
    expect(response.headers['retry-after']).toBeUndefined();
  });

  it('names ten problems at most and repeats no value, neither in the answer nor in the log', async () => {
    const { post, log } = await edge();
    const secret = 'hunter2-in-a-label';
    const alerts = Array.from({ length: 50 }, () => ({
      ...alertOf(),
      status: secret,
      labels: { [`<${secret}>`]: 5 },
    }));
    const response = await post(deliveryOf(alerts));
    expect(response.json().error.problems).toHaveLength(10);
    expect(response.json().error.problems[9]).toBe('and 91 more');
    expect(response.body).not.toContain(secret);
    expect(log.join('')).not.toContain(secret);
  });

  it('tolerates fields it does not know', async () => {
    const { post } = await edge();
    const body = deliveryOf([alertOf({ silencedBy: ['x'] })], {
      notificationReason: 'new in 1.0',
      more: { a: [1] },
    });
    expect((await post(body)).statusCode).toBe(200);
  });

  it.each([
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['application/jsonp', 415],
    ['application/json; charset=utf-16', 415],
    ['application/json; charset=utf-8', 200],
    ['', 415],
  ])('takes JSON only: %j gives %i', async (type, status) => {
    const { post } = await edge();
    expect((await post(deliveryOf(), { 'content-type': type })).statusCode).toBe(status);
  });

  it('takes no compressed body', async () => {
    const { post } = await edge();
    expect((await post(deliveryOf(), { 'content-encoding': 'gzip' })).statusCode).toBe(415);
  });
});

describe('hostile labels', () => {
  it('are carried as data, cut to size, and never chosen as a target', async () => {
    const { gateway, post } = await edge();
    const labels = {
      namespace: 'models"} or vector(1) #',
      deployment: '../../etc',
      note: '\u0000<!channel>{{ .Values }}{% raw %}\ud800',
      big: 'b'.repeat(100_000),
    };
    const alert = alertOf({ annotations: { summary: 'a'.repeat(100_000) } }, labels);
    expect((await post(deliveryOf([alert]))).statusCode).toBe(200);
    const [started] = gateway.started;
    expect(started?.start.target.ok).toBe(false);
    const kept = started?.alerts.alerts[0];
    expect(kept?.labels.note).toBe('\uFFFD<!channel>{{ .Values }}{% raw %}\uFFFD');
    expect(kept?.labels.big?.length).toBe(4 * 1024);
    expect(kept?.labels.big?.endsWith('… [truncated]')).toBe(true);
    expect(kept?.annotations.summary?.length).toBe(8 * 1024);
    expect(kept?.annotations.summary?.endsWith('… [truncated]')).toBe(true);
  });

  it('cannot make one alert larger than a signal', async () => {
    const { gateway, post } = await edge();
    const many = (prefix: string, count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`${prefix}${index}`, '\u0001'.repeat(20_000)]),
      );
    const alert = {
      ...alertOf(),
      labels: { ...alertOf().labels, ...many('l', 60) },
      annotations: many('a', 60),
    };
    expect((await post(deliveryOf([alert]))).statusCode).toBe(200);
    expect(JSON.stringify(gateway.started[0]?.alerts).length).toBeLessThan(MAX_SIGNAL_BYTES);
  });
});

describe('credentials', () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  const alertmanager = {
    bearerTokens: ['old-token-0123456789', 'new-token-0123456789'],
    basic: [{ username: 'am', password: 'pass:word-0123456789' }],
    trustedProxyCertHeader: { header: 'X-Client-Subject', values: ['CN=alertmanager'] },
  };
  it.each([
    ['the old token', { authorization: 'Bearer old-token-0123456789' }, 200],
    ['the new token', { authorization: 'bearer new-token-0123456789' }, 200],
    ['a wrong token', { authorization: 'Bearer new-token-012345678' }, 401],
    ['a password with a colon', { authorization: basic('am:pass:word-0123456789') }, 200],
    ['a wrong password', { authorization: basic('am:pass') }, 401],
    ['the proxy header', { authorization: '', 'x-client-subject': 'CN=alertmanager' }, 200],
    ['another subject', { authorization: '', 'x-client-subject': 'CN=somebody' }, 401],
    [
      'a wrong token beside a right subject',
      { authorization: 'Bearer x', 'x-client-subject': 'CN=alertmanager' },
      401,
    ],
    ['nothing', { authorization: '' }, 401],
  ])('%s', async (_name, headers, status) => {
    const { post, gateway } = await edge({ alertmanager });
    const response = await post(deliveryOf(), headers as Record<string, string>);
    expect(response.statusCode).toBe(status);
    expect(gateway.started.length).toBe(status === 200 ? 1 : 0);
    if (status === 401) expect(response.headers['www-authenticate']).toContain('Bearer');
  });

  it('are needed to start, but for --insecure-no-auth on loopback', async () => {
    const none = { bearerTokens: [], basic: [] };
    await expect(createTestEdge({ records: noRecords, alertmanager: none })).rejects.toThrow(
      'no secret is configured',
    );
    await expect(
      createTestEdge({
        records: noRecords,
        alertmanager: none,
        insecureNoAuth: true,
        server: { host: '0.0.0.0' },
      }),
    ).rejects.toThrow('only taken on a loopback address');
    const { post } = await edge({ alertmanager: none, insecureNoAuth: true });
    expect((await post(deliveryOf(), { authorization: '' })).statusCode).toBe(200);
  });
});
