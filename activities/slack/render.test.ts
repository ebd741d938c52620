import { describe, expect, it } from 'vitest';
import type { PendingApproval, TimelineEntry } from '../../domain/incident.ts';
import { ACTION_IDS as HANDLED } from '../../webhooks/slack/render.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../../webhooks/test-support/incident.ts';
import { ACTION_IDS } from './blocks.ts';
import { renderEntries, renderIncident } from './render.ts';

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
      'Harm rate\n8.10 %',
      'Traffic\nopen: 0 % to the target, the rest to llm-fallback',
      'A human is needed: the fallback is unhealthy',
      'Step rollback waits for approval until 10:11:00 UTC (0 of 1 from ml-oncall or commander)',
      'Nobody has acknowledged it yet',
      INCIDENT_ID,
    ]) {
      expect(shown).toContain(part);
    }
    expect(text).toBe(
      '[SEV1] Harmful outputs of models/llm-api is contained. A human is needed: the fallback is unhealthy',
    );
  });

  it('shows the plan that waits, with buttons that decide on exactly it and that the edge handles', () => {
    expect(ACTION_IDS).toEqual(HANDLED);
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
      ['firebreak_acknowledge', { incidentId: INCIDENT_ID }],
    ]);
  });

  it('offers nothing that has been done, and nothing at all when the incident is over', () => {
    const acknowledged = renderIncident(viewOf({ acknowledgedBy: 'ana', pendingApprovals: [] }));
    expect(buttonsIn(acknowledged.blocks)).toEqual([]);
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
    expect(objects.filter(({ type }) => type === 'text').map((object) => object.text)).toEqual([HOSTILE]);
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
    // The button that everybody needs is not the one that is cut.
    expect(buttonsIn(blocks).at(-1)?.action_id).toBe('firebreak_acknowledge');
  });

  it('makes no button whose value would not fit', () => {
    const { blocks } = renderIncident(
      viewOf({ pendingApprovals: [approvalOf({ step: 's'.repeat(2_000) })] }),
    );
    expect(buttonsIn(blocks).map(({ action_id }) => action_id)).toEqual(['firebreak_acknowledge']);
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
    const verdict = shown.find((text) => text.startsWith('Verification\ninsufficient-evidence: '));
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
  it('shows each entry on a line of its own, without its data', () => {
    const entry = { ...entryOf(1, `Alert ${HOSTILE}`), data: { summary: 'secret text' } };
    const { text, blocks } = renderEntries([entryOf(0, 'Opened'), entry]);
    const [lines = ''] = textsIn(blocks);
    expect(lines.split('\n')).toEqual([
      '10:00:00 UTC  Opened (firebreak)',
      expect.stringMatching(/^10:00:01 UTC {2}Alert @channel &lt;!channel&gt;.*\(firebreak\)$/),
    ]);
    expect(JSON.stringify(blocks)).not.toContain('secret text');
    expect(text).not.toMatch(/[<>]/);
  });

  it('keeps to the limits and says how much it leaves out', () => {
    const entries = Array.from({ length: 100 }, (_, seq) => entryOf(seq, `${seq} ${'<'.repeat(1_000)}`));
    const { blocks } = renderEntries(entries);
    for (const shown of textsIn(blocks)) expect(shown.length).toBeLessThanOrEqual(3_000);
    expect(blocks.length).toBeLessThanOrEqual(50);
    expect(textsIn(blocks).at(-1)).toMatch(/^and 90 more entries/);
  });
});
