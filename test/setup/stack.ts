import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { lineReporter } from '../../demo/parts/line-reporter.ts';
import { resolveParts, STACK_PARTS } from '../../demo/parts/resolve-parts.ts';
import { demoRules } from '../../demo/run/timings.ts';
import { startStack } from '../../demo/stack/stack.ts';
import { workflowBundle } from '../../worker/bundle.ts';
import { startPostgres } from './postgres.ts';
import './provided.ts';

/** One real stack for all files: Kubernetes, Temporal, Prometheus, Alertmanager. Each test has a namespace of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const parts = await resolveParts(STACK_PARTS, { report: lineReporter(process.stderr) });
  const base = path.resolve('.firebreak/test');
  mkdirSync(base, { recursive: true });
  const dir = await mkdtemp(path.join(base, 'stack-'));
  // Otherwise each installation would build its own.
  await workflowBundle();
  const stack = await startStack({ parts, dir, audit: true });
  await stack.prometheus.writeRules('firebreak', demoRules());
  project.provide('stack', stack.describe());
  project.provide('tools', {
    promtool: parts.promtool,
    amtool: parts.amtool,
    kubectl: parts.kubectl,
    temporal: parts.temporal,
  });
  const postgres = await startPostgres();
  project.provide('postgresUrl', postgres?.url);
  return async () => {
    await postgres?.stop();
    await stack.stop();
    await rm(dir, { recursive: true, force: true });
  };
}
