/** No label, annotation or sample, whatever its text, changes a query, a plan, a Slack message or a document. */

import { parser } from '@prometheus-io/lezer-promql';
import fc from 'fast-check';
import type { Nodes } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { describe, expect, it } from 'vitest';
import type { PrometheusClient } from '../../activities/prometheus/client.ts';
import { readMetric } from '../../activities/prometheus/read-metrics.ts';
import { renderEntries } from '../../activities/slack/entries.ts';
import { renderIncident } from '../../activities/slack/render.ts';
import type { AlertDelivery } from '../../domain/alert.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { renderPostmortem } from '../../domain/postmortem.ts';
import type { MetricSpec } from '../../domain/runbook.ts';
import { fillTemplate, splitTemplate } from '../../domain/template.ts';
import { renderOutcome, renderSamples, renderTicket } from '../../domain/ticket.ts';
import { EMPTY_CONTEXT, evaluateExpression } from '../../runbooks/expressions.ts';
import { loadRunbooks } from '../../runbooks/load.ts';
import { deliver } from '../../webhooks/alertmanager/deliver.ts';
import { createRouteAlert } from '../../webhooks/alertmanager/route-alert.ts';
import type { IncidentStart } from '../../webhooks/gateway/types.ts';
import { approvalOf, viewOf } from '../../webhooks/test-support/incident.ts';
import { hostileLabels, hostileText } from './hostile-text.ts';

const { runbooks } = await loadRunbooks();
const CLUSTERS = { local: { namespaces: { ai: { mode: 'approve' as const } } } };
const ALERT_LABELS = {
  alertname: 'AiHarmfulOutputRateHigh',
  rmf_function: 'MANAGE',
  cluster: 'local',
  namespace: 'ai',
  deployment: 'llm-api',
};

describe('a query', () => {
  const labels = { namespace: 'target.namespace', deployment: 'target.name' };
  const METRICS: Record<string, MetricSpec> = {
    harmful: { type: 'counter', counter: 'ai_harmful_outputs_total', labels, windowMs: 300_000 },
    classified: { type: 'counter', counter: 'ai_outputs_classified_total', labels, windowMs: 300_000 },
    harmRate: { type: 'ratio', of: ['harmful', 'classified'], windowMs: 300_000 },
    p99: {
      type: 'promql',
      promql:
        'histogram_quantile(0.99, sum by (le) (rate(latency_bucket{deployment=$d, namespace=$n}[5m]))) # $d',
      bind: { d: 'target.name', n: 'target.namespace' },
    },
  };

  /** All queries that are sent for a metric of a target with this name. */
  async function queriesFor(metric: string, name: string): Promise<string[]> {
    const sent: string[] = [];
    const client = {
      queryVector: async (promql: string) => {
        sent.push(promql);
        return { result: [{ metric: {}, value: 1 }], partial: false };
      },
    } as unknown as PrometheusClient;
    const target = { cluster: 'local', namespace: name, kind: 'Deployment', name } as const;
    await readMetric(client, metric, { metrics: METRICS, scope: { target }, atMs: 1_000 });
    return sent;
  }

  function shapeOf(promql: string): string[] {
    const names: string[] = [];
    parser.parse(promql).iterate({ enter: (node) => void names.push(node.name) });
    return names;
  }

  it.each(Object.keys(METRICS))('for %s is the same tree whatever a target is called', async (metric) => {
    const wanted = (await queriesFor(metric, 'plain')).map(shapeOf);
    expect(wanted.flat()).not.toContain('⚠');
    expect(wanted.length).toBeGreaterThan(0);
    await fc.assert(
      fc.asyncProperty(hostileText, async (name) => {
        expect((await queriesFor(metric, name)).map(shapeOf)).toEqual(wanted);
      }),
    );
  });

  it('would be another tree if values were spliced: the comparison sees it', () => {
    expect(shapeOf('a{b="x"} or vector(1)')).not.toEqual(shapeOf('a{b="x"}'));
  });
});

describe('a plan', () => {
  const route = createRouteAlert(runbooks, CLUSTERS);

  async function startsOf(delivery: AlertDelivery): Promise<IncidentStart[]> {
    const starts: IncidentStart[] = [];
    const gateway = {
      signalWithStart: async ({ start }: { start: IncidentStart }) => void starts.push(start),
      signal: async () => 'not-running' as const,
    };
    await deliver(delivery, 0, { gateway: gateway as never, routeAlert: route });
    return starts;
  }

  function deliveryOf(labels: Record<string, string>, annotations: Record<string, string>): AlertDelivery {
    return {
      version: '4',
      groupKey: 'g',
      truncatedAlerts: 0,
      status: 'firing',
      receiver: 'firebreak',
      groupLabels: {},
      commonLabels: {},
      commonAnnotations: annotations,
      externalURL: annotations.url ?? '',
      alerts: [
        {
          status: 'firing',
          labels,
          annotations,
          startsAt: '2026-01-01T00:00:00Z',
          endsAt: '0001-01-01T00:00:00Z',
          generatorURL: annotations.url ?? '',
          fingerprint: 'f',
        },
      ],
    };
  }

  it('and its target do not depend on annotations or on labels outside the correlation', async () => {
    const [wanted] = await startsOf(deliveryOf(ALERT_LABELS, {}));
    expect(wanted?.target.ok).toBe(true);
    await fc.assert(
      fc.asyncProperty(hostileLabels, hostileLabels, async (labels, annotations) => {
        expect(await startsOf(deliveryOf({ ...labels, ...ALERT_LABELS }, annotations))).toEqual([wanted]);
      }),
    );
  });

  it('is one of the loaded ones, and acts on nothing that is not configured, whatever the labels', () => {
    fc.assert(
      fc.property(hostileLabels, hostileText, hostileText, (labels, namespace, deployment) => {
        const start = route({ ...ALERT_LABELS, ...labels, namespace, deployment });
        if (start === undefined) return;
        expect(runbooks).toContain(start.runbook);
        if (!start.target.ok) return;
        expect(start.target.target).toEqual({
          cluster: 'local',
          namespace: 'ai',
          kind: 'Deployment',
          name: deployment,
        });
        expect(deployment).toMatch(/^[a-z0-9.-]+$/);
      }),
    );
  });
});

describe('an expression', () => {
  it('compares labels as text and reads nothing in them', () => {
    fc.assert(
      fc.property(hostileText, hostileText, (value, other) => {
        const context = { ...EMPTY_CONTEXT, alert: { labels: { x: value, y: other } } };
        expect(evaluateExpression('alert.labels.x == alert.labels.y', context)).toEqual({
          known: true,
          value: value === other,
        });
        expect(evaluateExpression('alert.labels.x', context)).toEqual({ known: true, value });
      }),
    );
  });

  it('cannot be brought to see a metric or a field by labels of any name', () => {
    fc.assert(
      fc.property(hostileLabels, (labels) => {
        const context = { ...EMPTY_CONTEXT, alert: { labels } };
        expect(evaluateExpression('metrics.harmRate < 0.01', context).known).toBe(false);
        expect(evaluateExpression('target.riskTier == "low"', context).known).toBe(false);
      }),
    );
  });
});

describe('a text with placeholders', () => {
  it('is filled once: what is put in is not read again', () => {
    const parts = splitTemplate(`Rate of \${{ alert.labels.x }} is \${{ metrics.harmRate }}!`);
    fc.assert(
      fc.property(hostileText, (value) => {
        const filled = fillTemplate(parts, { 1: { known: true, value }, 3: { known: false } });
        expect(filled.startsWith('Rate of ')).toBe(true);
        expect(filled.endsWith(' is (unknown)!')).toBe(true);
        expect(filled).not.toMatch(/[\r\n\u2028\u0000\u001b\u202e]/);
      }),
    );
  });
});

/** An incident in which everything that somebody else can write is this text. */
function viewWith(text: string): IncidentView {
  return viewOf({
    title: text,
    targetProblem: text,
    correlation: { deployment: text },
    commander: text,
    acknowledgedBy: text,
    humanNeeded: [text],
    ticketUrl: 'https://tickets.example/1',
    alerts: [
      {
        fingerprint: 'f',
        status: 'firing',
        alertname: text,
        labels: { x: text },
        summary: text,
        startsAt: text,
        firstReceivedAtMs: 1,
        lastReceivedAtMs: 2,
        deliveries: 1,
      },
    ],
    pendingApprovals: [
      approvalOf({ summary: text, warnings: [text], changes: [text], diff: text, approvedBy: [text] }),
    ],
    steps: [{ id: 'page', uses: 'page', status: 'failed', reason: text, startedAtMs: 1, endedAtMs: 2 }],
    breaker: { state: 'open', share: 0, reason: text, fallback: 'llm-fallback' },
    breakGlass: [{ person: 'maria', step: 'rollback', atMs: 3, reason: text }],
    samples: {
      count: 1,
      from: text,
      byCategory: { [text]: 1 },
      items: [{ id: text, sha256: 'a'.repeat(64), length: 3, categories: [text], requestId: text }],
    },
    actionItems: [
      { id: 'a', lane: 'control', title: text, owner: text, due: '2026-03-01', rmfFunction: 'MANAGE' },
    ],
    timeline: [
      { seq: 1, atMs: 1, kind: 'decision', text, actor: text, data: { reason: text, text, problem: text } },
      { seq: 2, atMs: 2, kind: 'note', text: 'added a note', actor: 'maria', data: { text } },
      { seq: 3, atMs: 3, kind: 'needs-human', text, actor: 'firebreak' },
    ],
  });
}

/** Every text that Slack gets, with the kind of object that it stands in. */
function slackTexts(value: unknown, into: { type: string; text: string }[] = []): typeof into {
  if (Array.isArray(value)) for (const item of value) slackTexts(item, into);
  else if (typeof value === 'object' && value !== null) {
    const { type, text } = value as { type?: unknown; text?: unknown };
    if (typeof type === 'string' && typeof text === 'string') into.push({ type, text });
    for (const item of Object.values(value)) slackTexts(item, into);
  }
  return into;
}

describe('a Slack message', () => {
  it('mentions nobody and formats nothing, whatever stands in the incident', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const view = viewWith(text);
        for (const message of [
          renderIncident(view),
          renderEntries(view.timeline, { incidentId: 'inc-1', postedSeq: -1 }).message,
        ]) {
          expect(message.text).not.toMatch(/[<>]/);
          for (const { type, text: shown } of slackTexts(message.blocks)) {
            expect(type).not.toBe('mrkdwn');
            // Slack's documentation wants these three escaped in plain_text, too; buttons and headers hold none.
            if (type === 'plain_text') expect(shown).not.toMatch(/<[!@#]|[\r\u2028\u202e\u0000]/);
          }
        }
      }),
    );
  });
});

describe('a Markdown document', () => {
  /** Kinds of all nodes in order, with what each may be told apart by; text that is shown is left out. */
  function skeletonOf(markdown: string): string[] {
    const shape: string[] = [];
    const visit = (node: Nodes) => {
      if (node.type !== 'text') {
        const detail = node.type === 'heading' ? node.depth : node.type === 'link' ? node.url : '';
        shape.push(`${node.type} ${detail}`);
      }
      if ('children' in node) for (const child of node.children) visit(child);
    };
    visit(fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] }));
    return shape;
  }

  // Visible text: an empty cell or list item is another document for honest reasons.
  const visible = hostileText.map((text) => `${text}x`);
  const documents: [string, (view: IncidentView) => string][] = [
    ['ticket', (view) => renderTicket(view, ['llm:v2'], 0).body],
    [
      'sample comment',
      (view) => renderSamples(view.samples ?? { count: 0, from: '', byCategory: {}, items: [] }),
    ],
    ['closing comment', renderOutcome],
    ['postmortem', (view) => renderPostmortem(view, { draft: false, atMs: Date.UTC(2026, 2, 2) })],
  ];

  it.each(documents)('has the same structure whatever stands in the incident: %s', (_name, render) => {
    const wanted = skeletonOf(render(viewWith('x')));
    expect(wanted.length).toBeGreaterThan(3);
    fc.assert(
      fc.property(visible, (text) => {
        expect(skeletonOf(render(viewWith(text)))).toEqual(wanted);
      }),
    );
  });

  it('would have another one if text were put in as it is: the comparison sees it', () => {
    for (const text of ['# x', '[x](http://e)', '**x**', '<b>x', 'a\n\nx', 'www.evil.example'])
      expect(skeletonOf(`- ${text}`)).not.toEqual(skeletonOf('- x'));
  });
});
