import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { workflowBundle } from '../../worker/bundle.ts';

/** Every cached workflow holds a heap of its own with all of this code in it: see docs/adr/0003. */
const BUDGET_BYTES = 1_100_000;

it('keeps the workflow bundle small, and schemas out of it', async () => {
  const text = await readFile(await workflowBundle(), 'utf8');
  const code = text.replace(/\/\/# sourceMappingURL=.*$/ms, '');
  expect(code.length).toBeLessThan(BUDGET_BYTES);
  expect(code).not.toContain('node_modules/zod');
  expect(code).not.toContain('cel-js');
  // What must be in it, so that this test cannot pass on an empty file.
  expect(code).toContain('workflows/incident/workflow.ts');
});
