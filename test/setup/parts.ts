import type { TestProject } from 'vitest/node';
import { lineReporter } from '../../demo/parts/line-reporter.ts';
import { resolveParts } from '../../demo/parts/resolve-parts.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import './provided.ts';

export default async function setup(project: TestProject): Promise<void> {
  const parts = await resolveParts(['temporal-test-server'], { report: lineReporter(process.stderr) });
  project.provide('testServer', parts['temporal-test-server']);
  // Once for all files.
  await workflowBundle();
}
