import { describe, expect, it } from 'vitest';
import type { ActionItem, ActionLane, IncidentView } from './incident.ts';
import { withTasks } from './postmortem/tasks.ts';
import { deriveActionItems, renderPostmortem } from './postmortem.ts';

const T0 = Date.UTC(2026, 2, 1, 12);
const AT = T0 + 30 * 60_000;

/** As the default runbook leaves it: rolled back, recovered, restored. */
function rolledBack(change: Partial<IncidentView> = {}): IncidentView {
  return {
    incidentId: 'inc-3f9a1c2b7d01-0a1b2c3d',
    workflowId: 'incident-3f9a1c2b7d01',
    title: 'Harmful outputs of llm-api',
    state: 'resolved',
    outcome: 'recovered',
    severity: 'SEV1',
    mode: 'approve',
    runbook: { name: 'ai-harm-response', version: 3, hash: 'ab'.repeat(32), owner: 'ml-safety@example.com' },
    target: { cluster: 'eu-1', namespace: 'ai', kind: 'Deployment', name: 'llm-api' },
    correlation: {},
    milestones: {
      triggered: T0,
      paged: T0 + 850,
      acknowledged: T0 + 60_000,
      contained: T0 + 12_300,
      approved: T0 + 90_000,
      rolledBack: T0 + 95_000,
      recovered: T0 + 400_000,
      restored: T0 + 410_000,
      mitigated: T0 + 410_000,
      resolved: AT,
    },
    alerts: [
      {
        fingerprint: 'f1',
        status: 'resolved',
        alertname: 'AiHarmfulOutputRateHigh',
        labels: {},
        summary: 'harm rate is 8%',
        startsAt: '2026-03-01T11:58:00Z',
        firstReceivedAtMs: T0,
        lastReceivedAtMs: T0,
        deliveries: 2,
      },
    ],
    truncatedAlerts: 0,
    duplicateDeliveries: 1,
    steps: [
      {
        id: 'snapshot',
        uses: 'snapshot',
        status: 'succeeded',
        startedAtMs: T0,
        endedAtMs: T0 + 2_000,
        outputs: {
          revision: 2,
          templateHash: 'ef'.repeat(32),
          images: ['registry.example/llm:v2'],
          digests: [],
        },
      },
      {
        id: 'changes',
        uses: 'changes',
        status: 'succeeded',
        outputs: { changes: [{ atMs: T0 - 600_000, what: 'rollout of revision 2 (llm:v2)' }] },
      },
      {
        id: 'rollback',
        uses: 'rollback',
        status: 'succeeded',
        outputs: { warnings: ['ConfigMap prompts changed'] },
      },
    ],
    pendingApprovals: [],
    breaker: { state: 'closed', share: 1, reason: 'verified' },
    pages: [{ role: 'ml-oncall', channel: 'pagerduty', acceptedAtMs: T0 + 850 }],
    acknowledgedBy: 'alice',
    samples: { count: 50, from: 'outputs', byCategory: { toxicity: 30, privacy: 20 }, items: [] },
    rollback: {
      fromRevision: 2,
      toRevision: 1,
      fromImage: 'registry.example/llm:v2',
      toImage: 'registry.example/llm:v1',
      planHash: 'cd'.repeat(32),
      rollout: { outcome: 'complete', detail: '', readyReplicas: 3, wantedReplicas: 3, seconds: 41 },
    },
    verification: {
      outcome: 'recovered',
      harmful: 1,
      classified: 912,
      threshold: 0.01,
      confidence: 0.99,
      interval: [0.0001, 0.0095],
      designEffect: 1.31,
      seconds: 240,
      share: 0.1,
      unmet: [],
    },
    actionItems: [],
    humanNeeded: [],
    lastHarmRate: 0.0011,
    timeline: [
      { seq: 1, atMs: T0, kind: 'alert', text: '1 alert arrived', actor: 'firebreak' },
      {
        seq: 2,
        atMs: T0 + 90_000,
        kind: 'decision',
        text: 'approved step rollback',
        actor: 'alice',
        data: { planHash: 'cd'.repeat(32), reason: 'looks right' },
      },
    ],
    ...change,
  };
}

const notPatched = { rollback: undefined, verification: undefined, outcome: undefined };
const { rolledBack: _, ...milestonesWithoutRollback } = rolledBack().milestones;

function render(view: IncidentView, draft = false): string {
  return renderPostmortem({ ...view, actionItems: deriveActionItems(view, AT) }, { draft, atMs: AT });
}

function section(markdown: string, heading: string): string {
  return markdown.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
}

/** Undoes the escapes: what a reader of the rendered page sees. */
function shown(markdown: string): string {
  return markdown
    .replace(/\\([!-/:-@[-`{-~])/g, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&')
    .replaceAll('\u200b', '');
}

describe('renderPostmortem', () => {
  const markdown = render(rolledBack());

  it('says how long each milestone took from the arrival of the alert', () => {
    const milestones = section(markdown, 'Milestones');
    expect(milestones).toContain('| Time to page | 850 ms |');
    expect(milestones).toContain('| Time to contain | 12.3 s |');
    expect(milestones).toContain('| Time to approve | 1 m 30 s |');
    expect(milestones).toContain('| Time to mitigate | 6 m 50 s |');
  });

  it('says what was done, by whom, on which plan', () => {
    const done = shown(section(markdown, 'What was done'));
    expect(done).toContain(
      `from revision 2 (registry.example/llm:v2) to revision 1 (registry.example/llm:v1), plan hash ${'cd'.repeat(32)}`,
    );
    expect(done).toMatch(/\| alice \| approved step rollback \| (cd){32} \| looks right \|/);
    expect(done).toContain('3 of 3 replicas ready');
  });

  it('shows the evidence: samples by category, counts, interval, threshold, design effect, changes', () => {
    const evidence = shown(section(markdown, 'Evidence'));
    for (const fact of [
      '| toxicity | 30 |',
      '| Counted | 1 harmful of 912 classified outputs (0.11%) |',
      '0.01% and 0.95% (confidence 99% for each bound, 98% for both',
      '| Threshold | 1% (recovered means: proved to be below it) |',
      '1.31: harm comes in clusters (one user, one prompt), so they count as 696 independent ones',
      'rollout of revision 2',
      '| images | registry.example/llm:v2 |',
    ]) {
      expect(evidence).toContain(fact);
    }
  });

  it('shows the harm rate over time, and links the plot where the server has an address', () => {
    const harmHistory = { stepMs: 60_000, startMs: T0, harmful: [8, 0, 0], classified: [100, 0, 100] };
    const shownWith = (publicUrl?: string) =>
      renderPostmortem(rolledBack({ harmHistory }), { draft: false, atMs: AT, publicUrl });
    expect(shownWith()).toContain('`█·▁`');
    expect(shownWith()).toContain('`firebreak incident plot inc-3f9a1c2b7d01-0a1b2c3d --output harm.svg`');
    expect(shownWith('https://firebreak.example')).toContain(
      '[The plot](https://firebreak.example/api/v1/incidents/inc-3f9a1c2b7d01-0a1b2c3d/harm.svg)',
    );
    expect(markdown).not.toContain('The plot');
  });

  it('names what was missing for a proof, and what to do about it', () => {
    const unproved = { ...verification(), outcome: 'insufficient-evidence' as const, unmet: ['coverage'] };
    const evidence = shown(section(render(rolledBack({ verification: unproved })), 'Evidence'));
    expect(evidence).toMatch(
      /\| coverage \| too many requests were not classified.* \| look at the classifier/,
    );
    expect(evidence).toContain('Next: mend what is missing');
  });

  it('says what the rollback did not restore, with the warnings of the plan', () => {
    const section_ = section(markdown, 'What a rollback did not restore');
    expect(section_).toContain('ConfigMaps and Secrets');
    expect(section_).toContain('ConfigMap prompts changed');
    expect(
      section(
        render(rolledBack({ ...notPatched, milestones: milestonesWithoutRollback })),
        'What a rollback did not',
      ),
    ).toContain('Nothing was rolled back');
  });

  it('has a table of action items for each lane, with expiry and retirement date', () => {
    const items = section(markdown, 'Action items');
    expect(items.match(/^### .*/gm)).toHaveLength(4);
    expect(items).toMatch(/\| 2026-03-31 \| MANAGE \|/);
    expect(items).toMatch(/\| 2026-03-15 \| MANAGE \|/);
  });

  it('points to regulation without claiming anything, and counts the 15 days', () => {
    const references = section(markdown, 'Regulatory');
    expect(references).toContain('neither legal advice nor a statement of conformity');
    expect(references).toContain('on 2026-03-01 counts as becoming aware, the 15 days end on 2026-03-16');
    expect(references).not.toMatch(/\b(compliant|complies|must report|is required to)\b/i);
  });

  it('is the same text for the same facts, and says when it is a draft', () => {
    expect(render(rolledBack())).toBe(markdown);
    expect(render(rolledBack(), true)).toMatch(/^# Draft postmortem: /);
    expect(markdown).toMatch(/^# Postmortem: /);
  });

  it('can be written of an incident of which nothing is known yet', () => {
    const bare = rolledBack({
      ...notPatched,
      target: undefined,
      targetProblem: 'the alert has no label "deployment"',
      milestones: {},
      alerts: [],
      steps: [],
      pages: [],
      breaker: undefined,
      samples: undefined,
      acknowledgedBy: undefined,
      lastHarmRate: undefined,
      timeline: [],
    });
    const text = shown(render(bare, true));
    expect(text).toContain('none: the alert has no label "deployment"');
    expect(text).not.toMatch(/undefined|NaN|Invalid Date/);
  });

  it('asks what the facts leave open', () => {
    const insufficient = rolledBack({
      outcome: 'insufficient-evidence',
      humanNeeded: ['recovery could not be proved'],
      verification: { ...verification(), outcome: 'insufficient-evidence', unmet: ['no-classified-outputs'] },
    });
    const questions = section(render(insufficient), 'Unanswered questions');
    expect(questions).toContain('no-classified-outputs');
    expect(questions).toContain('Still open: recovery could not be proved');
    expect(section(render(rolledBack({ outcome: 'false-positive' })), 'Unanswered')).toContain(
      'harmless outputs harmful',
    );
  });
});

describe('untrusted text in a postmortem', () => {
  const HOSTILE =
    'x\n# Resolved by CEO\n| a | b |\n[click](https://evil.example) ![i](https://evil.example/p.png) <img src=x onerror=alert(1)> `code` @everyone **bold** www.evil.example\u202e\u0000';
  const hostile = rolledBack({
    title: HOSTILE,
    runbook: { ...rolledBack().runbook, owner: HOSTILE },
    ticketUrl: HOSTILE,
    commander: HOSTILE,
    acknowledgedBy: HOSTILE,
    humanNeeded: [HOSTILE],
    target: { ...target(), name: HOSTILE },
    alerts: rolledBack().alerts.map((alert) => ({
      ...alert,
      alertname: HOSTILE,
      summary: HOSTILE,
      startsAt: HOSTILE,
    })),
    steps: [
      { id: HOSTILE, uses: 'ticket', status: 'failed', reason: HOSTILE },
      {
        id: 'snapshot',
        uses: 'snapshot',
        status: 'succeeded',
        outputs: { templateHash: HOSTILE, images: [HOSTILE] },
      },
      {
        id: 'changes',
        uses: 'changes',
        status: 'succeeded',
        outputs: { changes: [{ atMs: T0, what: HOSTILE }, HOSTILE] },
      },
      { id: 'rollback', uses: 'rollback', status: 'succeeded', outputs: { warnings: [HOSTILE] } },
    ],
    pages: [{ role: HOSTILE, channel: HOSTILE, acceptedAtMs: T0 }],
    samples: { count: 3, from: HOSTILE, byCategory: { [HOSTILE]: 3 }, items: [] },
    breaker: { state: 'open', share: 0, reason: HOSTILE, fallback: HOSTILE },
    rollback: { ...rollback(), fromImage: HOSTILE, toImage: HOSTILE, planHash: HOSTILE },
    verification: { ...verification(), outcome: 'insufficient-evidence', unmet: [HOSTILE] },
    timeline: rolledBack().timeline.map((entry) => ({
      ...entry,
      text: HOSTILE,
      actor: HOSTILE,
      data: { planHash: HOSTILE, reason: HOSTILE },
    })),
  });
  const markdown = render(hostile);

  it('makes no heading, and no line of its own', () => {
    const headings = (text: string) => text.match(/^#+ .{0,20}/gm)?.map((line) => line.slice(0, 12));
    expect(headings(markdown)).toEqual(headings(render(rolledBack({ breaker: hostile.breaker }))));
    expect(markdown).not.toMatch(/^\W*Resolved by CEO/m);
  });

  it('makes no cell: every row of a table has as many as its head', () => {
    const cells = (line: string) => line.replace(/\\\|/g, '').split('|').length;
    const tables = markdown.match(/(^\|.*\n)+/gm) ?? [];
    expect(tables.length).toBeGreaterThan(8);
    for (const table of tables) expect(new Set(table.trim().split('\n').map(cells)).size).toBe(1);
  });

  it('makes no link, image, HTML, mention, code or emphasis', () => {
    for (const live of [
      /(?<!\\)\]\(/,
      /</,
      /@everyone/,
      /(?<!\\)`/,
      /(?<!\\)\*\*bold/,
      /https?:\/\/evil/,
      /www\.evil/,
      /\p{Cc}(?<!\n)/u,
      /\u202e/,
    ]) {
      expect(markdown).not.toMatch(live);
    }
  });

  it('is cut where it is too long for a line', () => {
    const long = render(rolledBack({ title: 'x'.repeat(100_000) }));
    expect(long.split('\n')[0]?.length).toBeLessThan(600);
  });
});

describe('deriveActionItems', () => {
  const lanes = (view: IncidentView): ActionLane[] => deriveActionItems(view, AT).map(({ lane }) => lane);
  const keys = (view: IncidentView): string[] =>
    deriveActionItems(view, AT).map(({ id, lane }) => id.replace(`${view.incidentId}-${lane}-`, ''));

  it('fills all four lanes after a rollback, each with owner and dates', () => {
    const items = deriveActionItems(rolledBack(), AT);
    expect(
      items.map(({ lane, title, due, expires, retires }) => ({ lane, title, due, expires, retires })),
    ).toEqual([
      {
        lane: 'control',
        title: 'Block promotion of registry.example/llm:v2 to eu-1/ai/Deployment/llm-api',
        due: '2026-03-04',
      },
      {
        lane: 'safety-debt',
        title: 'The known-bad image registry.example/llm:v2 can still be deployed',
        due: '2026-03-15',
        expires: '2026-03-31',
      },
      {
        lane: 'exception',
        title:
          'eu-1/ai/Deployment/llm-api is pinned to revision 1 (registry.example/llm:v1) until a fixed revision passes evaluation',
        due: '2026-03-15',
        retires: '2026-03-15',
      },
      {
        lane: 'assurance',
        title: 'Add the 50 sampled outputs to the evaluation set, and make it a gate of promotion',
        due: '2026-03-08',
      },
    ]);
    expect(items.every(({ owner }) => owner === 'ml-safety@example.com')).toBe(true);
  });

  it('gives the same ids again, each once', () => {
    const ids = deriveActionItems(rolledBack(), AT).map(({ id }) => id);
    expect(deriveActionItems(rolledBack(), AT + 86_400_000).map(({ id }) => id)).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each<[string, Partial<IncidentView>, string[]]>([
    [
      'rejected: the harmful revision still runs, behind a diversion',
      {
        ...notPatched,
        outcome: 'rejected',
        milestones: milestonesWithoutRollback,
        steps: [{ id: 'rollback', uses: 'rollback', status: 'rejected', reason: 'no' }],
        breaker: { state: 'open', share: 0, reason: 'harm', fallback: 'llm-fallback' },
      },
      ['remedy', 'harmful-revision-deployed', 'evaluation-set', 'diverted'],
    ],
    [
      'the revision before is harmful too',
      {
        outcome: 'not-recovered',
        verification: { ...verification(), outcome: 'not-recovered' },
        breaker: { state: 'open', share: 0, reason: 'harm', fallback: 'llm-fallback' },
      },
      ['block-promotion', 'no-good-revision', 'pinned', 'evaluation-set', 'onset', 'diverted'],
    ],
    [
      'no traffic to verify on',
      {
        outcome: 'insufficient-evidence',
        verification: {
          ...verification(),
          outcome: 'insufficient-evidence',
          classified: 0,
          unmet: ['minimum-exposure'],
        },
        breaker: { state: 'half-open', share: 0.1, reason: 'verifying' },
      },
      [
        'block-promotion',
        'known-bad-deployable',
        'pinned',
        'evaluation-set',
        'verification-evidence',
        'diverted',
      ],
    ],
    [
      'rolled-back pods never became ready',
      {
        outcome: 'not-recovered',
        verification: undefined,
        rollback: { ...rollback(), rollout: { ...rollout(), outcome: 'deadline', readyReplicas: 0 } },
      },
      ['block-promotion', 'known-bad-deployable', 'pinned', 'evaluation-set', 'rehearse-rollback'],
    ],
    [
      'false positive, rolled back',
      { outcome: 'false-positive' },
      ['tune-classifier', 'review-alert-rule', 'pinned'],
    ],
    [
      'false positive, nothing done',
      { ...notPatched, outcome: 'false-positive', milestones: milestonesWithoutRollback },
      ['tune-classifier', 'review-alert-rule'],
    ],
    [
      'observed only',
      {
        ...notPatched,
        mode: 'observe',
        milestones: milestonesWithoutRollback,
        steps: [{ id: 'rollback', uses: 'rollback', status: 'would-have' }],
        breaker: undefined,
        samples: undefined,
      },
      ['remedy', 'harmful-revision-deployed', 'sampling'],
    ],
    [
      'no target, a failed ticket, nobody there, alerts cut off',
      {
        ...notPatched,
        target: undefined,
        targetProblem: 'no label',
        milestones: { triggered: T0 },
        steps: [{ id: 'ticket', uses: 'ticket', status: 'failed', reason: '503' }],
        breaker: undefined,
        truncatedAlerts: 12,
      },
      ['remedy', 'evaluation-set', 'target', 'step-ticket', 'nobody-acknowledged', 'truncated-alerts'],
    ],
  ])('%s', (_name, change, expected) => {
    expect(keys(rolledBack(change))).toEqual(expected);
  });

  it('blocks both images when both are harmful', () => {
    const view = rolledBack({ verification: { ...verification(), outcome: 'not-recovered' } });
    expect(deriveActionItems(view, AT)[0]?.title).toContain('llm:v2 and registry.example/llm:v1');
  });

  it('says that reviewers found outputs harmless only where they did, with what they counted', () => {
    const tuning = (reviewed?: NonNullable<IncidentView['samples']>['reviewed']) => {
      const { samples } = rolledBack();
      const view = rolledBack({ outcome: 'false-positive', samples: { ...present(samples), reviewed } });
      return present(deriveActionItems(view, AT).find(({ id }) => id.endsWith('tune-classifier')));
    };
    const counted = (harmful: number, benign: number) => ({ harmful, benign, unsure: 0, disagreed: [] });
    expect(tuning()).toMatchObject({
      title: expect.not.stringContaining('reviewers'),
      evidence: expect.stringContaining('none of them was reviewed'),
    });
    expect(tuning(counted(3, 1)).title).not.toContain('reviewers');
    const benign = tuning({ ...counted(1, 3), precision: { value: 0.25, low: 0.05, high: 0.7 } });
    expect(benign.title).toContain('reviewers judged most of the sampled outputs');
    expect(benign.evidence).toContain('1 of 4 reviewed samples are harmful');
  });

  it('gives every safety debt an expiry and every exception a retirement date, whatever happened', () => {
    for (const outcome of ['recovered', 'not-recovered', 'rejected', 'false-positive', undefined] as const) {
      for (const state of ['open', 'closed'] as const) {
        const view = rolledBack({ outcome, breaker: { state, share: 0, reason: 'r' } });
        expect(lanes(view).length).toBeGreaterThan(0);
        for (const item of deriveActionItems(view, AT)) {
          expect(item.expires !== undefined).toBe(item.lane === 'safety-debt');
          expect(item.retires !== undefined).toBe(item.lane === 'exception');
          expect(item.due <= (item.expires ?? item.retires ?? item.due)).toBe(true);
        }
      }
    }
  });
});

function verification(): NonNullable<IncidentView['verification']> {
  return present(rolledBack().verification);
}
function rollback(): NonNullable<IncidentView['rollback']> {
  return present(rolledBack().rollback);
}
function rollout() {
  return present(rollback().rollout);
}
function target(): NonNullable<IncidentView['target']> {
  return present(rolledBack().target);
}
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the fixture lost a part');
  return value;
}

describe('tasks of steps', () => {
  const task: ActionItem = {
    id: 'inc-3f9a1c2b7d01-0a1b2c3d-exception-task-pin',
    lane: 'exception',
    title: 'Keep it pinned\n## Injected',
    owner: 'team <!channel> @here',
    due: '2026-03-20',
    retires: '2026-04-01',
    rmfFunction: 'GOVERN',
    step: 'pin',
  };

  it('stand beside those that follow from the facts, once, however often these are derived anew', () => {
    const derived = deriveActionItems(rolledBack(), AT);
    const once = deriveActionItems(rolledBack({ actionItems: [...derived, task] }), AT);
    expect(once).toEqual([...derived, task]);
    expect(deriveActionItems(rolledBack({ actionItems: once }), AT)).toEqual(once);
  });

  it('are not lost to a postmortem that did not know them, and not doubled by one that did', () => {
    const written = deriveActionItems(rolledBack(), AT);
    expect(withTasks(written, [task])).toEqual([...written, task]);
    expect(withTasks([...written, task], [task])).toEqual([...written, task]);
    // What only followed from the facts of an earlier draft goes with them.
    expect(withTasks([], written)).toEqual([]);
  });

  it('are plain text in the postmortem', () => {
    const text = renderPostmortem(rolledBack({ actionItems: [task] }), { draft: false, atMs: AT });
    expect(text).toContain('Keep it pinned');
    expect(text.split('\n')).not.toContain('## Injected');
    expect(text).not.toContain('<!channel>');
    expect(text).not.toMatch(/@here/);
  });
});

describe('break-glass', () => {
  const uses = [
    {
      person: 'kim',
      step: 'rollback',
      atMs: T0 + 80_000,
      reason: 'nobody answers\n## Injected [x](http://evil)',
    },
  ];

  it('is a section that names each use, with its reason as plain text', () => {
    const text = renderPostmortem(rolledBack({ breakGlass: uses }), { draft: false, atMs: AT });
    const section = text.split('## Break-glass\n')[1]?.split('\n## ')[0] ?? '';
    expect(section).toContain('2026-03-01T12:01:20.000Z');
    expect(section).toMatch(/\| kim \| rollback \| nobody answers/);
    expect(section).not.toContain('[x](');
    expect(text.split('\n')).not.toContain('## Injected [x](http://evil)');
    expect(text).toContain('was approving alone right?');
    expect(renderPostmortem(rolledBack(), { draft: false, atMs: AT })).not.toContain('Break-glass');
  });

  it('leaves a review to the owner of the runbook, due in a week', () => {
    const item = deriveActionItems(rolledBack({ breakGlass: uses }), AT).find(({ id }) =>
      id.endsWith('break-glass'),
    );
    expect(item).toMatchObject({
      lane: 'control',
      owner: 'ml-safety@example.com',
      due: '2026-03-08',
      evidence: 'kim approved step rollback alone',
    });
    expect(deriveActionItems(rolledBack(), AT).some(({ id }) => id.endsWith('break-glass'))).toBe(false);
  });
});
