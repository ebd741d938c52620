import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { stringify } from 'yaml';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { type Rehearsed, rehearse } from '../../simulation/rehearse.ts';
import type { SimulatedRun } from '../../simulation/simulate.ts';
import { workflowBundle } from '../../worker/bundle.ts';

export const RESPONSE = path.join(LIBRARY_PATH, 'ai-harm-response.yaml');
export const LABELS = {
  alertname: 'AiHarmfulOutputRateHigh',
  rmf_function: 'MANAGE',
  cluster: 'local',
  namespace: 'ai',
  deployment: 'llm-api',
};
/** A bad revision above a good one, and guards that hold. */
export const BAD_ABOVE_GOOD = {
  revisions: [
    { revision: 7, image: 'llm:v7', harmRate: 0.12 },
    { revision: 6, image: 'llm:v6', harmRate: 0.0005, known: 'good' },
  ],
  metrics: { errorRate: 0.001, refusalRate: 0.01 },
};

let folder: string | undefined;
let files = 0;
afterAll(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
});

export function bundle(): Promise<string> {
  return workflowBundle();
}

/** Writes a file that is gone after the tests of the file that called. */
export function write(name: string, text: string): string {
  folder ??= mkdtempSync(path.join(tmpdir(), 'firebreak-scenarios-'));
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

export function scenarioFile(spec: object): string {
  const name = `s${++files}`;
  const content = { apiVersion: 'firebreak.dev/v1alpha1', kind: 'Scenario', metadata: { name }, spec };
  return write(`${name}.scenario.yaml`, stringify(content));
}

/** Runs a scenario of the shipped runbook, or of another one. */
export async function rehearsed(
  spec: object,
  runbook = RESPONSE,
): Promise<Rehearsed & { run: SimulatedRun }> {
  const file = scenarioFile({ alerts: [{ labels: LABELS }], expect: { state: 'closed' }, ...spec });
  const result = await rehearse(file, await bundle(), runbook);
  const { run } = result;
  if (!run) throw new Error(result.error ?? JSON.stringify(result.problems));
  return { ...result, run };
}

export function failed({ checks }: Rehearsed): string[] {
  return checks.filter(({ ok }) => !ok).map(({ name }) => name);
}
