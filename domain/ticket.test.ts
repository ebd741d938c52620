import { describe, expect, it } from 'vitest';
import type { IncidentView } from './incident.ts';
import { renderOutcome } from './ticket.ts';

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

describe('the closing comment', () => {
  it('has the numbers of the verdict as a table, what is missing, and what to do about it', () => {
    const comment = renderOutcome(incident()).replaceAll('\\', '');
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

  it('has the harm rate as a line with its words, and says where the plot is', () => {
    const comment = renderOutcome(incident());
    expect(comment).toContain('Harm rate: `█·▁`');
    expect(comment).toContain('`firebreak incident plot inc-3f9a1c2b7d01-0a1b2c3d --output harm.svg`');
    expect(comment).not.toContain('](http');
    expect(renderOutcome(incident(), 'https://firebreak.example/base/')).toContain(
      '[The plot](https://firebreak.example/base/api/v1/incidents/inc-3f9a1c2b7d01-0a1b2c3d/harm.svg)',
    );
  });

  it('says no more than is known', () => {
    const bare = renderOutcome(incident({ verification: undefined, harmHistory: undefined }));
    expect(bare).not.toMatch(/Verification|plot|undefined/);
  });
});
