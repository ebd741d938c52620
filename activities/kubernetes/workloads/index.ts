import type { WorkloadKind } from '../../../domain/target.ts';
import { deploymentType } from './deployment.ts';
import { rolloutType } from './rollout.ts';
import { statefulSetType } from './stateful-set.ts';
import type { WorkloadType } from './workload.ts';

const TYPES: Record<WorkloadKind, WorkloadType> = {
  Deployment: deploymentType,
  StatefulSet: statefulSetType,
  Rollout: rolloutType,
};

export function workloadTypeOf(kind: WorkloadKind): WorkloadType {
  return TYPES[kind];
}
