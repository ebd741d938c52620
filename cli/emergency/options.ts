import type { EmergencyActor } from '../../domain/emergency.ts';
import type { RollbackTo } from '../../domain/rollback-plan.ts';

export interface EmergencyOptions {
  namespace: string;
  kubeconfig?: string;
  context?: string;
  as?: string;
  reason: string;
  yes?: boolean;
  json?: boolean;
}
export interface EmergencyRollbackOptions extends EmergencyOptions {
  to: RollbackTo;
  wait: boolean;
}
export interface EmergencyDivertOptions extends EmergencyOptions {
  toFallback?: string;
  block?: boolean;
}

/** What was done, for --json. */
export interface EmergencyResult {
  id: string;
  what: 'divert' | 'rollback';
  result: string;
  before: string;
  after: string;
  by: EmergencyActor;
  problems: string[];
}
