/** Runbook files changed under `firebreak serve`, with incidents in flight: a process, a Temporal server, files on disk. */
import { readFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { Api } from '../../demo/run/api.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { type Installation, install } from '../e2e/installation.ts';
import { deliver, harmDelivery } from '../faults/alert-deliveries.ts';

const NAMESPACE = 'hot-reload';
/** Twice `runbooks.watchEvery` and the time that files need to settle, on a machine that is busy. */
const RELOADED_MS = 30_000;
const SHOWN_MS = 60_000;

let installation: Installation;
let maria: Api;
let runbookFile: string;
let shipped: string;

beforeAll(async () => {
  // Nothing is there to be changed: the incidents wait for people, who are not part of this.
  installation = await install({ name: NAMESPACE, namespaces: { [NAMESPACE]: 'observe' } });
  maria = new Api(installation.firebreak.url, installation.firebreak.tokens.maria);
  runbookFile = path.join(installation.firebreak.dir, 'runbooks', 'ai-harm-response.yaml');
  shipped = await readFile(runbookFile, 'utf8');
});
afterAll(() => installation?.close());

const version = (number: number) => shipped.replace(/version: \d+/, `version: ${number}`);

interface Ready {
  ready: boolean;
  degraded: boolean;
  checks: { name: string; details?: { generation: number; problems: string[] } }[];
}

async function readyz(): Promise<Ready & { status: number; generation: number; problems: string[] }> {
  const answer = await fetch(`${installation.firebreak.url}/readyz`);
  const body = (await answer.json()) as Ready;
  const details = body.checks.find(({ name }) => name === 'runbooks')?.details;
  return {
    ...body,
    status: answer.status,
    generation: details?.generation ?? 0,
    problems: details?.problems ?? [],
  };
}

const generation = (wanted: number) =>
  pollUntil(`generation ${wanted} of the runbooks`, RELOADED_MS, async () => {
    const seen = (await readyz()).generation;
    return seen === wanted || undefined;
  });

async function metrics(): Promise<string> {
  return await (await fetch(`${installation.firebreak.url}/metrics`)).text();
}

/** The incident of a Deployment, once it has taken as many alerts. */
async function deliverAlert(deployment: string, alerts: number): Promise<IncidentView> {
  const answer = await deliver(
    installation,
    harmDelivery(NAMESPACE, { labels: { deployment, pod: `pod-${alerts}` } }),
  );
  expect(answer.status).toBe(200);
  return await pollUntil(`${alerts} alerts of ${deployment}`, SHOWN_MS, async () => {
    const line = (await maria.incidents()).find(({ target }) => target?.endsWith(`/${deployment}`));
    if (line === undefined) return undefined;
    const view = await maria.incident(line.incidentId);
    return view.alerts.length === alerts ? view : undefined;
  });
}

const logged = () =>
  readFileSync(installation.firebreak.logFile, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { level: number; msg: string })
    .filter(({ msg }) => msg.includes('runbook'));

it('takes a changed file for new incidents, keeps the plan of those in flight, and refuses a broken one', async () => {
  expect(await readyz()).toMatchObject({ status: 200, ready: true, degraded: false, generation: 1 });
  const inFlight = await deliverAlert('first', 1);
  expect(inFlight.runbook.version).toBe(1);

  // Under another name first, as most editors and tools write.
  await writeFile(`${runbookFile}.new`, version(2));
  await rename(`${runbookFile}.new`, runbookFile);
  await generation(2);
  const kept = await deliverAlert('first', 2);
  expect(kept.incidentId).toBe(inFlight.incidentId);
  expect(kept.runbook).toEqual(inFlight.runbook);
  const next = await deliverAlert('second', 1);
  expect(next.runbook).toMatchObject({ version: 2, name: inFlight.runbook.name });
  expect(next.runbook.hash).not.toBe(inFlight.runbook.hash);

  await writeFile(runbookFile, version(3).replace('uses: page', 'uses: pgae'));
  const broken = await pollUntil('the broken file being refused', RELOADED_MS, async () => {
    const seen = await readyz();
    return seen.degraded ? seen : undefined;
  });
  expect(broken).toMatchObject({ status: 200, ready: true, generation: 2 });
  expect(broken.problems).toEqual([
    expect.stringMatching(/ai-harm-response\.yaml:\d+:\d+ steps\/unknown-type$/),
  ]);
  expect(await metrics()).toMatch(/^firebreak_runbook_reload_success 0$/m);
  expect((await deliverAlert('third', 1)).runbook).toEqual(next.runbook);

  await writeFile(runbookFile, version(3));
  await generation(3);
  expect(await readyz()).toMatchObject({ status: 200, degraded: false, problems: [] });
  expect(await metrics()).toMatch(/^firebreak_runbook_reload_success 1$/m);
  expect((await deliverAlert('fourth', 1)).runbook.version).toBe(3);
  expect(logged().map(({ level, msg }) => [level, msg.split(/[ :]/).slice(0, 2).join(' ')])).toEqual([
    [30, 'runbooks loaded'],
    [30, 'runbooks replaced'],
    [50, 'changed runbook'],
    [30, 'runbooks replaced'],
  ]);
});

it('does not start with a broken file, and where it does not look by itself, SIGHUP makes it look', async () => {
  const { firebreak } = installation;
  const configFile = path.join(firebreak.dir, 'firebreak.yaml');
  const config = parse(await readFile(configFile, 'utf8'));
  await writeFile(configFile, stringify({ ...config, runbooks: { ...config.runbooks, reload: false } }));
  await firebreak.stop();
  await writeFile(runbookFile, version(3).replace('uses: page', 'uses: pgae'));
  await expect(firebreak.start()).rejects.toThrow('unknown step type pgae');

  await writeFile(runbookFile, version(3));
  await firebreak.start();
  expect((await readyz()).generation).toBe(1);
  await writeFile(runbookFile, version(4));
  process.kill(firebreak.pid, 'SIGHUP');
  await generation(2);
  expect((await deliverAlert('fifth', 1)).runbook.version).toBe(4);
});
