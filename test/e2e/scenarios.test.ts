/** Every scenario of the demo, on the real stack: Prometheus sees the harm, Alertmanager fires, Kubernetes rolls back. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from '../../demo/run/api.ts';
import type { ScenarioRun } from '../../demo/run/scenario-run.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { imageOf, revisionsOf } from '../../demo/world/models.ts';
import { SCENARIO_NAMES } from '../../demo/world/scenarios.ts';
import { histories, recordHistories, textOf } from './histories.ts';
import { type Installation, install } from './installation.ts';

const BREAKER_OPEN = 'Breaker open: all traffic goes to llm-fallback';
/** As far before the alert as the runbook of the demo samples. */
const SAMPLED_BEFORE_MS = 120_000;

const namespaceOf = (name: string) => `scenario-${name}`;

let installation: Installation;
const runs = new Map<string, ScenarioRun>();

beforeAll(async () => {
  installation = await install({
    name: 'scenarios',
    // Files to look for canaries in.
    records: 'embedded',
    namespaces: Object.fromEntries(SCENARIO_NAMES.map((name) => [namespaceOf(name), 'approve'])),
  });
});
afterAll(async () => {
  // Histories for test/replay are taken from a run of this file: see CONTRIBUTING.
  if (process.env.RECORD_HISTORIES) await recordHistories(installation, runs);
  await installation?.close();
});

function modelIn(namespace: string) {
  return { kubeconfig: installation.stack.kube.kubeconfigPath, namespace, name: 'llm-api' };
}

async function play(name: (typeof SCENARIO_NAMES)[number]): Promise<ScenarioRun> {
  const run = await installation.play(name, namespaceOf(name));
  runs.set(name, run);
  return run;
}

describe.concurrent('the scenarios', () => {
  it.each(SCENARIO_NAMES)('%s ends as it should', async (name) => {
    const { summary, view } = await play(name);
    expect(summary.differences).toEqual([]);
    expect(view.timeline.map((entry) => entry.seq)).toEqual(view.timeline.map((_, index) => index + 1));
  });
});

describe('two incidents on one target', () => {
  it('make one change between them: the second finds it done', () => {
    const { views } = mustHaveRun('two-incidents');
    expect(views.map(({ runbook }) => runbook.name)).toEqual(['ai-harm-response', 'content-safety-response']);
    const applied = views.map(({ steps }) => steps.find(({ id }) => id === 'rollback')?.outputs?.applied);
    expect(applied.sort()).toEqual(['already-there', 'patched']);
  });

  it('get the traffic back when the last of them has proved its recovery, not before', () => {
    const { views } = mustHaveRun('two-incidents');
    const at = (milestone: 'recovered' | 'restored') =>
      views.map(({ milestones }) => milestones[milestone] ?? Number.NaN);
    expect(Math.min(...at('restored'))).toBeGreaterThanOrEqual(Math.max(...at('recovered')));
  });
});

describe('a fallback that fails', () => {
  it('is proved to be harmful, tells a human, and is taken out before anybody approves', () => {
    const { view } = mustHaveRun('fallback-bad');
    const texts = view.timeline.map((entry) => entry.text);
    const blocked = texts.findIndex((text) => text.includes('all traffic is blocked now'));
    expect(texts[blocked]).toMatch(/^the fallback llm-fallback failed \(/);
    expect(blocked).toBeLessThan(texts.findIndex((text) => text.startsWith('approved step')));
    expect(view.humanNeeded).toEqual([]);
  });

  it('has an incident of its own, which is still open', async () => {
    const lines = await maria().incidentsIn(namespaceOf('fallback-bad'));
    const own = lines.filter(({ target }) => target?.endsWith('/llm-fallback'));
    expect(own).toHaveLength(1);
    expect(own[0]?.state).not.toBe('closed');
  });
});

describe('a canary', () => {
  it('is never diverted: its harm was measured to be below the limit', () => {
    const { view } = mustHaveRun('canary');
    const divert = view.steps.find(({ id }) => id === 'divert');
    // It watched to the end.
    expect(divert?.status).toBe('skipped');
    expect(view.lastHarmRate).toBeLessThan(0.05);
    expect(view.verification?.share).toBe(1);
  });
});

describe('the default scenario', () => {
  const namespace = namespaceOf('rollback');

  it('rolls the Deployment back in the cluster, by exactly one revision change', async () => {
    expect(await imageOf(modelIn(namespace))).toBe('demo.invalid/llm:v1');
    expect((await revisionsOf(modelIn(namespace))).current).toBe(3);
  });

  it('diverts all traffic, contains before it lets a share back, and keeps its milestones in order', () => {
    const { view } = mustHaveRun('rollback');
    const {
      triggered,
      paged,
      contained,
      approved,
      rolledBack,
      recovered,
      restored,
      mitigated,
      resolved,
      closed,
    } = view.milestones;
    const order = [triggered, approved, rolledBack, recovered, restored, mitigated, resolved, closed].map(
      (atMs) => atMs ?? Number.NaN,
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(paged).toBeLessThan(contained ?? 0);
    expect(contained).toBeLessThan(recovered ?? 0);
    const texts = view.timeline.map((entry) => entry.text);
    expect(texts).toContain(BREAKER_OPEN);
    expect(texts.indexOf('contained')).toBeLessThan(texts.findIndex((text) => text.startsWith('Half-open')));
  });

  it('sends one page to each role and opens one ticket', async () => {
    const { view } = mustHaveRun('rollback');
    expect(view.pages.map((page) => page.role).sort()).toEqual(['ml-oncall', 'security-oncall']);
    const pages = installation.vendors.pagerDuty
      .pages()
      .filter(
        (page) => JSON.stringify(page).includes(view.incidentId) || JSON.stringify(page).includes(namespace),
      );
    expect(pages).toHaveLength(2);
    const issues = (await installation.vendors.emulators.github.issues()).filter(
      // Action items have issues of their own.
      ({ body, labels }) => labels.includes('firebreak-ticket') && body.includes(view.incidentId),
    );
    expect(issues).toHaveLength(1);
    expect(issues[0]?.body.replaceAll('\\', '')).toContain('demo.invalid/llm:v2');
    expect(issues[0]?.comments.length).toBeGreaterThanOrEqual(2);
  });

  it('samples at most 50 outputs and keeps no text of any output anywhere', async () => {
    const { view } = mustHaveRun('rollback');
    expect(view.samples?.count).toBeGreaterThan(0);
    expect(view.samples?.count).toBeLessThanOrEqual(50);
    const canary = installation.canaries[namespace] ?? 'none';
    const places: Record<string, string> = {
      ticket: JSON.stringify(await installation.vendors.emulators.github.issues()),
      chat: JSON.stringify(await installation.vendors.emulators.slack.messages()),
      pages: JSON.stringify(installation.vendors.pagerDuty.events()),
      log: await readFile(installation.firebreak.logFile, 'utf8'),
      // Decrypted: the database itself holds ciphertext only.
      temporal: textOf(await histories(installation)),
      records: JSON.stringify(await everythingRecorded(view.incidentId)),
    };
    // Each look can find something: the canary where it comes from, and what Temporal does hold.
    expect(await sampledAnswer(namespace, view.milestones.triggered ?? 0)).toContain(canary);
    expect(places.temporal).toContain(BREAKER_OPEN);
    expect(places.temporal).toContain('llm-api');
    for (const [place, text] of Object.entries(places)) {
      expect(text.length, `${place} was read`).toBeGreaterThan(10);
      expect(text.includes(canary), `the canary in ${place}`).toBe(false);
    }
    expect(await filesHolding(path.dirname(installation.stack.temporal.dbFile), canary)).toEqual([]);
    expect(await filesHolding(path.join(installation.firebreak.dir, 'data'), canary)).toEqual([]);
  });

  it('keeps payloads in Temporal encrypted', async () => {
    const dir = path.dirname(installation.stack.temporal.dbFile);
    expect(await filesHolding(dir, BREAKER_OPEN)).toEqual([]);
    // The files are read, and are those of this installation: ids of workflows are not encrypted.
    expect(await filesHolding(dir, mustHaveRun('rollback').view.workflowId)).not.toEqual([]);
  });

  it('closes the breaker, and the alert resolves in Alertmanager', async () => {
    expect(mustHaveRun('rollback').view.breaker?.state).toBe('closed');
    await pollUntil('the alert being gone', 30_000, async () => {
      const answer = await fetch(
        `${installation.stack.alertmanager.url}/api/v2/alerts?active=true&filter=${encodeURIComponent(`namespace="${namespace}"`)}`,
      );
      return ((await answer.json()) as unknown[]).length === 0 || undefined;
    });
  });

  it('leaves a postmortem and action items in all four lanes in the records, with a whole timeline', async () => {
    const { view } = mustHaveRun('rollback');
    const api = maria();
    const postmortem = await api.call('GET', `/incidents/${view.incidentId}/postmortem`);
    expect(postmortem.status).toBe(200);
    expect(String(postmortem.body.text)).toContain(view.incidentId);
    expect(new Set(view.actionItems.map((item) => item.lane))).toEqual(
      new Set(['control', 'assurance', 'safety-debt', 'exception']),
    );
    expect(
      view.actionItems
        .filter((item) => item.lane === 'safety-debt')
        .every((item) => item.owner && item.expires),
    ).toBe(true);
    expect(view.actionItems.filter((item) => item.lane === 'exception').every((item) => item.retires)).toBe(
      true,
    );
    const recorded = await api.call('GET', `/incidents/${view.incidentId}/timeline`);
    const entries = recorded.body.timeline as { seq: number; atMs: number }[];
    expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, index) => index + 1));
  });
});

function maria(): Api {
  return new Api(installation.firebreak.url, installation.firebreak.tokens.maria);
}

function mustHaveRun(name: string): ScenarioRun {
  const run = runs.get(name);
  if (!run) throw new Error(`scenario ${name} did not run to its end`);
  return run;
}

/** What the source of samples answers about the model's harmful outputs, as Firebreak asks it. */
async function sampledAnswer(namespace: string, triggeredMs: number): Promise<string> {
  const asked = new URLSearchParams({
    namespace,
    deployment: 'llm-api',
    limit: '5',
    harmful: 'true',
    from: new Date(triggeredMs - SAMPLED_BEFORE_MS).toISOString(),
    to: new Date().toISOString(),
  });
  const answer = await fetch(`${installation.vendors.samples.url}?${asked}`);
  expect(answer.status).toBe(200);
  return answer.text();
}

async function everythingRecorded(incidentId: string): Promise<unknown[]> {
  const api = new Api(installation.firebreak.url, installation.firebreak.tokens.kim);
  const parts = ['', '/timeline', '/postmortem', '/attempts'];
  return Promise.all(
    parts.map(async (part) => (await api.call('GET', `/incidents/${incidentId}${part}`)).body),
  );
}

/** Files below a folder that hold the text, by name. */
async function filesHolding(dir: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir(dir, { recursive: true })) {
    const file = path.join(dir, name);
    const content = await stat(file)
      .then((info) => (info.isFile() ? readFile(file) : undefined))
      .catch(() => undefined);
    if (content?.includes(text)) found.push(name);
  }
  return found;
}
