/** `firebreak demo`: the whole way of one incident on real parts, told as it happens. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import pc from 'picocolors';
import { formatDuration } from '../domain/duration.ts';
import type { IncidentView } from '../domain/incident.ts';
import { SEARCH_ATTRIBUTES } from '../workflows/messages.ts';
import { lineReporter } from './parts/line-reporter.ts';
import { resolveParts, STACK_PARTS } from './parts/resolve-parts.ts';
import { startFirebreak } from './run/firebreak-process.ts';
import { runScenario, type Story, type Summary } from './run/scenario-run.ts';
import { demoRules, TIMINGS_NOTE } from './run/timings.ts';
import { startVendors } from './run/vendors.ts';
import { startStack } from './stack/stack.ts';
import { isScenarioName, SCENARIO_NAMES, type Scenario, scenarioOf } from './world/scenarios.ts';

export interface DemoOptions {
  scenario: string;
  yes: boolean;
  once: boolean;
  json: boolean;
}

const NAMESPACE = 'ai-production';
const DEMO_DIR = '.firebreak/demo';
const TEMPORAL_SEARCH_ATTRIBUTES = Object.values(SEARCH_ATTRIBUTES).map((name) => ({
  name,
  type: 'Keyword' as const,
}));

/** Runs the demo. @returns the exit code: 0 only if the incident ended as the scenario expects. */
export async function runDemo(options: DemoOptions): Promise<number> {
  if (!isScenarioName(options.scenario)) {
    process.stderr.write(`There is no scenario ${options.scenario}: choose ${SCENARIO_NAMES.join(', ')}.\n`);
    return 2;
  }
  const scenario = scenarioOf(options.scenario);
  const known: Known = {};
  const out = process.stderr;
  const stops: (() => Promise<unknown>)[] = [];
  const interrupted = new AbortController();
  const interrupt = () => {
    if (interrupted.signal.aborted) process.exit(130);
    interrupted.abort();
    out.write('\nStopping (once more: at once)...\n');
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    const code = await Promise.race([
      play(scenario, options, known, out, stops, interrupted.signal),
      whenAborted(interrupted.signal),
    ]);
    return code;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    out.write(`\n${pc.red('The demo could not go on:')} ${message}\n`);
    if (options.json && !known.summarised) {
      const { incidentId = null } = known;
      printJson({ scenario: scenario.name, incidentId, state: 'unknown', error: message });
    }
    return 1;
  } finally {
    for (const stop of stops.reverse())
      await stop().catch((error: unknown) => out.write(`${String(error)}\n`));
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** What is told where the demo ends before its time. */
interface Known {
  incidentId?: string;
  /** The summary is printed: it is the last line of standard output, and no other follows. */
  summarised?: boolean;
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function whenAborted(signal: AbortSignal): Promise<number> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(130), { once: true }));
}

async function play(
  scenario: Scenario,
  options: DemoOptions,
  known: Known,
  out: NodeJS.WriteStream,
  stops: (() => Promise<unknown>)[],
  signal: AbortSignal,
): Promise<number> {
  const say = (text = '') => void out.write(`${text}\n`);
  say(`${pc.bold('Firebreak demo')}: ${scenario.title}`);
  say(pc.dim(TIMINGS_NOTE));
  say(pc.bold('\nParts'));
  const parts = await resolveParts(STACK_PARTS, { report: lineReporter(out), signal });

  say(pc.bold('\nStack'));
  const dir = path.resolve(DEMO_DIR, String(process.pid));
  const stack = await startStack({
    parts,
    dir,
    temporal: { searchAttributes: TEMPORAL_SEARCH_ATTRIBUTES },
    report: (event) => {
      if (event.state === 'ready' || event.state === 'failed')
        say(`  ${event.server.padEnd(14)}${event.state.padEnd(10)}${event.detail}`);
    },
  });
  stops.push(() => stack.stop());
  const [vendors] = await Promise.all([
    startVendors(),
    stack.prometheus.writeRules('firebreak', demoRules()),
  ]);
  stops.push(() => vendors.close());
  const firebreak = await startFirebreak({
    dir: path.join(dir, 'firebreak'),
    kubeconfig: stack.kube.kubeconfigPath,
    prometheusUrl: stack.prometheus.url,
    temporalAddress: stack.temporal.address,
    temporalNamespace: stack.temporal.namespace,
    namespaces: { [NAMESPACE]: 'approve' },
    pagerDutyUrl: vendors.pagerDuty.url,
    github: vendors.emulators.github,
    slack: vendors.emulators.slack,
    samplesUrl: vendors.samples.url,
  });
  stops.push(() => firebreak.stop());
  say(`  ${'firebreak'.padEnd(14)}${'ready'.padEnd(10)}${firebreak.url}`);

  say(pc.bold('\nLook'));
  say(
    `  Incident API   ${firebreak.url}/api/v1/incidents   (bearer token of Maria: ${firebreak.dir}/secrets/token-maria)`,
  );
  say(`  Temporal UI    ${stack.temporal.uiUrl}`);
  say(`  Prometheus     ${stack.prometheus.url}/classic/alerts`);
  say(`  Alertmanager   ${stack.alertmanager.url}`);

  say(pc.bold('\nStory'));
  const run = await runScenario({
    scenario,
    stack,
    firebreak,
    samples: vendors.samples,
    namespace: NAMESPACE,
    canary: `canary-${randomBytes(8).toString('hex')}`,
    story: storyOn(out),
    onIncident: (incidentId) => {
      known.incidentId = incidentId;
    },
    decide: options.yes || !process.stdin.isTTY ? undefined : (view) => askPerson(view, scenario),
  });
  stops.push(() => run.stop());

  const asExpected = run.summary.differences.length === 0;
  // The folder stays when something went wrong: its logs say what.
  if (asExpected) stops.unshift(() => rm(dir, { recursive: true, force: true }));
  ending(run.summary, asExpected, say);
  if (options.json) printJson(withoutDifferences(run.summary));
  known.summarised = true;
  if (!options.once) {
    say(pc.dim('\nEverything stays up until Ctrl-C.'));
    await Promise.race([whenAborted(signal), stack.broken.then((which) => say(pc.red(which)))]);
    return asExpected ? 0 : 1;
  }
  return asExpected ? 0 : 1;
}

function withoutDifferences({ differences, ...summary }: Summary): Omit<Summary, 'differences'> {
  return summary;
}

function storyOn(out: NodeJS.WriteStream): Story {
  return (kind, text) => {
    const mark = kind === 'incident' ? pc.cyan('  |') : pc.green('  *');
    out.write(`${mark} ${text}\n`);
  };
}

/** Shows the plan and asks on the terminal. */
async function askPerson(view: IncidentView, scenario: Scenario): Promise<'approve' | 'reject'> {
  const pending = view.pendingApprovals[0];
  if (!pending) return scenario.decision.verdict;
  const lines = [
    '',
    pc.bold(`  ${pending.summary}`),
    ...pending.changes.slice(0, 5).map((change) => `    changed: ${change}`),
    ...pending.warnings.map((warning) => pc.yellow(`    warning: ${warning}`)),
    ...(pending.diff ?? '')
      .split('\n')
      .map(
        (line) => `    ${line.startsWith('+') ? pc.green(line) : line.startsWith('-') ? pc.red(line) : line}`,
      ),
    `    plan ${pending.planHash.slice(0, 16)}`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  const readline = createInterface({ input: process.stdin, output: process.stderr });
  try {
    for (;;) {
      const answer = (await readline.question(pc.bold('  Approve as Maria, ML engineer on call? [y/n] ')))
        .trim()
        .toLowerCase();
      if (answer === 'y' || answer === 'yes') return 'approve';
      if (answer === 'n' || answer === 'no') return 'reject';
    }
  } finally {
    readline.close();
  }
}

function ending(summary: Summary, asExpected: boolean, say: (text?: string) => void): void {
  const time = (durationMs: number | null) => (durationMs === null ? 'never' : formatDuration(durationMs));
  say(pc.bold('\nEnd'));
  say(
    `  ${summary.incidentId}: ${summary.state}, outcome ${summary.outcome ?? 'none'}, breaker ${summary.breaker}, ${summary.severity}`,
  );
  say(
    `  paged after ${time(summary.times.toPageMs)}, contained after ${time(summary.times.toContainMs)}, approved after ${time(summary.times.toApproveMs)}, mitigated after ${time(summary.times.toMitigateMs)}`,
  );
  if (summary.verification) {
    const { outcome, harmful, classified, threshold, seconds } = summary.verification;
    say(
      `  verification: ${outcome}, ${harmful} harmful of ${classified} classified outputs, threshold ${threshold * 100}%, ${seconds.toFixed(0)} s`,
    );
  }
  if (summary.ticketUrl) say(`  ticket: ${summary.ticketUrl}, ${summary.samples} samples`);
  for (const item of summary.actionItems) {
    const end = item.expires ? `, expires ${item.expires}` : item.retires ? `, retires ${item.retires}` : '';
    say(`  ${item.lane.padEnd(12)} ${item.title} (${item.owner}, due ${item.due}${end})`);
  }
  if (asExpected) {
    say(pc.green('  As the scenario expects.'));
    return;
  }
  say(pc.red('  Not as the scenario expects:'));
  for (const difference of summary.differences) say(pc.red(`    ${difference}`));
}
