/** `firebreak emergency` against the real API server: nothing else of Firebreak runs. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import { EMERGENCY_ANNOTATION, parseEmergencies } from '../../domain/emergency.ts';
import { reconcileEmergencies } from '../../worker/emergencies.ts';
import { commandLine } from '../e2e/command-line.ts';
import { CLUSTER, type KubeWorld, openKubeWorld } from './kubernetes-fixture.ts';

const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

let world: KubeWorld;
let kubeconfig: string;
beforeAll(async () => {
  world = await openKubeWorld('observe');
  kubeconfig = inject('stack').kube.kubeconfigPath;
});
afterAll(() => world?.stop());

/** Where no server, no Temporal and no Prometheus is: an address on which nothing listens. */
const NOWHERE = { FIREBREAK_URL: 'http://127.0.0.1:9', TEMPORAL_ADDRESS: '127.0.0.1:9' };

function emergency(what: 'rollback' | 'divert', name: string, more: readonly string[], typed?: string) {
  return commandLine(
    [
      'emergency',
      what,
      `deployment/${name}`,
      '-n',
      world.namespace,
      '--kubeconfig',
      kubeconfig,
      '--reason',
      'harm at 12%, Temporal is down',
      ...more,
    ],
    { env: NOWHERE, ...(typed === undefined ? {} : { typed }) },
  );
}
async function recordsOf(name: string) {
  const { metadata } = await world.read(name);
  return parseEmergencies(metadata?.annotations?.[EMERGENCY_ANNOTATION]);
}
function breakerOf(name: string) {
  return createTrafficActivities({ clusters: world.clusters }).readBreaker({ target: world.target(name) });
}

describe('emergency rollback', () => {
  it('shows the plan, asks for the name, rolls back in any mode, and writes down who did what', async () => {
    await world.ship('back', V1);
    await world.ship('back', V2, ({ metadata }) => {
      if (metadata) metadata.annotations = { ...metadata.annotations, 'firebreak.dev/mode': 'observe' };
    });
    const { code, out, err } = await emergency('rollback', 'back', ['--as', 'ada'], 'back\n');
    expect(err).toContain('Revision 2 → revision 1');
    expect(err).toMatch(/\n- +- image: registry\.test\/llm:v2\n\+ +- image: registry\.test\/llm:v1\n/);
    expect(err).toContain('observe: Firebreak would change nothing here');
    expect(err).toContain('Type the name of the workload (back) to go on');
    expect(out).toMatch(/^emergency-\S+: patched: revision 2 \(.*v2\) -> revision 1 \(.*v1\)\n$/);
    expect(code).toBe(0);
    expect(await world.imageOf('back')).toBe(V1);
    const [record, ...others] = await recordsOf('back');
    expect(others).toEqual([]);
    expect(record).toMatchObject({
      id: out.split(':')[0],
      what: 'rollback',
      state: 'done',
      detail: 'patched',
      reason: 'harm at 12%, Temporal is down',
      before: `revision 2 (${V2})`,
      after: `revision 1 (${V1})`,
      by: { as: 'ada', api: expect.stringMatching(/./), kubeconfig: expect.stringMatching(/./) },
    });
  });

  it('does nothing where another name is typed, where there is no terminal, or where it is there already', async () => {
    await world.ship('kept', V1);
    await world.ship('kept', V2);
    expect(await emergency('rollback', 'kept', [], 'back\n')).toMatchObject({ code: 1 });
    expect(await emergency('rollback', 'kept', [])).toMatchObject({ code: 2 });
    expect(await emergency('rollback', 'kept', ['--to', '2', '--yes'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('already-there'),
    });
    expect(await world.imageOf('kept')).toBe(V2);
    expect(await recordsOf('kept')).toEqual([]);
  });

  it('says what is missing: the workload, the revision, the context', async () => {
    expect(await emergency('rollback', 'nothing', ['--yes'])).toMatchObject({ code: 4 });
    await world.ship('alone', V1);
    const none = await emergency('rollback', 'alone', ['--yes', '--to', '7']);
    expect(none).toMatchObject({ code: 1 });
    expect(none.err).toContain('revision 7 is not in the rollout history');
    expect(await emergency('rollback', 'alone', ['--yes', '--context', 'moon'])).toMatchObject({ code: 2 });
  });

  it('is refused without the rights, and says so', async () => {
    await world.ship('forbidden', V1);
    await world.ship('forbidden', V2);
    const file = await strangersKubeconfig();
    const { code, err } = await commandLine(
      [
        'emergency',
        'rollback',
        'deployment/forbidden',
        '-n',
        world.namespace,
        '--kubeconfig',
        file,
        '--reason',
        'x',
        '--yes',
      ],
      { env: NOWHERE },
    );
    expect(code).toBe(3);
    expect(err).toMatch(/the credentials (have no right to it|were not accepted)/);
    expect(await world.imageOf('forbidden')).toBe(V2);
  });

  it('is wrong usage for names that are none, without any call', async () => {
    for (const name of ['../x', 'x?dryRun=All', 'X', 'x\u001b[2J']) {
      const { code, err } = await emergency('rollback', name, ['--yes']);
      expect(code).toBe(2);
      expect(err).not.toMatch(/\u001b\[2J/);
    }
  });
});

describe('emergency divert', () => {
  it('opens the breaker that gateways read, under a command that tells what it was', async () => {
    await world.ship('diverted', V1);
    await world.ship('standby', V1);
    const { code, out, err } = await emergency(
      'divert',
      'diverted',
      ['--to-fallback', 'standby'],
      'diverted\n',
    );
    expect(err).toContain('breaker closed');
    expect(code).toBe(0);
    expect(out).toContain('breaker closed -> breaker open, traffic goes to standby');
    const { breaker, commandId } = await breakerOf('diverted');
    expect(breaker).toMatchObject({ state: 'open', fallback: 'standby', share: 0 });
    expect(commandId).toBe(out.split(':')[0]);
    expect(await recordsOf('diverted')).toMatchObject([{ what: 'divert', state: 'done', id: commandId }]);
  });

  it('blocks where there is no fallback, and takes none that cannot serve', async () => {
    await world.ship('blocked', V1);
    const unfit = await emergency('divert', 'blocked', ['--to-fallback', 'nobody', '--yes']);
    expect(unfit).toMatchObject({ code: 1 });
    expect(unfit.err).toContain('Nothing can be diverted to nobody');
    expect((await breakerOf('blocked')).breaker).toBeUndefined();
    expect(await emergency('divert', 'blocked', ['--yes'])).toMatchObject({ code: 2 });
    const blocked = await emergency('divert', 'blocked', ['--block', '--yes', '--json']);
    expect(JSON.parse(blocked.out)).toMatchObject({
      what: 'divert',
      result: 'written',
      after: 'breaker open, traffic is blocked',
    });
    expect((await breakerOf('blocked')).breaker).toMatchObject({ state: 'open', share: 0 });
  });
});

describe('reconciling', () => {
  it('raises each emergency once, keeps the record, and leaves text of others alone', async () => {
    await world.ship('taken', V1);
    await world.ship('taken', V2);
    await emergency('rollback', 'taken', ['--yes', '--no-wait']);
    await emergency('divert', 'taken', ['--yes', '--block']);
    const clients = world.clusters[CLUSTER];
    if (clients === undefined) throw new Error('no clients');
    const raised: { name: string; summary: string; key: string }[] = [];
    const adopted: string[] = [];
    const parts = {
      logger: pino({ level: 'silent' }),
      adoptBreaker: async ({ name }: { name: string }) => void adopted.push(name),
      raiseAlert: async ({
        target,
        summary,
        key,
        alertname,
      }: {
        target: { name: string };
        summary: string;
        key: string;
        alertname: string;
      }) => {
        expect(alertname).toBe('FirebreakEmergency');
        raised.push({ name: target.name, summary, key });
        return { incidents: ['incident-0123456789ab'] };
      },
    };
    const where = { cluster: CLUSTER, namespace: world.namespace };
    await reconcileEmergencies(clients, where, parts);
    const own = raised.filter(({ name }) => name === 'taken');
    expect(own).toHaveLength(2);
    expect(adopted.filter((name) => name === 'taken')).toHaveLength(2);
    expect(own[0]?.summary).toContain('Emergency rollback with a kubeconfig by');
    expect(new Set(own.map(({ key }) => key)).size).toBe(2);
    expect(await recordsOf('taken')).toMatchObject([
      { what: 'rollback', reconciled: { incident: 'incident-0123456789ab' } },
      { what: 'divert', reconciled: { incident: 'incident-0123456789ab' } },
    ]);
    const before = raised.length;
    expect(await reconcileEmergencies(clients, where, parts)).toBe(0);
    expect(raised).toHaveLength(before);
  });

  it('is not led astray by what somebody writes there', async () => {
    const hostile = [
      {
        id: '../x',
        what: 'rollback',
        at: '2026-01-01T00:00:00Z',
        by: {},
        reason: 'x',
        state: 'done',
        before: '',
        after: '',
      },
      {
        id: 'emergency-1-a',
        what: 'rollback',
        at: '2026-01-01T00:00:00Z',
        by: { api: 'evil\u001b[2J' },
        reason: 'r\u202e',
        state: 'done',
        before: '',
        after: '',
      },
      '__proto__',
      null,
    ];
    await world.ship('hostile', V1);
    await emergency('divert', 'hostile', ['--yes', '--block']);
    await world.ship('hostile', V1, ({ metadata }) => {
      if (metadata) metadata.annotations = { [EMERGENCY_ANNOTATION]: JSON.stringify(hostile) };
    });
    const clients = world.clusters[CLUSTER];
    if (clients === undefined) throw new Error('no clients');
    const told: string[] = [];
    const parts = {
      logger: pino({ level: 'silent' }),
      adoptBreaker: async () => undefined,
      raiseAlert: async ({ summary }: { summary: string }) => {
        told.push(summary);
        return { incidents: [] };
      },
    };
    await reconcileEmergencies(clients, { cluster: CLUSTER, namespace: world.namespace }, parts);
    expect(told).toHaveLength(1);
    expect(told[0]).not.toMatch(CONTROLS);
    // No runbook answered: it is raised again the next time.
    expect((await recordsOf('hostile'))[0]?.reconciled).toBeUndefined();
  });
});

/** A kubeconfig whose token nobody knows. */
async function strangersKubeconfig(): Promise<string> {
  const { kube, dir } = inject('stack');
  const file = path.join(dir, 'stranger.kubeconfig');
  writeFileSync(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: kube.server, 'certificate-authority': kube.caPath } }],
      users: [{ name: 'stranger', user: { token: 'a-token-that-nobody-knows' } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'stranger' } }],
      'current-context': 'c',
    }),
    { mode: 0o600 },
  );
  return file;
}
