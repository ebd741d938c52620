/** Which alert opens which shipped runbook: exactly one, whatever else is loaded. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { LIBRARY_PATH, loadRunbooks } from '../../runbooks/load.ts';
import { chooseRunbook, DEFAULT_RUNBOOK, matchesLabels, NAMED_RUNBOOKS } from '../../runbooks/match.ts';

interface AlertRule {
  alert: string;
  labels: Record<string, string>;
}

const RULES_PATH = path.resolve(import.meta.dirname, '../../deploy/prometheus');

async function alertRules(file: string): Promise<AlertRule[]> {
  const { groups } = parse(await readFile(path.join(RULES_PATH, file), 'utf8')) as {
    groups: { rules: AlertRule[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}

const alerts = [
  ...(await alertRules('firebreak.rules.yml')),
  ...(await alertRules('firebreak-library.rules.yml')),
].map(({ alert, labels }) => ({ ...labels, alertname: alert, namespace: 'ai', deployment: 'llm-api' }));

let runbooks: CompiledRunbook[];
beforeAll(async () => {
  const loaded = await loadRunbooks();
  expect(loaded.problems).toEqual([]);
  runbooks = loaded.runbooks;
});

describe('the shipped library', () => {
  it.each(alerts)('has exactly one runbook for $alertname', (labels) => {
    const matching = runbooks.filter(({ match }) => matchesLabels(match, labels)).map(({ name }) => name);
    expect(matching).toHaveLength(1);
    expect(chooseRunbook(runbooks, labels)?.by).toBe('match');
  });

  it('has an alert that opens each runbook that is not called for by name', () => {
    const opened = alerts.map((labels) => chooseRunbook(runbooks, labels)?.runbook.name);
    const others = runbooks.map(({ name }) => name).filter((name) => !NAMED_RUNBOOKS.includes(name));
    expect([...new Set(opened)].sort()).toEqual(others.sort());
  });

  it('opens the default for whatever else is about AI risk, and nothing for the rest', () => {
    expect(chooseRunbook(runbooks, { alertname: 'SomethingNew', rmf_function: 'MAP' })).toMatchObject({
      runbook: { name: DEFAULT_RUNBOOK },
      by: 'default',
    });
    expect(chooseRunbook(runbooks, { alertname: 'DiskFull' })).toBeUndefined();
  });

  it('does not load variants, which answer the alerts of the runbook that they vary', async () => {
    const names = (await readdir(path.join(LIBRARY_PATH, 'variants'))).map((file) =>
      path.basename(file, '.yaml'),
    );
    expect(runbooks.filter(({ name }) => names.includes(name))).toEqual([]);
    const variants = await loadRunbooks([path.join(LIBRARY_PATH, 'variants')]);
    // They answer the same alerts, so only one of them is loaded at a time: together the later one is warned of.
    expect(variants.problems.map(({ rule }) => rule)).toEqual(
      names.slice(1).map(() => 'runbook/never-matches'),
    );
    const harmful = alerts.find(({ alertname }) => alertname === 'AiHarmfulOutputRateHigh') ?? {};
    for (const variant of variants.runbooks.filter(({ name }) => !NAMED_RUNBOOKS.includes(name))) {
      expect(matchesLabels(variant.match, harmful)).toBe(true);
    }
  });

  it('has three scenarios at least for each runbook and each variant', async () => {
    const variants = await readdir(path.join(LIBRARY_PATH, 'variants'));
    const names = [
      ...runbooks.map(({ name }) => name),
      ...variants.map((file) => path.basename(file, '.yaml')),
    ];
    for (const name of names) {
      const files = await readdir(path.join(LIBRARY_PATH, 'scenarios', name));
      const scenarios = files.filter((file) => file.endsWith('.scenario.yaml'));
      expect(scenarios.length, name).toBeGreaterThanOrEqual(3);
    }
  });
});
