import { argoRollouts } from './argo-rollouts.ts';
import { firebreak } from './firebreak.ts';
import { fixedSample } from './fixed-sample.ts';
import type { Method } from './method.ts';
import { sleepAndLook } from './sleep-and-look.ts';

/** By the names that the report uses. */
export const METHODS = {
  firebreak: firebreak('Firebreak', 'estimate'),
  independent: firebreak('Firebreak, `designEffect: 1`', 1),
  wholeClusters: firebreak('Firebreak, `designEffect: 10`', 10),
  sleepAndLook: sleepAndLook('sleep and look', true),
  sleepAndLookDiverted: sleepAndLook('sleep and look, diverted before', false),
  argoStrict: argoRollouts('Argo Rollouts, `failureLimit: 0`', 0),
  argoLenient: argoRollouts('Argo Rollouts, `failureLimit: 3`', 3),
  fixedSample: fixedSample('fixed-sample exact test'),
} satisfies Record<string, Method>;

export type MethodId = keyof typeof METHODS;
