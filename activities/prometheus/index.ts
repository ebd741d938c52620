import type { MeasurementActivities } from '../contract.ts';
import type { PodReader } from '../kubernetes/pod-reader.ts';
import { awaitDiverted } from './await-diverted.ts';
import { type PrometheusMap, prometheusFor } from './client.ts';
import { evaluate } from './evaluate.ts';
import { readHarmHistory } from './harm-history.ts';
import { lookForHarm } from './judge-harm.ts';
import { judgeRecovery } from './judge-recovery.ts';
import { readMeasurementClock } from './measurement-clock.ts';
import { readServed } from './read-served.ts';

export { createPrometheusClient } from './client.ts';
export { createServedBy } from './served-by.ts';

export interface MeasurementOptions {
  /** Clients by cluster name. */
  prometheus: PrometheusMap;
  /** The pods whose outputs count: `createPodReader` of the Kubernetes activities. */
  readPods: PodReader;
}

export function createMeasurementActivities({
  prometheus,
  readPods,
}: MeasurementOptions): MeasurementActivities {
  return {
    evaluate: (input) => evaluate(prometheusFor(prometheus, input.target.cluster), input),
    readMeasurementClock: ({ target }) =>
      readMeasurementClock(prometheusFor(prometheus, target.cluster), target),
    judgeRecovery: (input) => judgeRecovery(prometheusFor(prometheus, input.target.cluster), readPods, input),
    judgeHarm: (input) => lookForHarm(prometheusFor(prometheus, input.target.cluster), input),
    readServed: (input) => readServed(prometheus, input),
    readHarmHistory: (input) => readHarmHistory(prometheus, input),
    awaitDiverted: (input) => awaitDiverted(prometheusFor(prometheus, input.target.cluster), input),
  };
}
