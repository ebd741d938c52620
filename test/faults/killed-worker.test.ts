/** The whole process SIGKILLed around the rollback's patch: nothing is done twice, and the incident ends all the same. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { attachStack } from '../../demo/stack/attach-stack.ts';
import { connectKube } from '../../demo/world/kube-client.ts';
import { imageOf, revisionsOf } from '../../demo/world/models.ts';
import { type Installation, install } from '../e2e/installation.ts';
import { type KubeProxy, startKubeProxy } from './kube-proxy.ts';

const V1 = 'demo.invalid/llm:v1';
const V2 = 'demo.invalid/llm:v2';

/** v1, v2, and v1 again: each a change of the template, and nothing else changes the Deployment's spec. */
const GENERATION_AFTER_ONE_ROLLBACK = 3;

describe.concurrent.each([
  // Never reached the API: it is sent again after the restart.
  { at: 'before' as const, imageAtKill: V2, statuses: [undefined, 200] },
  // Done, but nobody heard of it: the next attempt finds it done and patches nothing.
  { at: 'after' as const, imageAtKill: V1, statuses: [200] },
])('killed just $at the rollback patch', ({ at, imageAtKill, statuses }) => {
  const namespace = `killed-${at}`;
  let proxy: KubeProxy;
  let installation: Installation;

  beforeAll(async () => {
    const stack = attachStack(inject('stack'));
    proxy = await startKubeProxy(stack.kube, path.join(stack.dir, `${namespace}.kubeconfig`));
    installation = await install({
      name: namespace,
      // Embedded ones are killed with it.
      records: 'embedded',
      namespaces: { [namespace]: 'approve' },
      kubeconfig: proxy.kubeconfigPath,
    });
  });
  afterAll(async () => {
    await installation?.close();
    await proxy?.close();
  });

  it('changes the revision once, pages once and opens one ticket', async () => {
    const { firebreak, vendors, stack } = installation;
    const kubeconfig = stack.kube.kubeconfigPath;
    const model = { kubeconfig, namespace, name: 'llm-api' };
    const pids = [firebreak.pid];
    const killed = Promise.withResolvers<string>();
    proxy.breakNextPatch({
      at,
      interrupt: async () => {
        try {
          await firebreak.kill();
          const image = await imageOf(model);
          await firebreak.start();
          pids.push(firebreak.pid);
          killed.resolve(image);
        } catch (error) {
          killed.reject(error);
        }
      },
    });

    // A restart that fails is told at once, not as an incident that stands still.
    const restarted = killed.promise;
    const played = installation.play('rollback', namespace);
    const { summary, view } = await Promise.race([
      played,
      restarted.then(
        () => played,
        async (error: unknown) => {
          await played.catch(() => undefined);
          throw error;
        },
      ),
    ]);

    expect(await restarted, 'what the Deployment named while the process was dead').toBe(imageAtKill);
    expect(new Set(pids).size).toBe(2);
    expect(summary.differences).toEqual([]);
    expect(summary).toMatchObject({ fromImage: V2, toImage: V1, fromRevision: 2 });

    expect(proxy.patches.map(({ status }) => status)).toEqual(statuses);
    expect(await imageOf(model)).toBe(V1);
    expect((await revisionsOf(model)).current).toBe(3);
    const deployment = await connectKube(kubeconfig).apps.readNamespacedDeployment(model);
    expect(deployment.metadata?.generation).toBe(GENERATION_AFTER_ONE_ROLLBACK);

    const pages = vendors.pagerDuty.pages();
    expect(view.pages.map((page) => page.role).sort()).toEqual(['ml-oncall', 'security-oncall']);
    expect(pages).toHaveLength(2);
    expect(new Set(pages.map((page) => page.routingKey)).size).toBe(2);
    expect(pages.map((page) => page.triggers)).toEqual([1, 1]);
    const issues = await vendors.emulators.github.issues();
    const tickets = issues.filter(({ labels }) => labels.includes('firebreak-ticket'));
    expect(tickets.map((issue) => issue.body.includes(view.incidentId))).toEqual([true]);
    const items = issues.filter(({ labels }) => labels.includes('firebreak-action-item'));
    expect(new Set(items.map(({ body }) => body.split('\n')[0])).size).toBe(items.length);

    const { timeline } = view;
    expect(timeline.map((entry) => entry.seq)).toEqual(timeline.map((_, index) => index + 1));
    expect(timeline.filter(({ text }) => text.startsWith('approved step'))).toHaveLength(1);
  });
});
