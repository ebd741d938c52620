import { describe, expect, it } from 'vitest';
import type { ActionItem, IncidentView } from './incident.ts';
import { renderOutcome, renderVerification } from './ticket.ts';
import { renderActionItem } from './ticket-item.ts';
import { mayClose, ticketStatus } from './ticket-status.ts';

const T0 = Date.UTC(2026, 2, 1, 10);

function incident(change: Partial<IncidentView> = {}): IncidentView {
  return {
    incidentId: 'inc-3f9a1c2b7d01-0a1b2c3d',
    workflowId: 'incident-3f9a1c2b7d01',
    title: 'Harmful outputs of llm-api',
    state: 'needs-human',
    outcome: 'insufficient-evidence',
    severity: 'SEV1',
    mode: 'approve',
    runbook: { name: 'ai-harm-response', version: 3, hash: 'ab', owner: 'ml-safety@example.com' },
    correlation: {},
    milestones: { triggered: T0 },
    alerts: [],
    truncatedAlerts: 0,
    duplicateDeliveries: 0,
    steps: [],
    pendingApprovals: [],
    pages: [],
    verification: {
      outcome: 'insufficient-evidence',
      harmful: 0,
      classified: 120,
      threshold: 0.01,
      confidence: 0.99,
      interval: [0, 0.07],
      designEffect: 2,
      seconds: 1_800,
      share: 0.1,
      unmet: ['minimum-exposure'],
    },
    harmHistory: { stepMs: 60_000, startMs: T0, harmful: [8, 0, 0], classified: [100, 0, 100] },
    actionItems: [],
    humanNeeded: [],
    timeline: [],
    ...change,
  };
}

describe('the comment about the verdict', () => {
  it('has the numbers of the verdict as a table, what is missing, and what to do about it', () => {
    const comment = renderVerification(incident()).replaceAll('\\', '');
    for (const line of [
      'Verification: insufficient-evidence: neither recovery nor harm is proved, so it does not count as healthy.',
      '| Counted | 0 harmful of 120 classified outputs (0%) |',
      '| Time observed | 30 m 00 s |',
      "| Share of traffic | 10% of the target's traffic |",
      '| minimum-exposure | too few outputs were classified to prove anything | give it more traffic (a larger share) or more time (a longer timeout) |',
    ]) {
      expect(comment.split('\n')).toContain(line);
    }
  });

  it('has the harm rate as a line with its words', () => {
    expect(renderVerification(incident())).toContain('Harm rate: `█·▁`');
  });

  it('says no more than is known', () => {
    expect(renderVerification(incident({ verification: undefined, harmHistory: undefined }))).toBe('');
  });
});

const ITEM: ActionItem = {
  id: 'inc-1-safety-debt-known-bad-deployable',
  lane: 'safety-debt',
  title: 'The known-bad image <b>@all</b> can still be deployed',
  owner: 'ml-safety@example.com',
  due: '2026-03-15',
  expires: '2026-03-31',
  rmfFunction: 'MANAGE',
};

describe('the closing comment', () => {
  it('names the outcome and the action items, each with its ticket where it has one', () => {
    const view = incident({ actionItems: [ITEM] });
    const filed = { [ITEM.id]: { key: 'OPS-2', url: 'https://acme.example/browse/OPS-2' } };
    const comment = renderOutcome(view, filed);
    expect(comment).toContain('outcome: insufficient-evidence');
    expect(comment).toContain('[OPS\\-2](https://acme.example/browse/OPS-2) safety-debt: ');
    expect(comment).toContain('due 2026-03-15, expires 2026-03-31)');
    expect(comment).not.toMatch(/<b>|@all/);
    expect(renderOutcome(view)).not.toContain('](');
  });

  it('links no address that is none', () => {
    const filed = { [ITEM.id]: { key: 'OPS-2', url: 'javascript:alert(1)' } };
    expect(renderOutcome(incident({ actionItems: [ITEM] }), filed)).not.toContain('javascript');
  });

  it('says no more than is known', () => {
    const bare = renderOutcome(incident({ verification: undefined, harmHistory: undefined }));
    expect(bare).not.toMatch(/Verification|plot|undefined|Action items/);
  });
});

describe('the section that follows the incident', () => {
  it('has the same text for the same state, and what people wait for', () => {
    const view = incident({
      humanNeeded: [
        'step rollback failed: <script>',
        ...Array.from({ length: 7 }, (_, at) => `reason ${at}`),
      ],
      breaker: { state: 'half-open', share: 0.1, reason: 'x', fallback: 'llm-fallback' },
    });
    const status = ticketStatus(view);
    expect(status).toEqual(ticketStatus({ ...view, lastHarmRate: 0.5 }));
    expect(status.markdown).toContain('- Traffic: 10% reaches the target, the rest goes to llm\\-fallback');
    expect(status.markdown).toContain('for 3 more reasons');
    expect(status.markdown).not.toContain('<script>');
  });

  it('lets policy close only what is over', () => {
    expect(mayClose('recovered')).toBe(true);
    expect(mayClose('false-positive')).toBe(true);
    expect(mayClose('drill')).toBe(true);
    for (const outcome of ['not-recovered', 'insufficient-evidence', 'rejected', 'handed-over'] as const) {
      expect(mayClose(outcome)).toBe(false);
    }
    expect(mayClose(undefined)).toBe(false);
  });
});

describe('an action item', () => {
  it('has owner, due date, lane and expiry, and nothing that a reader takes for markup', () => {
    const body = renderActionItem(ITEM, 'inc-1').replaceAll('\\', '');
    expect(body).toContain('| Due | 2026-03-15 |');
    expect(body).toContain('| Expires | 2026-03-31 |');
    expect(body).toMatch(/\| Lane \| safety debt/);
    expect(body).not.toMatch(/<b>|@all|Retires|undefined/);
  });
});
