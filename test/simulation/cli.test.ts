import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { readEnv } from '../../cli/env.ts';
import { run } from '../../cli/run.ts';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { findScenarios, rehearse } from '../../simulation/rehearse.ts';
import { BAD_ABOVE_GOOD, bundle, LABELS, RESPONSE, scenarioFile, write } from './scenarios.ts';

async function firebreak(args: string[], env: Record<string, string> = {}) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const cache = path.join(tmpdir(), 'firebreak-test-cache');
  const code = await run(args, { env: readEnv({ XDG_CACHE_HOME: cache, ...env }), stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

const REJECTED = {
  alerts: [{ labels: LABELS }],
  world: BAD_ABOVE_GOOD,
  people: [{ after: 'asked-rollback', wait: '3m', person: 'maria', does: 'reject', reason: 'not this one' }],
};

it('simulate prints the timeline that would have been, and exits by what was expected', async () => {
  const right = scenarioFile({ ...REJECTED, expect: { outcome: 'rejected' } });
  const told = await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', right]);
  expect(told).toMatchObject({ code: 0, err: '' });
  expect(told.out).toContain('+00:00:00  breaker      Breaker open: all traffic goes to llm-fallback\n');
  expect(told.out).toContain('+00:03:00  decision     rejected step rollback  (maria)\n');
  expect(told.out).toContain('✓ outcome  rejected\n');
  expect(await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', right])).toEqual(told);

  const wrong = scenarioFile({ ...REJECTED, expect: { outcome: 'recovered' } });
  const failed = await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', wrong]);
  expect(failed.code).toBe(1);
  expect(failed.out).toContain('✗ outcome\n    expected  recovered\n    got       rejected\n');
  const json = JSON.parse(
    (await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', wrong, '--json'])).out,
  );
  expect(json).toMatchObject({
    ok: false,
    outcome: 'rejected',
    runbook: { name: 'ai-harm-response' },
    checks: [{ name: 'outcome', ok: false }],
  });
});

it('simulate tells mistakes of the scenario with their place, and wrong usage as such', async () => {
  const file = scenarioFile({ ...REJECTED, expect: { steps: { rolback: 'rejected' } } });
  const told = await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', file]);
  expect(told.code).toBe(1);
  expect(told.out).toMatch(/^.*scenario\.yaml:\d+:\d+ .*did you mean rollback\?/);
  expect((await firebreak(['runbook', 'simulate', RESPONSE])).code).toBe(2);
  expect((await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', 'a', '--record', 'b'])).code).toBe(
    2,
  );
});

it('does not obey what is written in alerts and by people', async () => {
  const file = scenarioFile({
    ...REJECTED,
    people: [{ at: '1m', person: 'maria', does: 'skip', step: 'page', reason: '\u001b[2J\u202e' }],
    expect: { outcome: 'none' },
  });
  const { out } = await firebreak(['runbook', 'simulate', RESPONSE, '--scenario', file]);
  expect(out).not.toMatch(/[\u001b\u202e]/);
});

it('test runs all scenarios of a folder, with coverage and a JUnit report', async () => {
  const folder = path.join(LIBRARY_PATH, 'scenarios', 'default');
  const report = path.join(path.dirname(write('x', '')), 'reports', 'junit.xml');
  const told = await firebreak(['runbook', 'test', folder, '--junit', report]);
  expect(told).toMatchObject({ code: 0, err: '' });
  expect(told.out).toMatch(/default {2}3\/3 steps, \d+\/\d+ branches \(\d+%\)/);
  expect(told.out).toContain(`${(await findScenarios([folder])).length} passed`);
  expect(await readFile(report, 'utf8')).toContain('<testsuite name="default"');

  const json = JSON.parse((await firebreak(['runbook', 'test', folder, '--json'])).out);
  expect(json).toMatchObject({ ok: true, coverage: [{ name: 'default', steps: { covered: 3, all: 3 } }] });
});

it('test fails for a scenario that fails, and for a coverage that is too low', async () => {
  const relative = path.relative(path.dirname(write('x', '')), RESPONSE);
  const right = scenarioFile({ runbook: relative, ...REJECTED, expect: { outcome: 'rejected' } });
  const wrong = scenarioFile({ runbook: relative, ...REJECTED, expect: { outcome: 'recovered' } });
  const told = await firebreak(['runbook', 'test', right, wrong, '--no-coverage']);
  expect(told.code).toBe(1);
  expect(told.out).toContain('1 passed, 1 failed');
  expect((await firebreak(['runbook', 'test', right, '--min-coverage', '20'])).code).toBe(0);
  const low = await firebreak(['runbook', 'test', right, '--min-coverage', '100']);
  expect(low.code).toBe(1);
  expect(low.out).toContain('100% is asked for');
});

it('test tells of runbooks that no scenario runs, and of broken ones', async () => {
  const folder = path.join(path.dirname(write('x', '')), 'mixed');
  await cp(path.join(LIBRARY_PATH, 'default.yaml'), path.join(folder, 'default.yaml'));
  await cp(RESPONSE, path.join(folder, 'ai-harm-response.yaml'));
  const scenario = { runbook: 'ai-harm-response.yaml', ...REJECTED, expect: { outcome: 'rejected' } };
  await cp(scenarioFile(scenario), path.join(folder, 'a.scenario.yaml'));
  const told = await firebreak(['runbook', 'test', folder]);
  expect(told.code).toBe(0);
  expect(told.out).toMatch(
    /default {2}0\/3 steps, 0\/\d+ branches \(0%\)\n {2}no scenario runs .*default\.yaml/,
  );
  expect((await firebreak(['runbook', 'test', folder, '--min-coverage', '1'])).code).toBe(1);
  await writeFile(path.join(folder, 'broken.yaml'), 'kind: Runbook\nspec: [\n');
  const broken = await firebreak(['runbook', 'test', folder]);
  expect(broken.code).toBe(1);
  expect(broken.out).toMatch(/broken\.yaml:\d+:\d+ error/);
});

it.each([
  ['a folder without scenarios', ['runbook', 'test', path.join(LIBRARY_PATH, 'variants')]],
  ['a folder that is not there', ['runbook', 'test', path.join(LIBRARY_PATH, 'nowhere')]],
  ['a coverage that is no number', ['runbook', 'test', LIBRARY_PATH, '--min-coverage', 'all']],
])('%s is wrong usage', async (_what, args) => {
  expect((await firebreak(args)).code).toBe(2);
});

it('record writes a scenario of an incident that the server tells of, and overwrites nothing', async () => {
  const happened = await rehearse(
    scenarioFile({ ...REJECTED, expect: { state: 'closed' } }),
    await bundle(),
    RESPONSE,
  );
  const incident = happened.run?.incidents[0];
  const server = createServer((request, response) => {
    const timeline = request.url?.endsWith('/timeline');
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify(
        timeline
          ? { incidentId: incident?.view.incidentId, timeline: incident?.entries }
          : { source: 'live', incident: incident?.view },
      ),
    );
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const env = { FIREBREAK_URL: `http://127.0.0.1:${port}`, FIREBREAK_TOKEN: 't' };
    const output = path.join(path.dirname(write('x', '')), 'recorded.scenario.yaml');
    const args = ['runbook', 'simulate', RESPONSE, '--record', '3f9a', '-o', output];
    expect(await firebreak(args, env)).toMatchObject({ code: 0, out: '' });
    expect(await firebreak(args, env)).toMatchObject({
      code: 1,
      err: expect.stringContaining('there already'),
    });
    // It names its runbook by the path from itself.
    expect(await firebreak(['runbook', 'test', output])).toMatchObject({ code: 0 });
    const printed = await firebreak(args.slice(0, 5), env);
    expect(parse(printed.out)).toMatchObject({ kind: 'Scenario', spec: { expect: { outcome: 'rejected' } } });
  } finally {
    server.close();
  }
});

it('publishes a JSON Schema that a second validator agrees with, on the scenarios of the library', async () => {
  const schema = JSON.parse((await firebreak(['runbook', 'schema', '--scenario'])).out);
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);
  for (const file of await findScenarios([LIBRARY_PATH])) {
    const valid = validate(parse(await readFile(file, 'utf8')));
    expect({ file, valid, errors: validate.errors }).toEqual({ file, valid: true, errors: null });
  }
  const head = { apiVersion: 'firebreak.dev/v1alpha1', kind: 'Scenario', metadata: { name: 'x' } };
  const spec = { ...REJECTED, expect: { state: 'closed' } };
  expect(validate({ ...head, spec })).toBe(true);
  for (const wrong of [
    { ...spec, expect: { state: 'gone' } },
    { ...spec, until: 'three days' },
    { ...spec, worl: {} },
    { ...spec, people: [{ person: 'm', does: 'fly' }] },
    { ...spec, alerts: [{ labels: 'none' }] },
  ]) {
    expect(validate({ ...head, spec: wrong })).toBe(false);
  }
});
