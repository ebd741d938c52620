import { describe, expect, it } from 'vitest';
import type { CompiledRunbook, StepPlan } from '../../domain/runbook.ts';
import { loadRunbooks } from '../load.ts';
import { STEP_DEFINITIONS } from '../steps/registry.ts';
import { STEP_RUNNERS } from '../steps/runners.ts';
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

  it('says of a rollback that it suspends the sync where Git writes the target', () => {
    const rollback = (gitops: CompiledRunbook['gitops']) =>
      explainRunbook({ ...shipped, gitops }).changesProduction.filter((line) => /suspended/.test(line));
    expect(rollback('suspend')).toEqual([
      expect.stringMatching(/^rollback: .*its sync is suspended with that/),
    ]);
    expect(rollback('refuse')).toEqual([]);
    expect(rollback('pull-request')).toEqual([]);
    const proposed = explainRunbook({ ...shipped, gitops: 'pull-request' }).changesProduction;
    expect(proposed.join()).toMatch(/it is not rolled back, and a pull request takes the change back in Git/);
  });

  it('counts containment from the moment at which a standing condition holds', () => {
    const { containment } = explainRunbook(shipped);
    const divert = shipped.steps.find(({ id }) => id === 'divert');
    // A slow measurement that just missed it, 15 s until the next one, which is slow too, and 5 minutes for the step.
    expect(divert?.timeoutMs).toBe(300_000);
    expect(containment).toMatch(/^within 6m15s of the moment at which metrics\.harmRate > /);
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

  it('says on what containment depends: its condition, and steps before it that fail quietly', () => {
    const divert = step('divert', {
      uses: 'divert',
      mutates: true,
      needs: ['a'],
      when: 'metrics.harmRate > 0.1',
      with: { to: 'block' },
    });
    const steps = [step('a', { onFailure: 'continue', timeoutMs: 30_000 }), divert];
    const { containment } = explainRunbook({ ...shipped, steps });
    // 30 s for the step before it, 30 s for the measurement, 60 s for itself.
    expect(containment).toMatch(/^if, when it could start, metrics\.harmRate > 0\.1, within 2m of the alert/);
    expect(containment).toContain('otherwise it is not contained');
    expect(containment).toContain('when a fails, it is skipped and nobody is called');
  });

  it('counts the making of plans where runners make one, as their definitions say', () => {
    for (const [type, runner] of Object.entries(STEP_RUNNERS))
      expect([type, STEP_DEFINITIONS[type]?.prepares]).toEqual([type, runner.prepare !== undefined]);
  });

  it('does not call an approval a change of production', () => {
    const approval = { from: ['ml-oncall'], count: 1, timeoutMs: 60_000, onTimeout: 'reject' as const };
    const gate = step('gate', { uses: 'approval', mutates: true, approval, with: { summary: 'Go on?' } });
    const explanation = explainRunbook({ ...shipped, steps: [gate] });
    expect(explanation.changesProduction).toEqual([]);
    expect(explanation.order[0]?.[0]?.changesProduction).toBe(false);
    expect(explanation.mermaid).not.toContain(':::production');
    expect(explanation.asked[0]?.at).toBe('within 1m');
  });

  it('ends by itself only where recovery is proved and traffic restored', () => {
    expect(explainRunbook(shipped).ends).toMatch(/^by itself once recovery is proved/);
    const steps = shipped.steps.filter(({ uses }) => uses !== 'restore');
    expect(explainRunbook({ ...shipped, steps }).ends).toMatch(/^when a person resolves it, with a reason/);
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
