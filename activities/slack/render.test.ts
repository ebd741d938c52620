import { describe, expect, it } from 'vitest';
import type { PendingApproval, TimelineEntry } from '../../domain/incident.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../../webhooks/test-support/incident.ts';
import { sizeOf } from './blocks.ts';
import { renderEntries } from './entries.ts';
import { MAX_MESSAGE } from './limits.ts';
import { renderIncident } from './render.ts';

const HOSTILE = '@channel <!channel> <@U1> # heading [x](http://e) <script> *bold* `c` :fire:';

/** Every object in the blocks, at any depth. */
function objectsIn(value: unknown): Record<string, unknown>[] {
  if (Array.isArray(value)) return value.flatMap(objectsIn);
  if (typeof value !== 'object' || value === null) return [];
  return [value as Record<string, unknown>, ...Object.values(value).flatMap(objectsIn)];
}

const textsIn = (blocks: unknown) =>
  objectsIn(blocks).flatMap(({ text }) => (typeof text === 'string' ? [text] : []));
const buttonsIn = (blocks: unknown) => objectsIn(blocks).filter(({ type }) => type === 'button');

function entryOf(seq: number, text: string): TimelineEntry {
  return { seq, atMs: Date.UTC(2026, 2, 1, 10, 0, seq), kind: 'step', text, actor: 'firebreak' };
}

describe('renderIncident', () => {
  it('shows state, severity, target, harm rate and who waits for whom', () => {
    const { text, blocks } = renderIncident(
      viewOf({ lastHarmRate: 0.081, humanNeeded: ['the fallback is unhealthy'] }),
    );
    const shown = textsIn(blocks).join('\n');
    for (const part of [
      '[SEV1] Harmful outputs of models/llm-api',
      'State\ncontained',
      'Target\nlocal/models/Deployment/llm-api',
      'Harm rate\n8.1% when last looked',
      'Traffic\nopen: 0% to the target, the rest to llm-fallback',
      'A human is needed: the fallback is unhealthy',
      'Step rollback waits for approval since 10:01 UTC, until 10:11 UTC (0 of 1 from ml-oncall or commander)',
      'Approve or reject step rollback by 10:11 UTC: 1 of ml-oncall or commander.',
      'Nobody has acknowledged it yet',
      INCIDENT_ID,
    ]) {
      expect(shown).toContain(part);
    }
    expect(text).toBe(
      '[SEV1] Harmful outputs of models/llm-api is contained. A human is needed: the fallback is unhealthy',
    );
  });

  it('shows the plan that waits, with buttons that decide on exactly it', () => {
    const { blocks } = renderIncident(viewOf());
    const shown = textsIn(blocks).join('\n');
    expect(shown).toContain('Roll back models/llm-api from revision 2 to revision 1');
    expect(shown).toContain('Warning: ConfigMaps are not restored');
    expect(shown).toContain('Changed: 10:00 rollout of revision 2');
    expect(shown).toContain('- image: model:v2\n+ image: model:v1');
    expect(shown).toContain(`Plan hash ${PLAN_HASH.slice(0, 12)}`);
    const decided = { incidentId: INCIDENT_ID, step: 'rollback', planHash: PLAN_HASH };
    expect(buttonsIn(blocks).map(({ action_id, value }) => [action_id, JSON.parse(String(value))])).toEqual([
      ['firebreak_approve', decided],
      ['firebreak_reject', decided],
      ...['acknowledge', 'escalate', 'take_command', 'false_positive', 'stop'].map((name) => [
        `firebreak_${name}`,
        { incidentId: INCIDENT_ID },
      ]),
    ]);
  });

  it('offers to acknowledge once an acknowledgement has lapsed, and says that it has', () => {
    const milestones = { triggered: 0, acknowledged: Date.UTC(2026, 2, 1, 10, 3) };
    const { blocks } = renderIncident(viewOf({ pendingApprovals: [], milestones }));
    expect(buttonsIn(blocks).map(({ action_id }) => action_id)).toContain('firebreak_acknowledge');
    const shown = textsIn(blocks).join('\n');
    expect(shown).toContain('nobody any more: it was acknowledged at 10:03 UTC, and that has lapsed');
    expect(shown).toContain('Nobody has acknowledged it yet');
    const again = viewOf({
      milestones,
      acknowledgedBy: 'ben',
      acknowledgedAtMs: Date.UTC(2026, 2, 1, 10, 40),
    });
    expect(textsIn(renderIncident(again).blocks).join('\n')).toContain('ben, since 10:40 UTC');
  });

  it('offers nothing that has been done, and nothing at all when the incident is over', () => {
    const acknowledged = renderIncident(viewOf({ acknowledgedBy: 'ana', pendingApprovals: [] }));
    expect(buttonsIn(acknowledged.blocks).map(({ action_id }) => action_id)).toEqual([
      'firebreak_escalate',
      'firebreak_take_command',
      'firebreak_false_positive',
      'firebreak_stop',
    ]);
    expect(textsIn(acknowledged.blocks).join('\n')).not.toContain('Waiting');
    const closed = renderIncident(viewOf({ state: 'closed', outcome: 'recovered', pendingApprovals: [] }));
    expect(buttonsIn(closed.blocks)).toEqual([]);
    expect(textsIn(closed.blocks)).toContain('State\nclosed (recovered)');
  });

  it('shows text of others literally, wherever it comes from', () => {
    const pending = approvalOf({ summary: HOSTILE, warnings: [HOSTILE], changes: [HOSTILE], diff: HOSTILE });
    const { text, blocks } = renderIncident(
      viewOf({
        title: HOSTILE,
        pendingApprovals: [pending],
        target: undefined,
        targetProblem: HOSTILE,
        humanNeeded: [HOSTILE],
        ticketUrl: `javascript:${HOSTILE}`,
      }),
    );
    expect(text).not.toMatch(/[<>]/);
    const objects = objectsIn(blocks);
    expect(objects.filter(({ type }) => type === 'mrkdwn' || type === 'link')).toEqual([]);
    const plain = objects.filter(({ type }) => type === 'plain_text');
    expect(plain.length).toBeGreaterThan(5);
    for (const object of plain) {
      expect(object.emoji).toBe(false);
      expect(String(object.text)).not.toMatch(/[<>]/);
    }
    // Rich text is literal; what is escaped there would be shown escaped.
    expect(objects.filter(({ type }) => type === 'text').map((object) => object.text)).toContain(HOSTILE);
    expect(JSON.stringify(blocks)).not.toMatch(/"type":"(user|usergroup|broadcast|channel|emoji)"/);
  });

  it("keeps to Block Kit's limits, however long everything is", () => {
    const long = `<&> ${'långe Wörter 🔥 '.repeat(2_000)}`;
    const pending: PendingApproval = approvalOf({
      summary: long,
      warnings: Array.from({ length: 50 }, () => long),
      changes: Array.from({ length: 50 }, () => long),
      diff: long,
      groups: [long],
    });
    const { text, blocks } = renderIncident(
      viewOf({
        title: long,
        commander: long,
        pendingApprovals: Array.from({ length: 30 }, (_, index) => ({ ...pending, step: `step-${index}` })),
        humanNeeded: Array.from({ length: 30 }, () => long),
        rollback: { fromRevision: 2, toRevision: 1, fromImage: 'a', toImage: 'b', planHash: PLAN_HASH },
        ticketUrl: 'https://example.com/1',
      }),
    );
    expect(text.length).toBeLessThanOrEqual(500);
    expect(blocks.length).toBeLessThanOrEqual(50);
    for (const block of blocks as unknown as Record<string, unknown>[]) {
      const limit = block.type === 'header' ? 150 : 3_000;
      for (const shown of textsIn(block)) {
        expect(shown.length).toBeGreaterThan(0);
        expect(shown.length).toBeLessThanOrEqual(limit);
        expect(shown.isWellFormed()).toBe(true);
      }
      expect((block.fields as unknown[] | undefined)?.length ?? 0).toBeLessThanOrEqual(10);
    }
    for (const { value } of buttonsIn(blocks)) expect(String(value).length).toBeLessThanOrEqual(2_000);
    expect(textsIn(blocks).join('\n')).toContain('Plan of step step-3');
    // The buttons that everybody needs are not those that are cut.
    expect(buttonsIn(blocks).map(({ action_id }) => action_id)).toEqual(
      expect.arrayContaining(['firebreak_approve', 'firebreak_acknowledge', 'firebreak_stop']),
    );
    expect(sizeOf(blocks)).toBeLessThanOrEqual(MAX_MESSAGE);
  });

  it('makes no button whose value would not fit', () => {
    const { blocks } = renderIncident(
      viewOf({ pendingApprovals: [approvalOf({ step: 's'.repeat(2_000) })] }),
    );
    expect(buttonsIn(blocks).map(({ action_id }) => action_id)).not.toContain('firebreak_approve');
    expect(buttonsIn(blocks).map(({ action_id }) => action_id)).toContain('firebreak_acknowledge');
    expect(textsIn(blocks).join('\n')).toContain('firebreak incident approve');
  });

  it('says of a verdict all that a person needs, once', () => {
    const { blocks } = renderIncident(
      viewOf({
        verification: {
          outcome: 'insufficient-evidence',
          harmful: 2,
          classified: 1_204,
          threshold: 0.01,
          confidence: 0.99,
          interval: [0.0001, 0.012],
          designEffect: 2,
          seconds: 1_800,
          share: 0.1,
          unmet: ['coverage'],
        },
      }),
    );
    const shown = textsIn(blocks);
    expect(shown).toContain('Verification\ninsufficient-evidence, see below');
    const verdict = shown.find((text) => text.startsWith('insufficient-evidence: '));
    for (const line of [
      'Counted: 2 harmful of 1,204 classified outputs (0.166%)',
      'Missing: coverage: too many requests were not classified: harm may be where nobody looked. To do: look at the classifier',
      'Next: mend what is missing',
    ]) {
      expect(verdict).toContain(line);
    }
  });

  it('links the ticket', () => {
    const { blocks } = renderIncident(viewOf({ ticketUrl: 'https://github.com/acme/ops/issues/1' }));
    expect(objectsIn(blocks)).toContainEqual({ type: 'link', url: 'https://github.com/acme/ops/issues/1' });
  });
});

describe('renderEntries', () => {
  const NONE_POSTED = { incidentId: INCIDENT_ID, postedSeq: -1 };

  it('shows each entry on a line of its own, without its data', () => {
    const entry = { ...entryOf(1, `Alert ${HOSTILE}`), data: { summary: 'secret text' } };
    const { message, left } = renderEntries([entryOf(0, 'Opened'), entry], NONE_POSTED);
    const [lines = ''] = textsIn(message.blocks);
    expect(lines.split('\n')).toEqual([
      '10:00:00 UTC  Opened (firebreak)',
      expect.stringMatching(/^10:00:01 UTC {2}Alert @channel &lt;!channel&gt;.*\(firebreak\)$/),
    ]);
    expect(JSON.stringify(message.blocks)).not.toContain('secret text');
    expect(message.text).not.toMatch(/[<>]/);
    expect(left).toEqual([]);
  });

  it('holds a burst in few messages, all of it, in order, within the limits', () => {
    const entries = Array.from({ length: 500 }, (_, seq) =>
      entryOf(seq, `Step ${seq} has ended as it should`),
    );
    const messages: string[][] = [];
    for (let left: readonly TimelineEntry[] = entries; left.length > 0; ) {
      const rendered = renderEntries(left, { ...NONE_POSTED, postedSeq: (left[0]?.seq ?? 0) - 1 });
      expect(sizeOf(rendered.message.blocks)).toBeLessThanOrEqual(MAX_MESSAGE);
      for (const shown of textsIn(rendered.message.blocks)) expect(shown.length).toBeLessThanOrEqual(3_000);
      messages.push(textsIn(rendered.message.blocks).flatMap((text) => text.split('\n')));
      left = rendered.left;
    }
    expect(messages.length).toBeLessThanOrEqual(4);
    expect(messages.flat()).toHaveLength(500);
    expect(messages.flat()[499]).toContain('Step 499 has ended');
  });

  it('says how many entries before are missing, where the view no longer has them', () => {
    const { message } = renderEntries([entryOf(41, 'Later')], { ...NONE_POSTED, postedSeq: 8 });
    expect(textsIn(message.blocks)[0]).toContain(
      `32 entries before: firebreak incident timeline ${INCIDENT_ID}`,
    );
  });
});

describe('the message for somebody who was just woken', () => {
  it('says who is on it and since when, how the harm rate goes, and what stakeholders were told', () => {
    const startMs = Date.UTC(2026, 2, 1, 9, 50);
    const { blocks } = renderIncident(
      viewOf({
        acknowledgedBy: 'maria',
        milestones: { triggered: startMs, acknowledged: Date.UTC(2026, 2, 1, 10, 3) },
        commander: 'kim',
        commanderSinceMs: Date.UTC(2026, 2, 1, 10, 7),
        harmHistory: { stepMs: 60_000, startMs, harmful: [0, 2, 8], classified: [100, 100, 100] },
        updates: [{ atMs: Date.UTC(2026, 2, 1, 10, 8), by: 'kim', text: 'Users see the fallback' }],
        updateDueAtMs: Date.UTC(2026, 2, 1, 10, 38),
      }),
    );
    const shown = textsIn(blocks).join('\n');
    for (const part of [
      'Acknowledged by\nmaria, since 10:03 UTC',
      'Commander\nkim, since 10:07 UTC',
      '▁▃█',
      'highest 8% at',
      'Stakeholders\n10:08 UTC, kim: Users see the fallback\nNext update due by 10:38 UTC',
    ])
      expect(shown).toContain(part);
  });

  it('says above Approve what the revisions did, and whether people agree that it is harm', () => {
    const reviewed = {
      harmful: 9,
      benign: 1,
      unsure: 0,
      disagreed: [],
      precision: { value: 0.9, low: 0.6, high: 0.98 },
    };
    const samples = { count: 10, from: 'outputs', byCategory: {}, items: [], reviewed };
    const { blocks } = renderIncident(
      viewOf({
        samples,
        pendingApprovals: [
          approvalOf({
            fromServed: { classified: 1_200, harmful: 96, seconds: 600 },
            toServed: { classified: 80_000, harmful: 40, seconds: 90_000 },
          }),
        ],
      }),
    );
    const shown = textsIn(blocks);
    const plan = shown.indexOf('Plan of step rollback') + 1;
    expect(shown[plan]).toContain('From revision 2 (model:v2): harm rate 8% (96 of 1,200 outputs)');
    expect(shown[plan]).toContain('To revision 1 (model:v1): harm rate 0.05% (40 of 80,000 outputs)');
    expect(shown[plan]).toContain('Reviewed samples: precision 90% (95% interval 60% to 98%)');
    expect(plan).toBeLessThan(shown.indexOf('Approve'));
  });
});
