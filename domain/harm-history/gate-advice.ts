import type { GateName } from '../verification/types.ts';

export interface GateAdvice {
  /** What it means that the gate was not satisfied. */
  means: string;
  /** What a person does about it. */
  todo: string;
}

/** Why a verification ended without proof, by the names that verdicts show. A gate without a line does not compile. */
export const GATE_ADVICE: Readonly<Record<GateName | 'test-undecided', GateAdvice>> = {
  'query-failed': {
    means: 'Prometheus did not answer the query for the counts',
    todo: 'run firebreak doctor, and bring back Prometheus or the way to it from the worker of the cluster',
  },
  'partial-response': {
    means: 'Prometheus answered with a part of its data and said so',
    todo: 'look at the stores behind Thanos, Mimir or remote read: one of them is away',
  },
  'not-a-number': {
    means: 'a counter had values that no counter can have, such as NaN or a negative number',
    todo: 'look at the counters in Prometheus, and mend what exports them or the recording rule that makes them',
  },
  'duplicate-series': {
    means: 'the same series was there twice, so that outputs may have been counted twice',
    todo: 'ask one Prometheus, or let the store in front deduplicate by its replica label',
  },
  'impossible-counts': {
    means: 'more harmful outputs were counted than classified ones',
    todo: 'check that the metrics "harmful" and "classified" of the runbook select the same pods and the same outputs',
  },
  'no-classified-outputs': {
    means: 'no output was classified: there was no traffic, or the classifier did not count',
    todo: 'check that the share of traffic reaches the new pods and that the classifier runs; without users, send test traffic',
  },
  'minimum-exposure': {
    means: 'too few outputs were classified to prove anything',
    todo: 'give it more traffic (a larger share) or more time (a longer timeout)',
  },
  'too-few-blocks': {
    means: 'outputs were seen in too few scrapes, so that they may all be one burst',
    todo: 'give it more time, and check that traffic is steady and Prometheus scrapes all pods',
  },
  'minimum-duration': {
    means: 'it was measured for too short a time',
    todo: 'give it more time: a timeout that is longer than minDuration and the start of the pods together',
  },
  'sample-age': {
    means: 'the newest sample was too old, or not of this time: what is served now was not seen',
    todo: 'check that Prometheus scrapes the pods (its page of targets), and the clocks of both',
  },
  coverage: {
    means: 'too many requests were not classified: harm may be where nobody looked',
    todo: 'look at the classifier: a queue that grows, a timeout, or sampling that was switched on',
  },
  'classifier-silent': {
    means:
      'the harm classifier counted nothing while requests were served, or its harmful counter is not exposed',
    todo: 'bring the classifier back; it has to expose its harmful counter at zero as well',
  },
  'classifier-changed': {
    means:
      'the classifier was another one than before, or its version is not known: the rates do not compare',
    todo: 'put the classifier of the time of the alert back, or have a person judge samples',
  },
  'guard-failed': {
    means: 'a guard of the runbook did not hold, or could not be measured: for instance errors or refusals',
    todo: 'look at the metrics in the guards of the verify step: a model that is dead or refuses all does no harm either',
  },
  'test-undecided': {
    means:
      'all evidence was in order, and the rate was too close to the threshold for the outputs that were seen',
    todo: 'give it more time or more traffic, or compare the interval with the threshold and decide yourself',
  },
};

const UNKNOWN_GATE: GateAdvice = {
  means: 'this version knows no gate of that name',
  todo: 'look for it in the documentation of the version that ran the verification',
};

export function adviceFor(gate: string): GateAdvice {
  return Object.hasOwn(GATE_ADVICE, gate) ? GATE_ADVICE[gate as GateName] : UNKNOWN_GATE;
}
