/**
 * The compiled plan of a runbook: plain JSON, made once by runbooks/compile, hashed, and carried in the workflow's
 * input, so that an edited runbook never touches an incident that is already running.
 */
import type { WorkloadKind } from './target.ts';

/** Label matchers as Alertmanager writes them. */
export interface Matcher {
  label: string;
  op: '=' | '!=' | '=~' | '!~';
  value: string;
}

/** A metric over the target. Label values are bound as string literals when queried, never spliced. */
export type MetricSpec =
  | { type: 'counter'; counter: string; labels: Record<string, string>; windowMs: number }
  | { type: 'ratio'; of: [numerator: string, denominator: string]; windowMs: number }
  | { type: 'promql'; promql: string; bind: Record<string, string> };

export interface ApprovalSpec {
  /** Groups of the access file of which approvers must be members. */
  from: string[];
  /** How many distinct people. */
  count: number;
  timeoutMs: number;
  onTimeout: 'escalate' | 'reject';
  /** CEL text: where the target's mode is auto and this holds, the runbook's version approves. */
  preapprovedWhen?: string;
  /** One person with the access file's break-glass right may approve alone, with a reason. */
  breakGlass?: boolean;
}

/** What a runbook does with a workload whose template comes from Git. */
export const GITOPS_POLICIES = ['refuse', 'suspend', 'pull-request'] as const;

export type GitOpsPolicy = (typeof GITOPS_POLICIES)[number];

/** Value of an input of the runbook: the installation's, or its default. */
export type InputValue = string | number | boolean;

export interface StepPlan {
  id: string;
  uses: string;
  /** Changes production: recorded instead of run in observe mode. */
  mutates: boolean;
  needs: string[];
  always: boolean;
  /** CEL text, decided once by a measurement taken then. */
  when?: string;
  /** CEL text, a standing condition: watched until it holds or the incident ends. */
  whenever?: string;
  whenUnknown: 'run' | 'skip';
  timeoutMs: number;
  /** Attempts of the step's own calls; absent: until its timeout. */
  retry?: { maxAttempts: number };
  onFailure: 'continue' | 'escalate' | 'halt';
  approval?: ApprovalSpec;
  /** The step type's input, checked by its schema, durations in milliseconds. */
  with: Record<string, unknown>;
}

export interface CompiledRunbook {
  apiVersion: 'firebreak.dev/v1alpha1';
  name: string;
  owner: string;
  version: number;
  /** SHA-256 (hex) over the canonical JSON of everything else here. */
  hash: string;
  match: Matcher[];
  correlateBy: string[];
  /** Target fields as templates over `labels.<one of correlateBy>`; absent: the runbook has no target. */
  target?: { kind: WorkloadKind; cluster: string; namespace: string; name: string };
  /** Values that expressions read as `inputs.<name>`; those under `with` were put in by the compiler. */
  inputs: Record<string, InputValue>;
  gitops: GitOpsPolicy;
  metrics: Record<string, MetricSpec>;
  /** CEL text giving SEV1..SEV4. */
  severity: string;
  /** No firing alert for this long is needed before the incident resolves by itself. */
  resolveAfterMs: number;
  /** A still-firing alert of an incident closed less than this ago is counted, not reopened. */
  quietForMs: number;
  /** How often standing conditions and severity are measured again. */
  watchEveryMs: number;
  steps: StepPlan[];
}
