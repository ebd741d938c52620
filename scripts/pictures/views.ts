/** One incident at several moments: what the pictures show. Written down, so that they change only with the code. */
import type { IncidentView, TimelineEntry } from '../../domain/incident.ts';
import { approvalOf, viewOf } from '../../webhooks/test-support/incident.ts';

const START_MS = Date.UTC(2026, 2, 1, 2, 58);
const at = (minutes: number) => START_MS + minutes * 60_000;

/** Harm in per mille, minute by minute, from a quarter of an hour before the alert. */
const HARM = [1, 0, 1, 2, 1, 0, 1, 1, 0, 2, 1, 9, 38, 74, 81, 79, 82, 80, 78, 83, 81, 80];
const RECOVERED = [40, 12, 4, 1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1];

function history(perMille: readonly number[]): NonNullable<IncidentView['harmHistory']> {
  const classified = perMille.map((_, index) => 1_180 + ((index * 37) % 90));
  return {
    stepMs: 60_000,
    startMs: at(-15),
    harmful: perMille.map((rate, index) => Math.round(((classified[index] ?? 0) * rate) / 1_000)),
    classified,
  };
}

function entries(
  rows: readonly [minutes: number, kind: TimelineEntry['kind'], text: string, actor?: string][],
) {
  return rows.map(([minutes, kind, text, actor = 'firebreak'], index) => ({
    seq: index + 1,
    atMs: Math.round(at(minutes)),
    kind,
    text,
    actor,
  }));
}

const OPENED = entries([
  [0, 'alert', 'Opened by AiHarmfulOutputRateHigh, severity SEV1'],
  [0.03, 'page', 'ml-oncall paged by pagerduty'],
  [0.05, 'page', 'security-oncall paged by grafana-irm'],
  [0.2, 'breaker', 'Traffic diverted to llm-fallback'],
  [0.4, 'milestone', 'Contained: no request reaches llm-api any more'],
  [0.9, 'evidence', 'Snapshot taken: template, 3 digests, 4 referenced objects'],
  [1.2, 'evidence', '50 samples attached to the ticket'],
  [2, 'decision', 'acknowledged', 'maria'],
  [2.5, 'decision', 'Approval of rollback asked'],
]);

const ALERT: IncidentView['alerts'][number] = {
  fingerprint: '0a1b2c3d4e5f6071',
  alertname: 'AiHarmfulOutputRateHigh',
  status: 'firing',
  labels: { cluster: 'local', namespace: 'models', deployment: 'llm-api' },
  summary: 'More than 5% of the outputs of models/llm-api are harmful',
  startsAt: new Date(at(-0.2)).toISOString(),
  firstReceivedAtMs: at(0),
  lastReceivedAtMs: at(0),
  deliveries: 1,
};

const COMMON: Partial<IncidentView> = {
  title: 'AiHarmfulOutputRateHigh: models/llm-api',
  alerts: [ALERT],
  runbook: { name: 'ai-harm-response', version: 3, hash: 'f'.repeat(64), owner: 'ml-safety@example.com' },
  ticketUrl: 'https://github.com/acme/ai-operations/issues/482',
  pages: [
    { role: 'ml-oncall', channel: 'pagerduty', acceptedAtMs: at(0.03) },
    { role: 'security-oncall', channel: 'grafana-irm', acceptedAtMs: at(0.05) },
  ],
  breaker: { state: 'open', share: 0, reason: 'harm rate 8%', fallback: 'llm-fallback' },
};

/** Just opened: what the ticket and the pages are made of. */
export const ALERTED: IncidentView = viewOf({
  ...COMMON,
  state: 'triggered',
  milestones: { triggered: at(0) },
  pages: [],
  breaker: { state: 'closed', share: 1, reason: '' },
  pendingApprovals: [],
  timeline: OPENED.slice(0, 1),
  steps: [{ id: 'ticket', uses: 'ticket', status: 'running', startedAtMs: at(0) }],
});

export const WAITING: IncidentView = viewOf({
  ...COMMON,
  state: 'contained',
  milestones: { triggered: at(0), paged: at(0.03), contained: at(0.4), acknowledged: at(2) },
  acknowledgedBy: 'maria',
  commander: 'kim',
  commanderSinceMs: at(4),
  lastHarmRate: 0.081,
  harmHistory: history(HARM),
  timeline: OPENED,
  updates: [
    { atMs: at(5), by: 'kim', text: 'Users are served by the fallback model; a rollback is being approved.' },
  ],
  updateDueAtMs: at(35),
  samples: {
    count: 50,
    from: 'outputs',
    byCategory: { 'self-harm': 31, violence: 19 },
    items: [],
    reviewed: {
      harmful: 11,
      benign: 1,
      unsure: 1,
      disagreed: [],
      precision: { value: 11 / 12, low: 0.646, high: 0.985 },
    },
  },
  steps: [
    { id: 'page', uses: 'page', status: 'succeeded', startedAtMs: at(0), endedAtMs: at(0.05) },
    { id: 'divert', uses: 'divert', status: 'succeeded', startedAtMs: at(0), endedAtMs: at(0.4) },
    { id: 'snapshot', uses: 'snapshot', status: 'succeeded', startedAtMs: at(0), endedAtMs: at(0.9) },
    { id: 'ticket', uses: 'ticket', status: 'succeeded', startedAtMs: at(0), endedAtMs: at(0.1) },
    { id: 'sample', uses: 'sample', status: 'succeeded', startedAtMs: at(0), endedAtMs: at(1.2) },
    { id: 'rollback', uses: 'rollback', status: 'awaiting-approval', startedAtMs: at(2.5) },
    { id: 'verify', uses: 'verify', status: 'pending' },
    { id: 'restore', uses: 'restore', status: 'pending' },
  ],
  pendingApprovals: [
    approvalOf({
      summary:
        'Roll Deployment models/llm-api back from revision 42 (registry.example.com/llm-api:2026-03-01) to revision 41 (registry.example.com/llm-api:2026-02-20)',
      fromRevision: 42,
      toRevision: 41,
      fromImage: 'registry.example.com/llm-api:2026-03-01',
      toImage: 'registry.example.com/llm-api:2026-02-20',
      fromServed: { classified: 12_310, harmful: 988, seconds: 600 },
      toServed: { classified: 1_204_551, harmful: 1_018, seconds: 777_600 },
      warnings: ['ConfigMap llm-api-prompts was changed since revision 41 and is not restored'],
      changes: ['02:51 rollout of revision 42', '02:49 ConfigMap llm-api-prompts'],
      diff: [
        ' containers:',
        '   - name: llm',
        '-    image: registry.example.com/llm-api:2026-03-01',
        '+    image: registry.example.com/llm-api:2026-02-20',
        '     env:',
        '-      - { name: GUARD_THRESHOLD, value: (hidden) }',
      ].join('\n'),
      requestedAtMs: at(2.5),
      expiresAtMs: at(12.5),
    }),
  ],
});

/** Nobody has acknowledged, and a step has failed. */
export const NEEDS_HUMAN: IncidentView = viewOf({
  ...COMMON,
  state: 'needs-human',
  milestones: { triggered: at(0), paged: at(0.03), contained: at(0.4) },
  lastHarmRate: 0.079,
  harmHistory: history(HARM),
  pendingApprovals: [],
  humanNeeded: ['step rollback failed: the Deployment is paused; resume it, then retry the step'],
  timeline: OPENED.slice(0, 7),
  steps: [
    { id: 'divert', uses: 'divert', status: 'succeeded', startedAtMs: at(0), endedAtMs: at(0.4) },
    {
      id: 'rollback',
      uses: 'rollback',
      status: 'failed',
      startedAtMs: at(1),
      endedAtMs: at(2),
      reason: 'the Deployment is paused',
    },
    { id: 'verify', uses: 'verify', status: 'pending' },
  ],
});

export const CLOSED: IncidentView = viewOf({
  ...COMMON,
  alerts: [{ ...ALERT, status: 'resolved', lastReceivedAtMs: at(12), resolvedAtMs: at(12), deliveries: 2 }],
  state: 'closed',
  outcome: 'recovered',
  milestones: {
    triggered: at(0),
    paged: at(0.03),
    contained: at(0.4),
    acknowledged: at(2),
    approved: at(6),
    rolledBack: at(8),
    recovered: at(20),
    restored: at(24),
    mitigated: at(24),
    resolved: at(54),
    closed: at(55),
  },
  acknowledgedBy: 'maria',
  commander: 'kim',
  commanderSinceMs: at(4),
  lastHarmRate: 0.0004,
  harmHistory: history([...HARM, ...RECOVERED]),
  breaker: { state: 'closed', share: 1, reason: 'restored' },
  pendingApprovals: [],
  rollback: {
    fromRevision: 42,
    toRevision: 41,
    fromImage: 'registry.example.com/llm-api:2026-03-01',
    toImage: 'registry.example.com/llm-api:2026-02-20',
    planHash: 'a'.repeat(64),
    rollout: { outcome: 'complete', detail: 'rolled out', readyReplicas: 6, wantedReplicas: 6, seconds: 118 },
  },
  verification: {
    outcome: 'recovered',
    harmful: 1,
    classified: 2_412,
    threshold: 0.01,
    confidence: 0.99,
    interval: [0.00001, 0.0031],
    designEffect: 1.2,
    seconds: 720,
    share: 0.1,
    unmet: [],
  },
  timeline: entries([
    [6, 'decision', 'approved step rollback', 'maria'],
    [8, 'rollback', 'Rolled back; revision 43 is ready on 6 of 6 replicas'],
    [20, 'verification', 'Recovered: 1 of 2,412 outputs harmful'],
    [24, 'breaker', 'All traffic is back'],
    [55, 'milestone', 'Closed: the postmortem is written'],
  ]),
  steps: [{ id: 'rollback', uses: 'rollback', status: 'succeeded', startedAtMs: at(2.5), endedAtMs: at(8) }],
});

const DRILL_STARTED_MS = START_MS;

/** A drill that has ended: everybody answered, and nothing was changed. */
export const DRILLED: Partial<IncidentView> = {
  title: 'DRILL: FirebreakDrill: models/llm-api',
  state: 'closed',
  outcome: 'drill',
  pendingApprovals: [],
  chatShown: true,
  acknowledgedBy: 'mara',
  milestones: {
    triggered: DRILL_STARTED_MS,
    acknowledged: DRILL_STARTED_MS + 41_000,
    resolved: DRILL_STARTED_MS + 95_000,
    closed: DRILL_STARTED_MS + 96_000,
  },
  pages: [
    { role: 'ml-oncall', channel: 'pagerduty', acceptedAtMs: DRILL_STARTED_MS + 2_000 },
    { role: 'security-oncall', channel: 'pagerduty', acceptedAtMs: DRILL_STARTED_MS + 2_000 },
  ],
  breaker: { state: 'closed', share: 1, reason: '' },
  timeline: entries([
    [0, 'alert', 'Opened by FirebreakDrill, severity SEV3'],
    [0.03, 'page', 'ml-oncall paged by pagerduty'],
    [0.03, 'page', 'security-oncall paged by pagerduty'],
    [0.68, 'decision', 'acknowledged', 'mara'],
  ]),
  steps: [
    { id: 'page', uses: 'page', status: 'succeeded' },
    {
      id: 'divert',
      uses: 'divert',
      status: 'would-have',
      reason: 'a drill changes nothing; llm-fallback could take the traffic now',
    },
    {
      id: 'rollback',
      uses: 'rollback',
      status: 'would-have',
      reason:
        'approved; a drill changes nothing; Roll Deployment models/llm-api back from revision 42 to revision 41',
    },
  ],
};

/** Samples as an incident keeps them: nothing of their text. */
export const SAMPLED: NonNullable<IncidentView['samples']> = {
  count: 4,
  from: 'outputs-db',
  byCategory: { 'self-harm': 2, violence: 2 },
  items: [
    ['out-88213', 's-5d0c19e7aa', 412, 'self-harm', 7],
    ['out-88207', 's-1a2b3c4d5e', 388, 'violence', 0],
    ['out-88191', 's-9f41c07b32', 1_204, 'self-harm', 2],
    ['out-88164', 's-c3e8810d4f', 96, 'violence', 0],
  ].map(([id, ref, length, category, similar]) => ({
    id: String(id),
    ref: String(ref),
    sha256: 'a'.repeat(64),
    length: Number(length),
    categories: [String(category)],
    requestId: '',
    link: `https://logs.example.com/outputs/${id}`,
    kept: true,
    ...(similar === 0 ? {} : { similar: Number(similar) }),
  })),
};
