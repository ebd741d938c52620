/** One installation for a test file: vendors, a Temporal namespace of its own, and Firebreak as users run it. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';
import { type Firebreak, type FirebreakWorld, startFirebreak } from '../../demo/run/firebreak-process.ts';
import { runScenario, type ScenarioRun } from '../../demo/run/scenario-run.ts';
import { createTemporalNamespace } from '../../demo/run/temporal-namespace.ts';
import { startVendors, type Vendors } from '../../demo/run/vendors.ts';
import { type AttachedStack, attachStack } from '../../demo/stack/attach-stack.ts';
import { type ScenarioName, scenarioOf } from '../../demo/world/scenarios.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { createDatabase } from '../setup/database.ts';
import '../setup/provided.ts';

export interface Installation {
  stack: AttachedStack;
  vendors: Vendors;
  firebreak: Firebreak;
  temporalNamespace: string;
  canaries: Record<string, string>;
  logs: string[];
  play(name: ScenarioName, namespace: string, options?: PlayOptions): Promise<ScenarioRun>;
  close(): Promise<void>;
}

export interface PlayOptions {
  decide?: (view: IncidentView) => Promise<'approve' | 'reject'>;
}

export async function install(options: {
  name: string;
  namespaces: Record<string, 'observe' | 'approve'>;
  kubeconfig?: string;
  temporal?: { address: string; namespace: string };
  /** Absent: a database of its own, where PostgreSQL is installed; embedded records take seconds to begin with. */
  records?: 'embedded';
  /** Changes what Firebreak is started with. */
  adjust?: (world: FirebreakWorld, vendors: Vendors) => FirebreakWorld | Promise<FirebreakWorld>;
}): Promise<Installation> {
  const stack = attachStack(inject('stack'));
  const dir = path.join(stack.dir, `firebreak-${options.name}`);
  mkdirSync(dir, { recursive: true });
  const temporalNamespace =
    options.temporal?.namespace ?? `test-${options.name}-${randomBytes(3).toString('hex')}`;
  if (!options.temporal) await createTemporalNamespace(stack.temporal.address, temporalNamespace);
  const vendors = await startVendors();
  const world: FirebreakWorld = {
    dir,
    kubeconfig: options.kubeconfig ?? stack.kube.kubeconfigPath,
    prometheusUrl: stack.prometheus.url,
    temporalAddress: options.temporal?.address ?? stack.temporal.address,
    temporalNamespace,
    namespaces: options.namespaces,
    pagerDutyUrl: vendors.pagerDuty.url,
    github: vendors.emulators.github,
    slack: vendors.emulators.slack,
    samplesUrl: vendors.samples.url,
    ...(options.records === 'embedded' ? {} : { settings: await recordsOnServer(dir, options.name) }),
  };
  const firebreak = await startFirebreak((await options.adjust?.(world, vendors)) ?? world);
  const canaries: Record<string, string> = {};
  const runs: ScenarioRun[] = [];
  const logs: string[] = [];
  return {
    stack,
    vendors,
    firebreak,
    temporalNamespace,
    canaries,
    logs,
    async play(name, namespace, playOptions = {}) {
      const canary = `canary-${randomBytes(8).toString('hex')}`;
      canaries[namespace] = canary;
      const run = await runScenario({
        scenario: scenarioOf(name),
        stack,
        firebreak,
        samples: vendors.samples,
        namespace,
        canary,
        story: (kind, text) => void logs.push(`${namespace} ${kind} ${text}`),
        decide: playOptions.decide,
      });
      runs.push(run);
      return run;
    },
    async close() {
      await Promise.all(runs.map((run) => run.stop()));
      for (const namespace of Object.keys(canaries)) {
        await stack.alertmanager.setRoutes([], { name: namespace });
        await stack.prometheus.writeTargets(namespace, []);
      }
      await firebreak.stop();
      await vendors.close();
    },
  };
}

async function recordsOnServer(dir: string, name: string): Promise<Record<string, unknown>> {
  const server = inject('postgresUrl');
  if (server === undefined) return {};
  const database = `firebreak_${name.replaceAll('-', '_')}_${randomBytes(3).toString('hex')}`;
  const url = await createDatabase(server, database);
  const file = path.join(dir, 'records-url');
  writeFileSync(file, url, { mode: 0o600 });
  return { records: { postgresUrl: `file:${file}` } };
}
