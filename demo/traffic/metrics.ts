import { Counter, Gauge, Registry } from 'prom-client';

export interface PodLabels {
  namespace: string;
  deployment: string;
  pod: string;
  revision: string;
}

const POD_LABELS = ['namespace', 'deployment', 'pod', 'revision'] as const;
const POD_COUNTERS = {
  requests: ['ai_requests_total', 'Requests that reached a pod of the model.'],
  errors: ['ai_errors_total', 'Requests that ended in an error and have no output.'],
  refusals: ['ai_refusals_total', 'Outputs in which the model refused to answer.'],
  classified: ['ai_outputs_classified_total', 'Outputs that the harm classifier has judged.'],
  harmful: ['ai_harmful_outputs_total', 'Outputs that the harm classifier called harmful.'],
} as const;
type PodCounter = keyof typeof POD_COUNTERS;

/** Counts of one pod; zero from the start, so that the first increase is seen whole. */
export type PodSeries = Record<PodCounter, (by: number) => void>;

/** What Prometheus scrapes. */
export class TrafficMetrics {
  readonly registry = new Registry();
  readonly #counters = {} as Record<PodCounter, Counter<(typeof POD_LABELS)[number]>>;
  readonly #unserved: Counter<'namespace' | 'deployment' | 'reason'>;
  readonly #classifier: Gauge<'namespace' | 'version'>;

  constructor() {
    const registers = [this.registry];
    for (const [key, [name, help]] of Object.entries(POD_COUNTERS) as [PodCounter, [string, string]][]) {
      this.#counters[key] = new Counter({ name, help, labelNames: POD_LABELS, registers });
    }
    this.#unserved = new Counter({
      name: 'ai_gateway_unserved_total',
      help: 'Requests that no pod got: blocked by the breaker, or no ready pod.',
      labelNames: ['namespace', 'deployment', 'reason'],
      registers,
    });
    this.#classifier = new Gauge({
      name: 'ai_classifier_info',
      help: 'Version of the harm classifier.',
      labelNames: ['namespace', 'version'],
      registers,
    });
  }

  addPod(labels: PodLabels): PodSeries {
    const series = {} as PodSeries;
    for (const key of Object.keys(POD_COUNTERS) as PodCounter[]) {
      const counter = this.#counters[key].labels({ ...labels });
      counter.inc(0);
      series[key] = (by) => counter.inc(by);
    }
    return series;
  }

  removePod(labels: PodLabels): void {
    for (const counter of Object.values(this.#counters)) counter.remove({ ...labels });
  }

  addUnserved(
    labels: { namespace: string; deployment: string; reason: 'blocked' | 'no-ready-pod' },
    by: number,
  ) {
    this.#unserved.inc(labels, by);
  }

  setClassifier(namespace: string, version: string): void {
    this.#classifier.reset();
    this.#classifier.set({ namespace, version }, 1);
  }
}
