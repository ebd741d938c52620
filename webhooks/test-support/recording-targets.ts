import type { TargetInquiry } from '../../domain/rollback-inquiry.ts';
import type { RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { Answer, TargetView } from '../../workflows/messages.ts';
import type { PlanningInput } from '../../workflows/planning/workflow.ts';
import type { Declared, TargetGateway } from '../gateway/target-gateway.ts';
import type { GatewayError } from '../gateway/types.ts';
import { INCIDENT_ID, PLAN_HASH } from './incident.ts';

type Update = Parameters<TargetGateway['updateTarget']>[0];
type Declaring = Parameters<TargetGateway['declare']>[0];

export function revisionOf(revision: number, change: Partial<RevisionSummary> = {}): RevisionSummary {
  return {
    revision,
    replicaSet: `llm-api-${revision}`,
    images: [`registry.example/llm:v${revision}`],
    digests: [`sha256:${String(revision).repeat(64).slice(0, 64)}`],
    templateHash: `hash-${revision}`,
    createdAt: new Date(Date.UTC(2026, 2, revision)).toISOString(),
    changeCause: `ship v${revision}`,
    replicas: 0,
    barrier: false,
    ...change,
  };
}

export function planOf(target: Target, change: Partial<RollbackPlan> = {}): RollbackPlan {
  const from = revisionOf(3, { replicas: 2 });
  const to = revisionOf(2, { ledger: 'verified-good' });
  return {
    target,
    uid: 'uid-1',
    from,
    to,
    requested: 'last-known-good',
    diff: [
      '--- revision 3',
      '+++ revision 2',
      '@@ -1,3 +1,3 @@',
      ' containers:',
      '-  image: registry.example/llm:v3',
      '+  image: registry.example/llm:v2',
      '',
    ].join('\n'),
    warnings: ['ConfigMaps are used as they are now, not as they were: llm-settings'],
    owners: ['HorizontalPodAutoscaler llm-api'],
    estimateMs: 42_000,
    history: [from, to, revisionOf(1, { barrier: true })],
    approval: { from: ['ml-oncall', 'commander'], count: 1, breakGlass: true },
    hash: PLAN_HASH,
    ...change,
  };
}

/** A TargetGateway that keeps what it is given, and behaves as Temporal does where the edge can tell. */
export class RecordingTargets implements TargetGateway {
  readonly declared: Declaring[] = [];
  readonly inquiries: PlanningInput[] = [];
  readonly updates: Update[] = [];
  /** What targets' actors say, by the target's name. */
  readonly actors = new Map<string, TargetView>();
  /** Thrown by every call while set. */
  failure: GatewayError | undefined;
  /** What the cluster answers. */
  inquiry: (input: PlanningInput) => TargetInquiry = (input) => inquiryOf(input.target);
  readonly #open = new Map<string, string>();

  async declare(input: Declaring): Promise<Declared> {
    if (this.failure) throw this.failure;
    this.declared.push(input);
    const open = this.#open.get(input.workflowId);
    this.#open.set(input.workflowId, open ?? input.key);
    const result = open === undefined ? 'started' : open === input.key ? 'known' : 'open';
    return { result, incidentId: INCIDENT_ID };
  }

  async inquire(input: PlanningInput): Promise<TargetInquiry> {
    if (this.failure) throw this.failure;
    this.inquiries.push(input);
    return this.inquiry(input);
  }

  async describeTarget(target: Target): Promise<TargetView | undefined> {
    if (this.failure) throw this.failure;
    return this.actors.get(target.name);
  }

  async updateTarget(request: Update): Promise<Answer> {
    if (this.failure) throw this.failure;
    this.updates.push(request);
    return { message: `${request.name} recorded` };
  }

  /** Forgets everything, for the next test. */
  clear(): void {
    this.declared.length = 0;
    this.inquiries.length = 0;
    this.updates.length = 0;
    this.actors.clear();
    this.#open.clear();
    this.failure = undefined;
    this.inquiry = (input) => inquiryOf(input.target);
  }
}

export function inquiryOf(target: Target, change: Partial<TargetInquiry> = {}): TargetInquiry {
  const plan = planOf(target);
  const history = plan.history.map((one) =>
    one.revision === 1
      ? one
      : { ...one, served: { classified: 20_000, harmful: one.revision === 3 ? 2_400 : 12, seconds: 7_200 } },
  );
  return {
    target,
    facts: {
      exists: true,
      mode: 'approve',
      owner: 'ml@example.com',
      images: plan.from.images,
      revision: 3,
      replicas: 2,
    },
    answer: { plan },
    history,
    rollout: {
      outcome: 'complete',
      detail: '2 pods of the template are available, no others are left',
      readyReplicas: 2,
      wantedReplicas: 2,
      seconds: 0,
    },
    ...change,
  };
}
