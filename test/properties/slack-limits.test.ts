/** Whatever stands in an incident, Slack takes its message: a refused message is one that nobody sees. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../activities/slack/blocks.ts';
import { renderEntries } from '../../activities/slack/entries.ts';
import { MAX_MESSAGE } from '../../activities/slack/limits.ts';
import { renderIncident } from '../../activities/slack/render.ts';
import { roomNames } from '../../activities/slack/room-name.ts';
import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import {
  listMessage,
  plainMessage,
  planMessage,
  postmortemMessage,
  statusMessage,
  timelineMessage,
} from '../../webhooks/slack/render.ts';
import { problemsOfMessage } from '../../webhooks/test-support/block-kit.ts';
import { approvalOf, viewOf } from '../../webhooks/test-support/incident.ts';
import { hostileText } from './hostile-text.ts';

/** Short, and as long as nobody should write it. */
const anyText = fc.oneof(
  { weight: 2, arbitrary: hostileText },
  {
    weight: 1,
    arbitrary: fc
      .tuple(hostileText, fc.integer({ min: 1, max: 800 }))
      .map(([text, times]) => `${text}&`.repeat(times)),
  },
);
const anyTexts = fc.array(anyText, { maxLength: 30 });
const anyMs = fc.integer({ min: 0, max: 4e12 });
const anyCount = fc.oneof(fc.nat(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -1, 1e300));

const anyApproval: fc.Arbitrary<PendingApproval> = fc
  .record({
    step: anyText,
    planHash: anyText,
    summary: anyText,
    warnings: anyTexts,
    diff: anyText,
    changes: anyTexts,
    groups: anyTexts,
    approvedBy: anyTexts,
    fromRevision: fc.nat(),
    toRevision: fc.nat(),
    fromImage: anyText,
    toImage: anyText,
    fromServed: fc.record({ classified: anyCount, harmful: anyCount, seconds: anyCount }),
    count: fc.nat(9),
    breakGlass: fc.boolean(),
    requestedAtMs: anyMs,
    expiresAtMs: anyMs,
  })
  .map((change) => approvalOf(change));

const anyView: fc.Arbitrary<IncidentView> = fc
  .record(
    {
      title: anyText,
      state: fc.constantFrom(
        'triggered',
        'needs-human',
        'verifying',
        'mitigated',
        'resolved',
        'closed' as const,
      ),
      severity: fc.constantFrom('SEV1', 'SEV4' as const),
      targetProblem: anyText,
      target: fc.constant(undefined),
      commander: anyText,
      commanderSinceMs: anyMs,
      acknowledgedBy: anyText,
      ticketUrl: anyText,
      lastHarmRate: anyCount,
      humanNeeded: anyTexts,
      pendingApprovals: fc.array(anyApproval, { maxLength: 8 }),
      pages: fc.array(fc.record({ role: anyText, channel: anyText, acceptedAtMs: anyMs }), { maxLength: 9 }),
      updates: fc.array(fc.record({ atMs: anyMs, by: anyText, text: anyText }), { maxLength: 9 }),
      updateDueAtMs: anyMs,
      breaker: fc.record({
        state: fc.constantFrom('open', 'closed' as const),
        share: anyCount,
        reason: anyText,
        fallback: anyText,
      }),
      harmHistory: fc.record({
        stepMs: fc.integer({ min: -1, max: 1e9 }),
        startMs: anyMs,
        harmful: fc.array(anyCount, { maxLength: 300 }),
        classified: fc.array(anyCount, { maxLength: 300 }),
      }),
      verification: fc.record({
        outcome: fc.constantFrom('recovered', 'insufficient-evidence' as const),
        harmful: fc.nat(),
        classified: fc.nat(),
        threshold: fc.double({ min: 0, max: 1, noNaN: true }),
        confidence: fc.constant(0.99),
        interval: fc.constant<[number, number]>([0, 1]),
        designEffect: fc.constant(1),
        seconds: fc.nat(),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
        unmet: anyTexts,
      }),
    },
    { requiredKeys: [] },
  )
  .map((change) => viewOf(change as Partial<IncidentView>));

describe("Slack's limits", () => {
  it('hold for the message of any incident', () => {
    fc.assert(
      fc.property(anyView, fc.option(anyText, { nil: undefined }), (view, roomProblem) => {
        const { text, blocks } = renderIncident(view, { roomProblem });
        expect(problemsOfMessage(blocks)).toEqual([]);
        expect(sizeOf(blocks)).toBeLessThanOrEqual(MAX_MESSAGE);
        // Whatever is cut, it is not what everybody needs.
        if (view.state !== 'closed' && view.state !== 'resolved')
          expect(JSON.stringify(blocks)).toContain('firebreak_escalate');
        expect(text.length).toBeGreaterThan(0);
        expect(text.length).toBeLessThanOrEqual(4_000);
      }),
    );
  });

  it('hold for the timeline, and every entry comes in one of its messages', () => {
    const anyEntries = fc.array(fc.record({ text: anyText, actor: anyText }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(anyEntries, (texts) => {
        const entries = texts.map((one, seq) => ({ ...one, seq, atMs: seq, kind: 'note' as const }));
        let left: readonly (typeof entries)[number][] = entries;
        while (left.length > 0) {
          const postedSeq = (left[0]?.seq ?? 0) - 1;
          const rendered = renderEntries(left, { incidentId: 'inc-1', postedSeq });
          expect(problemsOfMessage(rendered.message.blocks)).toEqual([]);
          expect(sizeOf(rendered.message.blocks)).toBeLessThanOrEqual(MAX_MESSAGE);
          expect(rendered.left.length).toBeLessThan(left.length);
          left = rendered.left as typeof left;
        }
      }),
    );
  });

  it('hold for the answers to one person, and the latest of a timeline is in its', () => {
    fc.assert(
      fc.property(anyView, anyTexts, (view, texts) => {
        const entries = texts.map((text, seq) => {
          return { seq, atMs: 0, kind: 'note' as const, text, actor: text, data: { text } };
        });
        const latest = { seq: 99, atMs: 0, kind: 'note' as const, text: 'THE LATEST', actor: 'mara' };
        const timeline = timelineMessage(view, [...entries, latest], texts[0]);
        expect(JSON.stringify(timeline.blocks)).toContain('THE LATEST');
        const postmortem = { markdown: texts.join('\n'), draft: true, atMs: 0 };
        for (const { text, blocks } of [
          timeline,
          statusMessage(view, texts[0]),
          listMessage([view, view], texts),
          postmortemMessage('inc-1', postmortem as never),
          plainMessage(texts.join('\n')),
          ...view.pendingApprovals.map((pending) => planMessage(view, pending)),
        ]) {
          expect(problemsOfMessage(blocks)).toEqual([]);
          expect(text.length).toBeLessThanOrEqual(4_000);
        }
      }),
    );
  });

  it('hold for the names of channels', () => {
    fc.assert(
      fc.property(hostileText, anyText, anyText, (prefix, id, name) => {
        const target = { cluster: 'local', namespace: 'ai', kind: 'Deployment' as const, name };
        for (const room of roomNames({ incidentId: id, target }, prefix))
          expect(room).toMatch(/^[a-z0-9_-]{1,80}$/);
      }),
    );
  });
});
