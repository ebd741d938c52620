/** `firebreak drill` on the real stack: people are reached, the fallback is looked at, and nothing in the cluster changes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import { awaitRolledOut, shipModel } from '../../demo/world/models.ts';
import type { RunningNode } from '../../demo/world/node.ts';
import { commandLine } from '../e2e/command-line.ts';
import { type Installation, install } from '../e2e/installation.ts';
import { deliver, harmDelivery, MODEL } from '../faults/alert-deliveries.ts';
import { apiOf, incidentIdOf, incidentWhen, modelIn, shipRevisions, V1 } from '../faults/waiting-incident.ts';

const NAMESPACE = 'drill';
const FALLBACK = 'llm-fallback';
const SOON_MS = 60_000;

let installation: Installation;
let node: RunningNode;
beforeAll(async () => {
  installation = await install({ name: NAMESPACE, namespaces: { [NAMESPACE]: 'approve' } });
  node = await shipRevisions(installation, NAMESPACE);
  const fallback = { ...modelIn(installation, NAMESPACE), name: FALLBACK };
  await shipModel({ ...fallback, image: V1, replicas: 1 });
  await awaitRolledOut({ ...fallback, image: V1, timeoutMs: SOON_MS });
});
afterAll(async () => {
  await node?.stop();
  await installation?.close();
});

/** What of the namespace a drill could have changed. */
async function standing() {
  const kube = connectKube(installation.stack.kube.kubeconfigPath);
  const { items } = await kube.apps.listNamespacedDeployment({ namespace: NAMESPACE });
  const maps = await kube.core.listNamespacedConfigMap({ namespace: NAMESPACE });
  return {
    deployments: items.map(({ metadata }) => [metadata?.name, metadata?.generation]),
    configMaps: maps.items.map(({ metadata }) => [metadata?.name, metadata?.resourceVersion]),
  };
}

it('pages, shows and checks for real, says what is missing, and changes nothing', async () => {
  const before = await standing();
  const maria = apiOf(installation, 'maria');
  const drilling = commandLine(
    [
      'drill',
      `deployment/${MODEL}`,
      '-n',
      NAMESPACE,
      '--runbook',
      'ai-harm-response',
      '--for',
      '1m',
      '--yes',
      '--json',
    ],
    {
      env: {
        FIREBREAK_URL: installation.firebreak.url,
        FIREBREAK_TOKEN: installation.firebreak.tokens.maria,
      },
    },
  );
  const incidentId = await pollUntil('the drill being open', SOON_MS, async () => {
    const open = await maria.incidents();
    return open.find(({ title }) => title.startsWith('DRILL: '))?.incidentId;
  });
  await maria.call('POST', `/incidents/${incidentId}/acknowledge`, {});
  const { code, out } = await drilling;
  const { ok, findings } = JSON.parse(out) as {
    ok: boolean;
    findings: { what: string; ok: boolean; detail: string }[];
  };
  const of = (what: string) => findings.find((finding) => finding.what === what);
  for (const what of ['pages', 'acknowledged', 'chat', 'step divert'])
    expect(of(what)).toMatchObject({ what, ok: true });
  expect(of('step divert')?.detail).toContain(`${FALLBACK} could take the traffic`);
  // Nothing was served, so no revision is known to be good: a rollback would not have been possible, and that is found.
  expect(of('step rollback')).toMatchObject({ ok: false });
  expect({ ok, code }).toEqual({ ok: false, code: 1 });
  expect(
    installation.vendors.pagerDuty
      .pages()
      .map(({ summary }) => summary)
      .join('\n'),
  ).toContain('DRILL: ');
  expect(await installation.vendors.emulators.github.issues()).toEqual([]);
  expect(await standing()).toEqual(before);
});

it('is begun by an alert that carries the label, beside a real incident of the same model', async () => {
  const labels = { firebreak_drill: 'by-alertmanager' };
  const answer = await deliver(installation, harmDelivery(NAMESPACE, { labels }));
  const real = await deliver(installation, harmDelivery(NAMESPACE));
  const [practised, meant] = [answer.body.incidents?.[0] ?? '', real.body.incidents?.[0] ?? ''];
  expect(practised).not.toBe(meant);
  const drillId = await incidentIdOf(installation, practised);
  const view = await incidentWhen(installation, drillId, 'being a drill', ({ drill }) => drill !== undefined);
  expect(view.drill).toMatchObject({ divert: false });
  const realId = await incidentIdOf(installation, meant);
  const live = await incidentWhen(installation, realId, 'having paged', ({ pages }) => pages.length > 0);
  expect(live.drill).toBeUndefined();
  expect(live.title).not.toContain('DRILL');
});
