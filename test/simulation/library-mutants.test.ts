/**
 * The scenarios of the shipped library are its tests: each of these slips in a runbook has to make the named scenario fail,
 * at the expectation that is about it. Otherwise expectations could be so loose that they say nothing.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { formatProblems } from '../../runbooks/report.ts';
import { checkExpectations } from '../../simulation/expectations.ts';
import { loadScenario } from '../../simulation/scenario/load.ts';
import { simulate } from '../../simulation/simulate.ts';
import { workflowBundle } from '../../worker/bundle.ts';

interface Mutant {
  runbook: string;
  slip: string;
  from: string;
  to: string;
  scenario: string;
  /** The expectation that shows it, among others maybe. */
  shownBy: string;
}

const ASKS_FOR_BLOCKING =
  /\n {6}approval:\n {8}from: \[security-oncall, privacy-oncall, commander\]\n(?: {8}.*\n)+/;

const MUTANTS: Mutant[] = [
  {
    runbook: 'ai-harm-response',
    slip: 'the limit of the diversion is ten times too high',
    from: 'default: 0.05\n      description: Harm rate above',
    to: 'default: 0.5\n      description: Harm rate above',
    scenario: 'rolled-back-after-approval',
    shownBy: 'steps.divert',
  },
  {
    runbook: 'ai-harm-response',
    slip: 'an unknown harm rate diverts nothing',
    from: 'whenUnknown: run',
    to: 'whenUnknown: skip',
    scenario: 'harm-rate-unknown',
    shownBy: 'steps.divert',
  },
  {
    runbook: 'ai-harm-response',
    slip: 'a revision with a fifth of harm counts as good',
    from: 'default: 0.01\n',
    to: 'default: 0.2\n',
    scenario: 'not-recovered',
    // The outcome is right all the same: giving the traffic back in steps notices the harm.
    shownBy: 'steps.verify',
  },
  {
    runbook: 'ai-harm-response',
    slip: 'a model that refuses everything counts as recovered',
    from: '          - metrics.refusalRate <= inputs.maxRefusalRate\n',
    to: '',
    scenario: 'recovers-but-refuses',
    shownBy: 'outcome',
  },
  {
    runbook: 'ai-harm-response',
    slip: 'an approval that nobody gives is a rejection',
    from: 'onTimeout: escalate',
    to: 'onTimeout: reject',
    scenario: 'nobody-answers',
    shownBy: 'steps.rollback',
  },
  {
    runbook: 'ai-harm-response',
    slip: 'the diversion waits for the ticket system',
    from: '    - id: divert\n      uses: divert\n',
    to: '    - id: divert\n      uses: divert\n      needs: [ticket]\n',
    scenario: 'vendors-down',
    shownBy: 'milestones.contained',
  },
  {
    runbook: 'breaker-false-positive',
    slip: 'the classifier is tuned whatever people say',
    from: '      needs: [confirm]\n',
    to: '',
    scenario: 'the-harm-is-real',
    shownBy: 'steps.tune',
  },
  {
    runbook: 'breaker-false-positive',
    slip: 'one person is enough',
    from: 'count: 2',
    to: 'count: 1',
    scenario: 'one-person-is-not-enough',
    shownBy: 'steps.confirm',
  },
  {
    runbook: 'input-drift',
    slip: 'pages from the first day on',
    from: 'default: 720h',
    to: 'default: 0h',
    scenario: 'first-thirty-days',
    shownBy: 'paged',
  },
  {
    runbook: 'input-drift',
    slip: 'pages where nobody has enabled it',
    from: 'whenUnknown: skip',
    to: 'whenUnknown: run',
    scenario: 'since-when-is-not-set',
    shownBy: 'paged',
  },
  {
    runbook: 'input-drift',
    slip: 'reminds of what is over',
    from: 'when: "!steps.settle.early"',
    to: 'when: steps.settle.early',
    scenario: 'settles-by-itself',
    shownBy: 'steps.remind',
  },
  {
    runbook: 'evaluation-failed',
    slip: 'an evaluation of last week releases a promotion',
    from: ' && metrics.evaluationAge < inputs.freshSeconds',
    to: '',
    scenario: 'overdue-is-not-passed',
    shownBy: 'steps.release',
  },
  {
    runbook: 'evaluation-failed',
    slip: 'a promotion is released that was never held',
    from: '      needs: [hold]\n',
    to: '',
    scenario: 'gate-is-away',
    shownBy: 'asked',
  },
  {
    runbook: 'evaluation-failed',
    slip: 'wakes people for every evaluation',
    from: '      when: incident.severity in ["SEV1", "SEV2"]\n',
    to: '',
    scenario: 'held-and-released',
    shownBy: 'paged',
  },
  {
    runbook: 'fairness-disparity',
    slip: 'a rejected review is the end of it',
    from: '      needs: [review]\n      always: true\n',
    to: '      needs: [review]\n',
    scenario: 'large-and-rejected',
    shownBy: 'steps.retest',
  },
  {
    runbook: 'fairness-disparity',
    slip: 'an unknown disparity wakes nobody',
    from: 'whenUnknown: run',
    to: 'whenUnknown: skip',
    scenario: 'unknown-is-paged',
    shownBy: 'paged',
  },
  {
    runbook: 'pii-in-logs',
    slip: 'users are cut off without asking',
    from: ASKS_FOR_BLOCKING.source,
    to: '\n',
    scenario: 'log-store-and-channel-down',
    shownBy: 'changes',
  },
  {
    runbook: 'pii-in-logs',
    slip: 'logs with a tenth of personal data count as clean',
    from: 'default: 0.001',
    to: 'default: 0.1',
    scenario: 'still-leaking',
    shownBy: 'outcome',
  },
  {
    runbook: 'prompt-injection-to-action',
    slip: 'waits for people before it blocks',
    from: 'with: { to: block }\n',
    to: 'with: { to: block }\n      approval: { from: [security-oncall] }\n',
    scenario: 'quarterly-rehearsal',
    shownBy: 'milestones.contained',
  },
  {
    runbook: 'prompt-injection-to-action',
    slip: 'there is no way back where the tools were not revoked',
    from: '      needs: [block, revoke-tools]\n      always: true\n',
    to: '      needs: [block, revoke-tools]\n',
    scenario: 'tools-not-revoked',
    shownBy: 'steps.restore',
  },
  {
    runbook: 'prompt-injection-to-action',
    slip: 'a rehearsal is not contained',
    from: '    - id: block\n      uses: divert\n',
    to: "    - id: block\n      uses: divert\n      when: '!has(alert.labels.drill)'\n",
    scenario: 'quarterly-rehearsal',
    shownBy: 'steps.block',
  },
  {
    runbook: 'model-latency-regression',
    slip: 'an unknown latency asks for a rollback',
    from: 'whenUnknown: skip',
    to: 'whenUnknown: run',
    scenario: 'latency-unknown',
    shownBy: 'steps.rollback',
  },
  {
    runbook: 'model-latency-regression',
    slip: 'a revision that is slow as well counts as recovered',
    from: '          - metrics.p99 < inputs.maxP99Seconds\n',
    to: '',
    scenario: 'still-slow',
    shownBy: 'outcome',
  },
  {
    runbook: 'default',
    slip: 'nobody comes where nobody acknowledges',
    from: '        escalate: { after: 15m, to: [commander] }\n',
    to: '',
    scenario: 'nobody-acknowledges',
    shownBy: 'paged',
  },
  {
    runbook: 'variants/ai-harm-response-fast',
    slip: 'diverts by itself in doubt',
    from: 'preapprovedWhen: metrics.harmRate > inputs.divertAloneAbove',
    to: 'preapprovedWhen: metrics.harmRate > 0.0',
    scenario: 'in-doubt-people-decide',
    shownBy: 'asked',
  },
  {
    runbook: 'variants/ai-harm-response-hosted',
    slip: 'pins without asking',
    from: '      approval: { from: [ml-oncall, commander], count: 1, timeout: 10m, onTimeout: escalate }\n',
    to: '',
    scenario: 'harm-unknown',
    shownBy: 'steps.pin',
  },
];

let folder: string;
let bundle: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mutants-'));
  bundle = await workflowBundle(path.join(folder, 'bundle'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Names of the expectations that a scenario of the library does not meet with this runbook. */
async function unmetBy(runbook: string, scenario: string, file?: string): Promise<string[]> {
  const named = path.join(LIBRARY_PATH, 'scenarios', path.basename(runbook), `${scenario}.scenario.yaml`);
  const found = await loadScenario(named, file);
  if (!found.ok) throw new Error(formatProblems(found.problems));
  const run = await simulate(found.loaded, bundle);
  const checks = checkExpectations(found.loaded.scenario.spec.expect, run, found.loaded.runbook);
  return checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

describe('scenarios of the shipped library notice that', () => {
  it.each(MUTANTS)('$slip ($runbook)', async ({ runbook, from, to, scenario, shownBy }) => {
    const text = await readFile(path.join(LIBRARY_PATH, `${runbook}.yaml`), 'utf8');
    const mutant =
      from === ASKS_FOR_BLOCKING.source ? text.replace(ASKS_FOR_BLOCKING, to) : text.replace(from, to);
    expect(mutant).not.toBe(text);
    const file = path.join(folder, `${path.basename(runbook)}.yaml`);
    await writeFile(file, mutant);
    expect(await unmetBy(runbook, scenario)).toEqual([]);
    expect(await unmetBy(runbook, scenario, file)).toContain(shownBy);
  });
});
