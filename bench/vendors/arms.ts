/** An installation with harmful models, and how long the harm of one of them takes to be contained. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Api } from '../../demo/run/api.ts';
import { deliverAlert, incidentOf } from '../../demo/run/deliver-alert.ts';
import { startFirebreak } from '../../demo/run/firebreak-process.ts';
import { shipV2, startWorld } from '../../demo/run/start-world.ts';
import { startOutages, VENDORS_ALERT, type VendorsWithOutages } from '../../demo/run/vendor-outages.ts';
import { startVendors } from '../../demo/run/vendors.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { LocalStack } from '../../demo/stack/stack.ts';
import { scenarioOf } from '../../demo/world/scenarios.ts';

/** As startFirebreak configures it. */
const CLUSTER = 'local';
const TIMEOUT_MS = 90_000;
/** The window of the runbook's harm rate: each round begins with one that is full. */
const WINDOW_SECONDS = 10;
/** Counters are scraped once a second, so a window's edges are rough. */
const FULL = 0.85;

export interface Arm {
  outages: VendorsWithOutages;
  /** From the delivery of an alert to the effect measured in traffic, in ms. */
  contain(namespace: string, run: string): Promise<number>;
}

type Stops = (() => Promise<void>)[];

/** Starts Firebreak with vendors of its own, and the models that it answers for. */
export async function startArm(
  stack: LocalStack,
  options: { name: string; temporalNamespace: string; namespaces: readonly string[] },
  stops: Stops,
): Promise<Arm> {
  const { name, temporalNamespace, namespaces } = options;
  const vendors = await startVendors();
  stops.push(() => vendors.close());
  const outages = await startOutages(vendors);
  stops.push(() => outages.close());
  const dir = path.join(stack.dir, `firebreak-${name}`);
  await mkdir(dir, { recursive: true });
  const firebreak = await startFirebreak(
    outages.adjust({
      dir,
      kubeconfig: stack.kube.kubeconfigPath,
      prometheusUrl: stack.prometheus.url,
      temporalAddress: stack.temporal.address,
      temporalNamespace,
      namespaces: Object.fromEntries(namespaces.map((namespace) => [namespace, 'approve'])),
      pagerDutyUrl: vendors.pagerDuty.url,
      samplesUrl: vendors.samples.url,
    }),
  );
  stops.push(() => firebreak.stop());
  const scenario = scenarioOf('rollback');
  await Promise.all(
    namespaces.map(async (namespace) => {
      const world = {
        scenario,
        stack,
        samples: vendors.samples,
        namespace,
        canary: name,
        story: () => undefined,
      };
      await shipV2(world, await startWorld(world, stops));
    }),
  );
  const api = new Api(firebreak.url, firebreak.tokens.kim);
  const deployment = scenario.v2.deployment;
  const served = `sum(increase(ai_requests_total{namespace="$",deployment="${deployment}"}[${WINDOW_SECONDS}s]))`;
  return {
    outages,
    async contain(namespace, run) {
      const wanted = scenario.traffic.rps * WINDOW_SECONDS * FULL;
      await pollUntil(`all traffic of ${namespace} being back`, TIMEOUT_MS, async () => {
        const requests = await valueAt(stack, served.replace('$', namespace));
        return requests >= wanted || undefined;
      });
      const startedMs = Date.now();
      const workflowId = await deliverAlert(firebreak, {
        labels: { alertname: VENDORS_ALERT, cluster: CLUSTER, namespace, deployment, run },
      });
      const id = await incidentOf(api, workflowId);
      const containedMs = await pollUntil(
        `${id} being contained`,
        TIMEOUT_MS,
        async () => (await api.incident(id)).milestones.contained,
      );
      await giveBack(api, id);
      return containedMs - startedMs;
    },
  };
}

/** It was all a false alarm: traffic goes back, and the next incident of the same model is not held up by this one. */
async function giveBack(api: Api, id: string): Promise<void> {
  const answer = await api.call('POST', `/incidents/${id}/false-positive`, { reason: 'measured' });
  if (answer.status !== 200) {
    throw new Error(`the end of ${id} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
  await pollUntil(`traffic being given back by ${id}`, TIMEOUT_MS, async () => {
    const { breaker } = await api.incident(id);
    return breaker?.state === 'closed' || undefined;
  });
}

async function valueAt(stack: LocalStack, query: string): Promise<number> {
  const answer = await fetch(`${stack.prometheus.url}/api/v1/query?query=${encodeURIComponent(query)}`);
  const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return Number(data.result[0]?.value[1] ?? 0);
}
