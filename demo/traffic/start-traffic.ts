import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connectKube, explain } from '../world/kube-client.ts';
import { Breakers } from './breakers.ts';
import { HarmfulSamples } from './harmful-samples.ts';
import { TrafficMetrics } from './metrics.ts';
import { ModelPods } from './model-pods.ts';
import { ModelTraffic } from './model-traffic.ts';
import { type TrafficChange, type TrafficOptions, trafficOptionsSchema } from './options.ts';
import { seededRandom } from './random.ts';
import { trafficServer } from './server.ts';

const LOOPBACK = '127.0.0.1';
/** Far below any scrape interval, so that counters grow evenly; costs next to nothing. */
const TICK_MS = 50;

/** Where a running traffic process is found. */
export interface TrafficAddress {
  port: number;
  metricsUrl: string;
  samplesUrl: string;
  controlUrl: string;
}

export interface RunningTraffic extends TrafficAddress {
  control(change: TrafficChange): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Sends traffic to the ready pods of the Deployments, as their breakers allow, and tells what came of it as metrics and
 * samples. Nothing is really sent: requests are counted, outputs are drawn.
 * @throws Error when the options are wrong, the API cannot be reached or the port is taken.
 */
export async function startTraffic(
  options: TrafficOptions,
  trouble: (error: Error) => void = () => {},
): Promise<RunningTraffic> {
  const settings = trafficOptionsSchema.parse(options);
  const { namespace } = settings;
  const kube = connectKube(settings.kubeconfig);
  const followed: { stop(): void }[] = [];
  const keep = <T extends { stop(): void }>(one: T): T => {
    followed.push(one);
    return one;
  };
  const stopFollowing = (): void => {
    for (const one of followed) one.stop();
  };
  try {
    const breakers = keep(await Breakers.follow(kube, namespace, trouble));
    const pods = keep(await ModelPods.follow(kube, namespace, trouble));
    const world = { breakers, pods };
    const random = seededRandom(settings.seed);
    const metrics = new TrafficMetrics();
    const samples = new HarmfulSamples(settings.canary, random, randomBytes(3).toString('hex'));
    const traffic = new ModelTraffic(settings, world, metrics, samples, random);
    const server = trafficServer({ traffic, metrics, samples, world });
    await server.listen({ host: LOOPBACK, port: settings.port });

    let lastMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      traffic.tick(nowMs - lastMs, Date.now());
      lastMs = nowMs;
    }, TICK_MS);
    return {
      ...addressOf((server.server.address() as AddressInfo).port),
      control: async (change) => traffic.change(change),
      stop: async () => {
        clearInterval(timer);
        stopFollowing();
        // Prometheus keeps its connection open.
        server.server.closeAllConnections();
        await server.close();
      },
    };
  } catch (error) {
    stopFollowing();
    throw explain(error, `starting the traffic of namespace ${namespace}`);
  }
}

function addressOf(port: number): TrafficAddress {
  const url = `http://${LOOPBACK}:${port}`;
  return { port, metricsUrl: `${url}/metrics`, samplesUrl: `${url}/samples`, controlUrl: `${url}/control` };
}
