/** The world of a scenario before anything happens to it: a namespace with its pods, users, and what v2 is when it comes. */
import type { AttachedStack } from '../stack/attach-stack.ts';
import { pollUntil } from '../stack/poll.ts';
import { spawnTraffic } from '../traffic/spawn-traffic.ts';
import {
  awaitReadyPods,
  awaitRolledOut,
  createNamespace,
  type ModelRef,
  revisionsOf,
  shipModel,
} from '../world/models.ts';
import { startNode } from '../world/node.ts';
import { applyEvent, type Scenario, type WorldControls } from '../world/scenarios.ts';
import { type Story, tell } from './follow-incident.ts';
import type { SamplesRouter } from './samples-router.ts';
import { secondTeamRules } from './second-team.ts';

/** A few pods that are ready within a second each; the rest is for a machine that does other things too. */
const ROLLOUT_WITHIN_MS = 60_000;
/** v1 serves this long before v2 is shipped: "served well" is 10 s in the demo, and Prometheus needs both edges. */
const SERVE_BEFORE_MS = 14_000;

export interface WorldOptions {
  scenario: Scenario;
  stack: AttachedStack;
  samples: SamplesRouter;
  namespace: string;
  canary: string;
  story: Story;
}

/** The Deployment as v2 was shipped. */
export interface Shipped {
  generation: number;
  revision: number;
}

/** v1 serves, with its fallback beside it, until it counts as known good. `stops` get what ends it. */
export async function startWorld(
  options: WorldOptions,
  stops: (() => Promise<void>)[],
): Promise<WorldControls> {
  const { scenario, stack, namespace, story } = options;
  const { kubeconfigPath: kubeconfig } = stack.kube;
  await createNamespace(kubeconfig, namespace);
  const node = await startNode({ kubeconfig, namespaces: [namespace], images: scenario.pods });
  stops.push(() => node.stop());
  for (const { deployment, ...model } of [scenario.v1, scenario.fallback]) {
    await shipModel({ kubeconfig, namespace, name: deployment, ...model, ...attributes(scenario) });
  }
  await Promise.all(
    [scenario.v1, scenario.fallback].map(({ deployment, image }) =>
      awaitRolledOut({ kubeconfig, namespace, name: deployment, image, timeoutMs: ROLLOUT_WITHIN_MS }),
    ),
  );
  story('world', `${scenario.v1.image} serves, with ${scenario.fallback.deployment} as its fallback`);
  const traffic = await spawnTraffic(
    {
      kubeconfig,
      namespace,
      ...scenario.traffic,
      fallback: scenario.fallback.deployment,
      canary: options.canary,
    },
    `${stack.dir}/traffic`,
  );
  stops.push(() => traffic.stop());
  options.samples.route(namespace, traffic.samplesUrl);
  await stack.prometheus.writeTargets(namespace, [{ address: `127.0.0.1:${traffic.port}` }]);
  await stack.prometheus.awaitTargetsUp([`127.0.0.1:${traffic.port}`]);
  if (scenario.secondTeam) {
    // Long before it fires: an alert that fires while the rules are read anew comes some seconds late.
    await stack.prometheus.writeRules(secondTeamName(namespace), secondTeamRules(namespace));
    stops.push(() => stack.prometheus.writeRules(secondTeamName(namespace), undefined));
    story('world', 'a second team has an alert and a runbook of its own for the same harm');
  }
  story(
    'world',
    `traffic flows; v1 serves for ${SERVE_BEFORE_MS / 1_000} s, so that it counts as known good`,
  );
  await servedFor(stack.prometheus.url, namespace, scenario.v1.deployment, SERVE_BEFORE_MS);
  return { traffic, node };
}

/** Ships v2 and waits until it serves: with all its pods, or with those of a canary, at which its rollout is held. */
export async function shipV2(options: WorldOptions, world: WorldControls): Promise<Shipped> {
  const { scenario, stack, namespace, story } = options;
  const { deployment, image, replicas, rollingUpdate } = scenario.v2;
  const model = { kubeconfig: stack.kube.kubeconfigPath, namespace, name: deployment };
  story('world', `shipping ${image}, which is harmful`);
  const { generation } = await shipModel({
    ...model,
    image,
    replicas,
    rollingUpdate,
    ...attributes(scenario),
  });
  const { canaryPods } = scenario;
  const shipped = { ...model, image, timeoutMs: ROLLOUT_WITHIN_MS };
  const { revision } =
    canaryPods === undefined
      ? await awaitRolledOut(shipped)
      : await awaitReadyPods({ ...shipped, pods: canaryPods });
  const on = canaryPods === undefined ? '' : `, on ${canaryPods} of ${replicas} pods`;
  story('world', `${image} serves as revision ${revision}${on}`);
  await tell(story, applyEvent(scenario, 'v2-shipped', world));
  if (canaryPods !== undefined) await awaitHeld(model, image, canaryPods);
  return { generation, revision };
}

/** Waits until the rollout has begun with a pod more than may serve, so that it can go no further. */
async function awaitHeld(model: ModelRef, image: string, canaryPods: number): Promise<void> {
  await pollUntil('The rollout being held', ROLLOUT_WITHIN_MS, async () => {
    const { revisions } = await revisionsOf(model);
    const pods = revisions.find((one) => one.image === image)?.replicas ?? 0;
    return pods > canaryPods || undefined;
  });
  const { readyReplicas } = await awaitReadyPods({ ...model, image, pods: canaryPods });
  if (readyReplicas !== canaryPods) {
    throw new Error(
      `${readyReplicas} pods of ${image} serve already where ${canaryPods} should: the rollout was held too late, try again on a machine that is less busy`,
    );
  }
}

function secondTeamName(namespace: string): string {
  return `${namespace}-second-team`;
}

function attributes(scenario: Scenario) {
  return {
    annotations: {
      'ai.rmf/owner': 'team-ml@example.com',
      'ai.rmf/risk-tier': 'high',
      'firebreak.dev/mode': 'approve',
    },
    progressDeadlineSeconds: scenario.progressDeadlineSeconds,
  };
}

/** Waits until Prometheus has seen outputs of the model over this long. */
async function servedFor(
  prometheusUrl: string,
  namespace: string,
  deployment: string,
  durationMs: number,
): Promise<void> {
  const selector = `ai_outputs_classified_total{namespace="${namespace}",deployment="${deployment}"}`;
  const query = `min(count_over_time(${selector}[5m]))`;
  await pollUntil(`Prometheus having ${durationMs / 1_000} s of v1`, durationMs * 4, async () => {
    const answer = await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`);
    const body = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    // One sample a second.
    return Number(body.data.result[0]?.value[1] ?? 0) >= durationMs / 1_000 || undefined;
  });
}
