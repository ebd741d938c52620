import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { loadScenario } from './load.ts';

const RUNBOOK = path.join(LIBRARY_PATH, 'ai-harm-response.yaml');
const LABELS =
  '{ alertname: AiHarmfulOutputRateHigh, rmf_function: MANAGE, cluster: local, namespace: ai, deployment: llm-api }';
const HEAD = 'apiVersion: firebreak.dev/v1alpha1\nkind: Scenario\nmetadata: { name: x }\nspec:\n';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'firebreak-scenarios-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function load(spec: string, runbook: string | undefined = RUNBOOK) {
  const file = path.join(folder, 'x.scenario.yaml');
  await writeFile(file, `${HEAD}${spec}`);
  return loadScenario(file, runbook);
}

/** Problems as `line:column message`; lines of `spec` count from 5. */
async function problems(spec: string, runbook?: string) {
  const result = await load(spec, runbook);
  return result.ok ? [] : result.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

const ALERTS = `  alerts: [{ labels: ${LABELS} }]\n`;
const EXPECT = '  expect: { state: closed }\n';

describe('what is no scenario', () => {
  it('is told as the runbook that it is', async () => {
    const result = await loadScenario(RUNBOOK, RUNBOOK);
    expect(result).toMatchObject({
      ok: false,
      problems: [{ message: expect.stringMatching(/^this is a runbook, not a scenario: pass a file/) }],
    });
  });

  it('tells mistakes in the order of the file', async () => {
    const told = await problems(
      `  expect: { steps: { rolback: succeeded } }\n  world: { metrics: { p98: 1 } }\n${ALERTS}`,
    );
    expect(told.map((one) => one.split(':')[0])).toEqual(['5', '6']);
  });

  it('takes an empty list for none where it says so', async () => {
    expect(await problems(`${ALERTS}  expect: { tasks: [] }\n`)).toEqual([]);
  });
});

describe('a scenario file', () => {
  it('is read with its times as milliseconds from the start, and its runbook compiled', async () => {
    const result = await load(
      `${ALERTS}  people: [{ after: asked-rollback, wait: 3m, person: maria, does: approve }]\n${EXPECT}`,
    );
    expect(result).toMatchObject({
      ok: true,
      loaded: {
        runbook: { name: 'ai-harm-response' },
        scenario: { spec: { people: [{ after: 'asked-rollback', wait: 180_000 }], until: 604_800_000 } },
      },
    });
  });

  it('finds its runbook by the path from itself', async () => {
    const relative = path.relative(folder, RUNBOOK);
    expect(await load(`  runbook: ${relative}\n${ALERTS}${EXPECT}`, undefined)).toMatchObject({ ok: true });
  });

  it('sets inputs as an installation would', async () => {
    const own = path.join(folder, 'own.yaml');
    await writeFile(
      own,
      [
        'apiVersion: firebreak.dev/v1alpha1',
        'kind: Runbook',
        'metadata: { name: own, owner: me, version: 1 }',
        'spec:',
        '  match: [alertname="A"]',
        '  correlateBy: [alertname]',
        '  inputs: { role: { default: ml-oncall } }',
        `  severity: '"SEV2"'`,
        `  steps: [{ id: page, uses: page, with: { roles: ['\${{ inputs.role }}'] } }]`,
        '',
      ].join('\n'),
    );
    const result = await load(
      `  alerts: [{ labels: { alertname: A } }]\n  inputs: { role: night }\n${EXPECT}`,
      own,
    );
    expect(result).toMatchObject({
      ok: true,
      loaded: { runbook: { steps: [{ with: { roles: ['night'] } }] } },
    });
    const wrong = `  alerts: [{ labels: { alertname: A } }]\n  inputs: { rule: night }\n${EXPECT}`;
    expect(await problems(wrong, own)).toEqual(['6:19 the runbook has no input rule; did you mean role?']);
  });
});

describe('mistakes are told with their place', () => {
  it.each([
    [
      'a field that there is not',
      `${ALERTS}  worl: {}\n${EXPECT}`,
      '6:3 unknown field worl; did you mean world?',
    ],
    [
      'a value that there is not',
      `${ALERTS}  people: [{ at: 0s, person: m, does: aprove }]\n${EXPECT}`,
      '6:39 does does not take this value; did you mean approve?',
    ],
    [
      'something that cannot happen',
      `${ALERTS}  people: [{ after: asked-rolback, person: m, does: approve }]\n${EXPECT}`,
      '6:21 nothing that can happen is called asked-rolback; did you mean asked-rollback?',
    ],
    [
      'a step that the runbook has not',
      `${ALERTS}  expect: { steps: { rolback: succeeded } }\n`,
      '6:31 the runbook has no step rolback; did you mean rollback?',
    ],
    [
      'a role that nobody pages',
      `${ALERTS}  vendors: [{ vendor: pager, for: [ml-onkall] }]\n${EXPECT}`,
      '6:36 the runbook has no role ml-onkall; did you mean ml-oncall?',
    ],
    [
      'a vendor that cannot be narrowed',
      `${ALERTS}  vendors: [{ vendor: tickets, for: [x] }]\n${EXPECT}`,
      /tickets is one: leave for out/,
    ],
    [
      'an endpoint that is not called',
      `${ALERTS}  world: { endpoints: { gate: {} } }\n${EXPECT}`,
      /the runbook has no endpoint gate/,
    ],
    [
      'a role that is expected to be paged',
      `${ALERTS}  expect: { notPaged: [comander] }\n`,
      /no role comander; did you mean commander\?/,
    ],
    [
      'a group that is not asked',
      `${ALERTS}  expect: { asked: { rollback: [ml-onkall] } }\n`,
      /step rollback does not ask ml-onkall; did you mean ml-oncall\?/,
    ],
    [
      'expectations that say nothing',
      `${ALERTS}  expect: { steps: {}, timeline: [] }\n`,
      /expects something/,
    ],
    [
      'a metric that the runbook has not',
      `${ALERTS}  world: { metrics: { p98: 1 } }\n${EXPECT}`,
      /^6:28 the runbook has no metric p98; /,
    ],
    [
      'an alert that the runbook does not answer',
      `  alerts: [{ labels: { alertname: Other } }]\n${EXPECT}`,
      '5:22 an alert with these labels is not matched by runbook ai-harm-response',
    ],
    [
      'an alert about something else',
      `  alerts:\n    - { labels: ${LABELS} }\n    - { labels: ${LABELS.replace('llm-api', 'other')} }\n${EXPECT}`,
      '7:17 it is about another incident than the first alert: cluster, namespace, deployment must be the same',
    ],
    [
      'two times at once',
      `${ALERTS}  people: [{ at: 1m, after: paged, person: m, does: note }]\n${EXPECT}`,
      '6:29 write at or after, not both',
    ],
    [
      'no time at all',
      `${ALERTS}  people: [{ person: m, does: note }]\n${EXPECT}`,
      '6:12 when: write at: 5m, or after: contained',
    ],
    [
      'an approval of a step that asks nobody',
      `${ALERTS}  people: [{ at: 1m, person: m, does: approve, step: page }]\n${EXPECT}`,
      '6:54 step page has no approval that could be given',
    ],
    ['nothing expected', `${ALERTS}  expect: {}\n`, /^6:11 expect: a scenario expects something/],
    [
      'a time that is none',
      `${ALERTS}  until: 3 days\n${EXPECT}`,
      '6:10 until: a time from the start, such as 90s or 1h30m',
    ],
    [
      'revisions out of order',
      `${ALERTS}  world: { revisions: [{ revision: 1, image: a }, { revision: 2, image: b }] }\n${EXPECT}`,
      '6:23 revisions stand newest first, each with a number of its own',
    ],
  ])('%s', async (_what, spec, message) => {
    const [first, ...others] = await problems(spec);
    if (typeof message === 'string') expect(first).toBe(message);
    else expect(first).toMatch(message);
    expect(others).toEqual([]);
  });

  it('all of one kind at once', async () => {
    const spec = `${ALERTS}  people: [{ at: 1x, person: 'a b', does: fly }]\n  expect: { state: gone }\n`;
    expect(await problems(spec)).toHaveLength(4);
  });

  it('of the runbook too', async () => {
    const broken = path.join(folder, 'broken.yaml');
    await writeFile(broken, 'apiVersion: firebreak.dev/v1alpha1\nkind: Runbok\n');
    const result = await load(`${ALERTS}${EXPECT}`, broken);
    expect(result.ok ? [] : result.problems.map(({ file }) => path.basename(file))).toContain('broken.yaml');
  });

  it('a runbook that cannot be read', async () => {
    const [problem] = await problems(`  runbook: no-such.yaml\n${ALERTS}${EXPECT}`, '');
    expect(problem).toContain('cannot be read');
    const file = path.join(folder, 'x.scenario.yaml');
    expect(await loadScenario(file)).toMatchObject({
      problems: [{ line: 5, message: expect.stringContaining('no-such.yaml cannot be read (ENOENT)') }],
    });
  });

  it('a YAML file that tries to be clever', async () => {
    expect(await problems('  alerts: &a [*a]\n')).not.toEqual([]);
  });
});
