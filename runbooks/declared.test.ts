import { describe, expect, it } from 'vitest';
import { rollbackStepOf, withRollbackTo } from './declared.ts';
import { LIBRARY_PATH, loadRunbooks } from './load.ts';
import { chooseRunbook, MANUAL_ROLLBACK_RUNBOOK } from './match.ts';

async function manual() {
  const { runbooks } = await loadRunbooks();
  const runbook = runbooks.find(({ name }) => name === MANUAL_ROLLBACK_RUNBOOK);
  if (runbook === undefined) throw new Error('manual-rollback is not shipped');
  return { runbook, runbooks };
}

describe('the runbook of declared rollbacks', () => {
  it('is there whatever an installation loads, and is opened by no alert', async () => {
    const { runbooks } = await loadRunbooks([`${LIBRARY_PATH}/input-drift.yaml`]);
    expect(runbooks.map(({ name }) => name)).toEqual(['input-drift', 'default', 'manual-rollback']);
    const labels = { alertname: 'manual-rollback', rmf_function: 'MANAGE', deployment: 'llm-api' };
    expect(chooseRunbook(runbooks, labels)?.runbook.name).toBe('default');
  });

  it('asks people before it rolls back', async () => {
    const { runbook } = await manual();
    expect(rollbackStepOf(runbook)?.approval).toMatchObject({ count: 1, breakGlass: true });
  });

  it('goes where the person says, under another hash', async () => {
    const { runbook } = await manual();
    const changed = withRollbackTo(runbook, { revision: 3 });
    expect(changed.steps.find(({ uses }) => uses === 'rollback')?.with.to).toEqual({ revision: 3 });
    expect(changed.inputs.to).toBe('revision 3');
    expect(changed.hash).not.toBe(runbook.hash);
    expect(withRollbackTo(runbook, 'last-known-good').hash).toBe(runbook.hash);
  });
});
