/** A rollback that a person declares, from the command line to the pods; and the day on which no server answers. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { Api } from '../../demo/run/api.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { spawnTraffic } from '../../demo/traffic/spawn-traffic.ts';
import { awaitRolledOut, createNamespace, imageOf, shipModel } from '../../demo/world/models.ts';
import { startNode } from '../../demo/world/node.ts';
import { scenarioOf } from '../../demo/world/scenarios.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { LIBRARY_PATH } from '../../runbooks/load.ts';
import { type CommandResult, commandLine } from './command-line.ts';
import { type Installation, install } from './installation.ts';

const NAMESPACE = 'manual-rollback';
const OBSERVED = 'manual-observed';
const MODEL = 'llm-api';
const V1 = 'demo.invalid/llm:v1';
const V2 = 'demo.invalid/llm:v2';
const READY_MS = 60_000;
/** The server looks for emergencies at its start and every minute. */
const RECONCILED_MS = 90_000;

let installation: Installation;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  installation = await install({
    name: 'manual',
    namespaces: { [NAMESPACE]: 'approve', [OBSERVED]: 'observe' },
  });
  // An installation's own runbook of that name is used instead of the shipped one: here with a short proof.
  writeFileSync(path.join(installation.firebreak.dir, 'runbooks', 'manual-rollback.yaml'), quickRunbook());
  const { kube, prometheus, dir } = installation.stack;
  const kubeconfig = kube.kubeconfigPath;
  const { traffic: load } = scenarioOf('rollback');
  for (const namespace of [NAMESPACE, OBSERVED]) {
    await createNamespace(kubeconfig, namespace);
    const node = await startNode({ kubeconfig, namespaces: [namespace] });
    stops.push(() => node.stop());
    for (const image of [V1, V2]) await ship(namespace, MODEL, image);
  }
  await ship(NAMESPACE, 'llm-fallback', 'demo.invalid/llm-small:v1');
  const traffic = await spawnTraffic(
    {
      kubeconfig,
      namespace: NAMESPACE,
      ...load,
      fallback: 'llm-fallback',
      canary: 'canary-of-manual-rollbacks',
    },
    `${dir}/traffic`,
  );
  stops.push(() => traffic.stop());
  installation.vendors.samples.route(NAMESPACE, traffic.samplesUrl);
  await prometheus.writeTargets(NAMESPACE, [{ address: `127.0.0.1:${traffic.port}` }]);
  await prometheus.awaitTargetsUp([`127.0.0.1:${traffic.port}`]);
  await pollUntil('the own runbook being used', READY_MS, async () => {
    const { out } = await firebreak('eve', ['rollback', 'status', ...at(NAMESPACE), '--json']);
    return (JSON.parse(out) as { runbook?: { version: number } }).runbook?.version === 2;
  });
});
afterAll(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await installation?.stack.prometheus.writeTargets(NAMESPACE, []);
  await installation?.close();
});

function quickRunbook(): string {
  const document = parseDocument(readFileSync(path.join(LIBRARY_PATH, 'manual-rollback.yaml'), 'utf8'));
  document.setIn(['metadata', 'version'], 2);
  document.setIn(['spec', 'metrics', 'harmRate', 'window'], '10s');
  document.setIn(['spec', 'watchEvery'], '2s');
  document.setIn(['spec', 'resolveAfter'], '2s');
  document.setIn(['spec', 'quietFor'], '1s');
  const { spec } = document.toJS() as { spec: { steps: { id: string }[] } };
  const verify = spec.steps.findIndex(({ id }) => id === 'verify');
  const quick = {
    timeout: '45s',
    minDuration: '5s',
    maxSampleAge: '10s',
    classifierLag: '1s',
    pollEvery: '1s',
    designEffect: 1,
  };
  for (const [name, value] of Object.entries(quick))
    document.setIn(['spec', 'steps', verify, 'with', name], value);
  return document.toString();
}

async function ship(namespace: string, name: string, image: string): Promise<void> {
  const kubeconfig = installation.stack.kube.kubeconfigPath;
  await shipModel({ kubeconfig, namespace, name, image, replicas: 2 });
  await awaitRolledOut({ kubeconfig, namespace, name, image, timeoutMs: READY_MS });
}

function at(namespace: string): string[] {
  return [`deployment/${MODEL}`, '-n', namespace];
}

type Person = keyof Installation['firebreak']['tokens'];
function firebreak(person: Person, args: readonly string[], typed?: string): Promise<CommandResult> {
  const { url, tokens } = installation.firebreak;
  const env = { FIREBREAK_URL: url, FIREBREAK_TOKEN: tokens[person] };
  return commandLine(args, { env, ...(typed === undefined ? {} : { typed }) });
}

/** What was said is in the failure. */
async function expectCode(code: number, ending: Promise<CommandResult>): Promise<void> {
  const { code: ended, err } = await ending;
  expect(ended, err).toBe(code);
}

function running(namespace: string): Promise<string | undefined> {
  return imageOf({ kubeconfig: installation.stack.kube.kubeconfigPath, namespace, name: MODEL });
}

async function waiting(api: Api, namespace: string): Promise<IncidentView> {
  return await pollUntil('the declared incident asking for approval', READY_MS, async () => {
    for (const { incidentId } of await api.incidentsIn(namespace)) {
      const view = await api.incident(incidentId);
      if (view.declaredBy !== undefined && view.pendingApprovals.length > 0) return view;
    }
    return undefined;
  });
}

describe('firebreak rollback', () => {
  it('plans without changing anything, for somebody who may only look', async () => {
    const { code, out, err } = await firebreak('eve', [
      'rollback',
      'plan',
      ...at(NAMESPACE),
      '--to',
      'previous',
    ]);
    expect(out).toContain('Revision 2 → revision 1');
    expect(out).toContain('asks 1 of ml-oncall or commander');
    expect(out).toContain('llm:v1');
    expect(code, err).toBe(0);
    expect(await running(NAMESPACE)).toBe(V2);
    await expectCode(
      3,
      firebreak('eve', ['rollback', 'apply', ...at(NAMESPACE), '--to', 'previous', '--reason', 'x', '--yes']),
    );
    await expectCode(4, firebreak('maria', ['rollback', 'plan', 'deployment/nothing', '-n', NAMESPACE]));
  });

  it('rolls back when another person approves, and proves that it helped', async () => {
    const maria = new Api(installation.firebreak.url, installation.firebreak.tokens.maria);
    const applying = firebreak(
      'maria',
      ['rollback', 'apply', ...at(NAMESPACE), '--to', 'previous', '--reason', 'v2 is harmful'],
      'y\n',
    );
    const asked = await waiting(maria, NAMESPACE);
    expect(asked).toMatchObject({
      declaredBy: 'maria',
      title: `Rollback to revision 1: ${NAMESPACE}/${MODEL}`,
      runbook: { name: 'manual-rollback', version: 2 },
      mode: 'approve',
    });
    expect(asked.timeline[0]).toMatchObject({
      kind: 'decision',
      actor: 'maria',
      data: { reason: 'v2 is harmful', via: 'cli' },
    });

    const own = await firebreak('maria', ['incident', 'approve', asked.incidentId, '--yes']);
    expect(own.code, own.err).toBe(3);
    expect(own.err).toContain('maria declared this incident and does not approve alone');
    const second = await firebreak('sam', [
      'rollback',
      'apply',
      ...at(NAMESPACE),
      '--to',
      'previous',
      '--reason',
      'x',
      '--yes',
    ]);
    expect(second.code, second.err).toBe(1);
    expect(second.err).toContain(`${asked.incidentId} is open already`);
    expect(await running(NAMESPACE)).toBe(V2);

    await expectCode(0, firebreak('kim', ['incident', 'approve', asked.incidentId, '--yes']));
    const { code, out, err } = await applying;
    expect(err).toContain(`declared the incident by hand: Rollback to revision 1`);
    expect(err).toContain('approved step rollback  (kim)');
    expect(out).toContain('rolled back to revision 1, outcome recovered');
    expect(code, err).toBe(0);
    expect(await running(NAMESPACE)).toBe(V1);

    const { body } = await maria.call('GET', `/incidents/${asked.incidentId}/attempts`);
    const attempts = body.attempts as { person: string; decision: string; verdict: string }[];
    expect(attempts.map(({ person, decision, verdict }) => `${person} ${decision} ${verdict}`)).toEqual([
      'maria approve denied',
      'kim approve accepted',
    ]);
    const status = await firebreak('eve', ['rollback', 'status', ...at(NAMESPACE)]);
    expect(status.out).toMatch(/revision \d+: verified-good/);
  });

  it('changes nothing in mode observe, and says what would have run', async () => {
    const { code, out, err } = await firebreak('maria', [
      'rollback',
      'apply',
      ...at(OBSERVED),
      '--to',
      'previous',
      '--reason',
      'to see',
      '--yes',
    ]);
    expect(err).toContain('in mode observe nothing is changed');
    expect(out).toContain('nothing was changed (mode observe); would have run: rollback');
    expect(code, err).toBe(0);
    expect(await running(OBSERVED)).toBe(V2);
  });
});

describe('firebreak freeze', () => {
  it('is a commander’s, shows, and ends', async () => {
    const freeze = ['freeze', ...at(OBSERVED), '--for', '1h', '--reason', 'weights are copied'];
    await expectCode(3, firebreak('maria', freeze));
    await expectCode(0, firebreak('kim', freeze));
    const { out } = await firebreak('eve', ['rollback', 'plan', ...at(OBSERVED), '--to', 'previous']);
    expect(out).toMatch(/frozen +by kim until .*: weights are copied/);
    await expectCode(0, firebreak('kim', ['unfreeze', ...at(OBSERVED), '--reason', 'copied']));
    const after = await firebreak('eve', ['rollback', 'plan', ...at(OBSERVED), '--to', 'previous']);
    expect(after.out).not.toContain('frozen');
  });
});

describe('firebreak emergency', () => {
  it('acts while no server runs, and becomes an incident when one does', async () => {
    await installation.firebreak.stop();
    const kubeconfig = ['--kubeconfig', installation.stack.kube.kubeconfigPath];
    const why = ['--reason', 'the server is away', '--yes'];
    await ship(OBSERVED, MODEL, 'demo.invalid/llm:v3');
    const back = await firebreak('maria', ['emergency', 'rollback', ...at(OBSERVED), ...kubeconfig, ...why]);
    expect(back).toMatchObject({ code: 0, out: expect.stringContaining('patched') });
    expect(await running(OBSERVED)).toBe(V2);
    const away = await firebreak('maria', [
      'emergency',
      'divert',
      ...at(OBSERVED),
      ...kubeconfig,
      ...why,
      '--block',
    ]);
    expect(away).toMatchObject({ code: 0, out: expect.stringContaining('breaker open, traffic is blocked') });

    await installation.firebreak.start();
    const maria = new Api(installation.firebreak.url, installation.firebreak.tokens.maria);
    const view = await pollUntil('an incident of the emergencies', RECONCILED_MS, async () => {
      for (const { incidentId } of await maria.incidents()) {
        const incident = await maria.incident(incidentId);
        const alerts = incident.alerts.filter(({ alertname }) => alertname === 'FirebreakEmergency');
        if (alerts.length === 2) return incident;
      }
      return undefined;
    });
    expect(view.runbook.name).toBe('default');
    expect(view.alerts.map(({ summary }) => summary).join('\n')).toContain('Reason: the server is away');
  });
});
