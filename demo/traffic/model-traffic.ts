import type { GatewayBreaker } from './breakers.ts';
import type { HarmfulSamples } from './harmful-samples.ts';
import type { PodLabels, PodSeries, TrafficMetrics } from './metrics.ts';
import type { ModelPod } from './model-pods.ts';
import { applyChange, behaviourOf, type TrafficChange, type TrafficSettings } from './options.ts';
import { drawBinomial, type Random, spread } from './random.ts';
import { route } from './route.ts';

/** Users do not wait for a process that was suspended: what would have come in longer gaps is lost, not a burst. */
const MAX_TICK_MS = 1_000;

export interface TrafficWorld {
  pods: { current(): readonly ModelPod[] };
  breakers: { of(deployment: string): GatewayBreaker | undefined };
}

interface ExposedPod {
  pod: ModelPod;
  labels: PodLabels;
  series: PodSeries;
}

/** Users, gateway, models and classifier in one: each tick it counts what they would have done meanwhile. */
export class ModelTraffic {
  readonly #world: TrafficWorld;
  readonly #metrics: TrafficMetrics;
  readonly #samples: HarmfulSamples;
  readonly #random: Random;
  /** Part of a request that is still owed, by Deployment: rates hold whatever the length of a tick. */
  readonly #owed = new Map<string, number>();
  readonly #models: Set<string>;
  readonly #exposed = new Map<string, ExposedPod>();
  #seenPods: readonly ModelPod[] | undefined;
  #settings: TrafficSettings;

  constructor(
    settings: TrafficSettings,
    world: TrafficWorld,
    metrics: TrafficMetrics,
    samples: HarmfulSamples,
    random: Random,
  ) {
    this.#settings = settings;
    this.#world = world;
    this.#metrics = metrics;
    this.#samples = samples;
    this.#random = random;
    this.#models = new Set(settings.deployments.map(({ name }) => name));
    if (settings.fallback !== null) this.#models.add(settings.fallback);
    metrics.setClassifier(settings.namespace, settings.classifierVersion);
  }

  get settings(): TrafficSettings {
    return this.#settings;
  }

  change(change: TrafficChange): void {
    this.#settings = applyChange(this.#settings, change);
    this.#metrics.setClassifier(this.#settings.namespace, this.#settings.classifierVersion);
  }

  tick(elapsedMs: number, nowMs: number): void {
    this.#exposePods();
    const { deployments, rps, halfOpenTraffic } = this.#settings;
    for (const { name, rps: ownRps } of deployments) {
      const due = (this.#owed.get(name) ?? 0) + ((ownRps ?? rps) * Math.min(elapsedMs, MAX_TICK_MS)) / 1_000;
      const requests = Math.floor(due);
      this.#owed.set(name, due - requests);
      const routed = route(requests, this.#world.breakers.of(name), halfOpenTraffic, this.#random);
      this.#serve(name, routed.target, nowMs);
      if (routed.diverted !== undefined) this.#serve(routed.diverted.to, routed.diverted.requests, nowMs);
      this.#countUnserved(name, 'blocked', routed.blocked);
    }
  }

  /** Series appear at zero when a pod's container runs, before it is ready, and go when the pod is gone. */
  #exposePods(): void {
    const pods = this.#world.pods.current();
    if (pods === this.#seenPods) return;
    this.#seenPods = pods;
    const present = new Set(pods.map(({ uid }) => uid));
    for (const [uid, { labels }] of this.#exposed) {
      if (present.has(uid)) continue;
      this.#metrics.removePod(labels);
      this.#exposed.delete(uid);
    }
    for (const pod of pods) this.#expose(pod);
  }

  #expose(pod: ModelPod): void {
    if (!this.#models.has(pod.deployment)) return;
    const known = this.#exposed.get(pod.uid);
    if (known !== undefined) {
      // Its labels stay, even if its ReplicaSet's revision changes: other labels would be another series.
      known.pod = pod;
      return;
    }
    const { deployment, name, revision } = pod;
    const labels = { namespace: this.#settings.namespace, deployment, pod: name, revision };
    this.#exposed.set(pod.uid, { pod, labels, series: this.#metrics.addPod(labels) });
  }

  #serve(deployment: string, requests: number, nowMs: number): void {
    if (requests === 0) return;
    if (!this.#models.has(deployment)) {
      // A breaker may name any Deployment of the namespace as its fallback.
      this.#models.add(deployment);
      for (const pod of this.#seenPods ?? []) this.#expose(pod);
    }
    const ready = [...this.#exposed.values()].filter(({ pod }) => pod.deployment === deployment && pod.ready);
    if (ready.length === 0) {
      this.#countUnserved(deployment, 'no-ready-pod', requests);
      return;
    }
    const shares = spread(this.#random, requests, ready.length);
    ready.forEach((exposed, index) => {
      this.#answer(exposed, shares[index] ?? 0, nowMs);
    });
  }

  #answer({ pod, labels, series }: ExposedPod, requests: number, nowMs: number): void {
    if (requests === 0) return;
    const { harmRate, classifierCoverage, errorRate, refusalRate } = behaviourOf(this.#settings, pod.image);
    const draw = (trials: number, p: number): number => drawBinomial(this.#random, trials, p);
    const errors = draw(requests, errorRate);
    const outputs = requests - errors;
    const classified = this.#settings.classifying ? draw(outputs, classifierCoverage) : 0;
    const harmful = draw(classified, harmRate);
    series.requests(requests);
    series.errors(errors);
    series.refusals(draw(outputs - harmful, refusalRate));
    series.classified(classified);
    series.harmful(harmful);
    const { deployment, revision } = labels;
    for (let i = 0; i < harmful; i += 1) this.#samples.add({ deployment, pod: pod.name, revision }, nowMs);
  }

  #countUnserved(deployment: string, reason: 'blocked' | 'no-ready-pod', requests: number): void {
    if (requests > 0) {
      this.#metrics.addUnserved({ namespace: this.#settings.namespace, deployment, reason }, requests);
    }
  }
}
