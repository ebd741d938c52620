import { expect, it } from 'vitest';
import type { RunbookSource } from '../runbooks/live.ts';
import { runbookSet } from '../runbooks/live-set.ts';
import { fileProblem } from '../runbooks/read-file.ts';
import { runbooksCheck } from './runbooks-check.ts';
import { createTestEdge, noRecords } from './test-support/edge.ts';

const AT_MS = Date.UTC(2026, 2, 1, 10);

function source(change: Partial<ReturnType<RunbookSource['status']>> = {}): RunbookSource {
  const set = runbookSet([], { generation: 3, loadedAtMs: AT_MS });
  const status = {
    ok: true,
    problems: [],
    succeededAtMs: AT_MS,
    lookedAtMs: AT_MS,
    attempts: { success: 2, failure: 0 },
  };
  return { current: () => set, status: () => ({ ...status, ...change }) };
}

it('shows places and rules of a broken edit and no text of it, and few of many', () => {
  const problems = Array.from({ length: 30 }, (_, index) => ({
    ...fileProblem(`/r/${index}.yaml`, 'schema/wrong-value', 'hunter2'),
    excerpt: 'hunter2',
  }));
  const { degraded, details } = runbooksCheck(source({ ok: false, problems }));
  expect(degraded).toHaveLength(1);
  expect(details).toMatchObject({ generation: 3, problemCount: 30 });
  expect(details?.problems).toHaveLength(20);
  expect(details?.problems).toContain('/r/0.yaml:1:1 schema/wrong-value');
  expect(JSON.stringify({ degraded, details })).not.toContain('hunter2');
});

it('says that files keep changing, which are not loaded meanwhile', () => {
  expect(runbooksCheck(source()).details).not.toHaveProperty('changing');
  expect(runbooksCheck(source({ changingSinceMs: AT_MS })).details?.changing).toContain(
    '2026-03-01T10:00:00.000Z',
  );
});

it('takes a replica without any runbook out of service', async () => {
  const { app } = await createTestEdge({
    records: { ...noRecords, ping: async () => undefined },
    runbooks: source(),
  });
  const answer = await app.inject('/readyz');
  expect(answer.statusCode).toBe(503);
  expect(answer.json()).toMatchObject({ ready: false, degraded: false });
  await app.close();
});
