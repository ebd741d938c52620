import { describe, expect, it } from 'vitest';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { loadRunbooks } from '../load.ts';
import { explainRunbook } from './explain.ts';

const { runbooks } = await loadRunbooks();
const shipped = runbooks.find((runbook) => runbook.name === 'ai-harm-response') as CompiledRunbook;

function changed(id: string, change: Partial<StepPlan>): CompiledRunbook {
  return {
    ...shipped,
    steps: shipped.steps.map((step) => (step.id === id ? { ...step, ...change } : step)),
  };
}

function step(id: string, change: Partial<StepPlan> = {}): StepPlan {
  return {
    id,
    uses: 'ticket',
    mutates: false,
    needs: [],
    always: false,
    whenUnknown: 'skip',
    timeoutMs: 60_000,
    onFailure: 'escalate',
    with: { labels: [] },
    ...change,
  };
}

describe('explainRunbook', () => {
  it('orders steps by what they need and names what changes production', () => {
    const { order, changesProduction } = explainRunbook(shipped);
    const ids = order.map((level) => level.map(({ id }) => id));
    expect(ids[0]).toEqual(expect.arrayContaining(['page', 'divert', 'snapshot']));
    expect(ids.flat().indexOf('rollback')).toBeLessThan(ids.flat().indexOf('verify'));
    expect(changesProduction.map((line) => line.split(':')[0])).toEqual([
      'divert',
      'rollback',
      'verify',
      'restore',
    ]);
  });

  it('counts containment from the moment at which a standing condition holds', () => {
    const { containment } = explainRunbook(shipped);
    const divert = shipped.steps.find(({ id }) => id === 'divert');
    // 15 s until it is looked at, and the 5 minutes that the step may take.
    expect(divert?.timeoutMs).toBe(300_000);
    expect(containment).toMatch(/^within 5m15s of the moment at which metrics\.harmRate > /);
  });

  it('counts containment from the alert where nothing is waited for', () => {
    const { whenever: _whenever, ...plain } = shipped.steps.find(({ id }) => id === 'divert') as StepPlan;
    const runbook = { ...shipped, steps: shipped.steps.map((one) => (one.id === 'divert' ? plain : one)) };
    expect(explainRunbook(runbook).containment).toMatch(/^within 5m of the alert/);
  });

  it('adds what has to end first, on the longest way', () => {
    const runbook = {
      ...shipped,
      steps: [
        step('a', { timeoutMs: 60_000 }),
        step('b', { timeoutMs: 120_000 }),
        step('c', { needs: ['a', 'b'], timeoutMs: 30_000 }),
        step('divert', {
          uses: 'divert',
          mutates: true,
          needs: ['c'],
          timeoutMs: 60_000,
          with: { to: 'block' },
        }),
      ],
    };
    expect(explainRunbook(runbook).containment).toMatch(/^within 3m30s of the alert/);
  });

  it('says so when people decide and nothing bounds them', () => {
    const asking = { from: ['ml-oncall'], count: 2, timeoutMs: 600_000, onTimeout: 'escalate' as const };
    const { whenever: _whenever, ...plain } = shipped.steps.find(({ id }) => id === 'divert') as StepPlan;
    const withPeople = (approval: StepPlan['approval'] & object) => ({
      ...shipped,
      steps: shipped.steps.map((one) => (one.id === 'divert' ? { ...plain, approval } : one)),
    });
    expect(explainRunbook(withPeople(asking)).containment).toMatch(/^no limit: divert waits for people/);
    const rejecting = explainRunbook(withPeople({ ...asking, onTimeout: 'reject' }));
    expect(rejecting.containment).toMatch(/^within 15m of the alert/);
    expect(rejecting.asked).toContainEqual({
      step: 'divert',
      who: '2 different people of ml-oncall',
      at: 'at once',
    });
  });

  it('says never where nothing diverts, and that nobody decides where nobody is asked', () => {
    const other = runbooks.find((runbook) => runbook.name === 'default') as CompiledRunbook;
    const explanation = explainRunbook(other);
    expect(explanation.containment).toMatch(/^never/);
    expect(explanation.humanNeeded).toMatch(/Nobody has to decide anything/);
    expect(explanation.changesProduction).toEqual([]);
  });

  it('draws every step, approval, need and condition, and marks what changes production', () => {
    const { mermaid } = explainRunbook(shipped);
    for (const { id, needs, mutates, approval } of shipped.steps) {
      expect(mermaid).toMatch(new RegExp(`^  step_${id}\\[".*"\\]${mutates ? ':::production' : ''}$`, 'm'));
      for (const need of needs)
        expect(mermaid).toMatch(new RegExp(`^  step_${need} -.*> .*step_${id}(_ask)?$`, 'm'));
      if (approval) expect(mermaid).toContain(`step_${id}_ask -->|approved| step_${id}`);
    }
    expect(mermaid).toContain('as soon as metrics');
  });

  it('lets no text of a runbook out of its label', () => {
    const nasty = `x"]; click step_page "javascript:alert(1)"\n%% <script>`;
    const { mermaid } = explainRunbook(changed('divert', { with: { to: nasty }, whenever: nasty }));
    const plainLines = explainRunbook(changed('divert', { with: { to: 'x' }, whenever: 'x' })).mermaid.split(
      '\n',
    );
    expect(mermaid.split('\n')).toHaveLength(plainLines.length);
    expect(mermaid).not.toMatch(/<script|x"\]|\bclick step_page "/);
    for (const line of mermaid.split('\n')) expect((line.match(/"/g) ?? []).length % 2).toBe(0);
  });
});
