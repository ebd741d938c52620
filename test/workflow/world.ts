/**
 * The world as the workflows see it: activities with state, scripted by a test. Only for what skipped time is needed for
 * (days of waiting, deadlines); everything that can run against real servers is tested there.
 */
import { ApplicationFailure } from '@temporalio/common';
import type {
  ChatActivities,
  EndpointActivities,
  EvidenceActivities,
  ExpressionActivities,
  GitOpsActivities,
  KubernetesActivities,
  LookActivities,
  MeasurementActivities,
  NotificationActivities,
  PagingActivities,
  RecordActivities,
  RepositoryActivities,
  SampleActivities,
  SignalingActivities,
  TicketActivities,
  TrafficActivities,
  WatchdogActivities,
} from '../../activities/contract.ts';
import { createExpressionActivities } from '../../activities/expressions/index.ts';
import { createLookAtTarget } from '../../activities/look-at-target.ts';
import type { Breaker } from '../../domain/breaker.ts';
import type { ActionItem, SampleSummary } from '../../domain/incident.ts';
import type { ResolvedPolicy } from '../../domain/paging.ts';
import { deriveActionItems } from '../../domain/postmortem.ts';
import type { RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { Target, TargetFacts } from '../../domain/target.ts';
import type { HarmLook } from '../../domain/verification/judge-harm.ts';
import type { Verdict } from '../../domain/verification/types.ts';
import { evaluateExpression } from '../../runbooks/expressions.ts';

export type AllActivities = ChatActivities &
  EndpointActivities &
  EvidenceActivities &
  ExpressionActivities &
  GitOpsActivities &
  KubernetesActivities &
  LookActivities &
  MeasurementActivities &
  NotificationActivities &
  PagingActivities &
  RecordActivities &
  RepositoryActivities &
  SampleActivities &
  SignalingActivities &
  TicketActivities &
  TrafficActivities &
  WatchdogActivities;

export const TARGET: Target = { cluster: 'local', namespace: 'ai', kind: 'Deployment', name: 'llm-api' };

function revision(number: number, image: string): RevisionSummary {
  return {
    revision: number,
    replicaSet: `llm-api-${number}`,
    images: [image],
    digests: [],
    templateHash: `template-${image}`,
    createdAt: '2026-01-01T00:00:00Z',
    replicas: 2,
    barrier: false,
  };
}

export function verdict(outcome: Verdict['outcome']): Verdict {
  return {
    outcome,
    gates: outcome === 'undecided' ? [{ name: 'no-classified-outputs', ok: false, detail: 'none' }] : [],
    harmful: outcome === 'not-recovered' ? 90 : 0,
    classified: outcome === 'undecided' ? 0 : 900,
    denominator: 'classified',
    requests: 900,
    effective: { harmful: 0, classified: 900 },
    designEffect: 1,
    interval: [0, 0.01],
    intervalConfidence: 0.98,
    threshold: 0.01,
    confidence: 0.99,
    evidenceLog10: { recovered: 2, notRecovered: 0, needed: 2 },
    blocks: 10,
    observedMs: 10_000,
  };
}

export function harmLook(verdict: HarmLook['verdict']): HarmLook {
  const known = verdict !== 'unknown';
  const harmful = verdict === 'exceeded' ? 90 : 0;
  return {
    atMs: Date.now(),
    harmful: known ? harmful : null,
    classified: known ? 900 : null,
    harmRate: known ? harmful / 900 : null,
    verdict,
    reasons: verdict === 'within' ? [] : [verdict],
  };
}

export class World {
  harmRate: number | undefined = 0.12;
  facts: TargetFacts = {
    exists: true,
    mode: 'approve',
    images: ['llm:v2'],
    revision: 2,
    replicas: 2,
    owner: 'ml@example.com',
  };
  running = revision(2, 'llm:v2');
  previous = revision(1, 'llm:v1');
  verdicts: Verdict['outcome'][] = ['undecided', 'recovered'];
  /** What watches of a workload see, by its name; others serve without harm. */
  harmLooks = new Map<string, HarmLook['verdict']>();
  /** Why the fallback cannot serve. */
  fallbackProblems: string[] = [];
  breakers: Breaker[] = [];
  raised: Parameters<SignalingActivities['raiseAlert']>[0][] = [];
  /** The Kubernetes API is away when the rollback is due. */
  clusterProblem: string | undefined;
  projectedBy: string | undefined;
  /** The cluster is away when changes of the target are looked for. */
  changesProblem: string | undefined;
  rollouts = 0;
  rolloutOutcome: 'complete' | 'deadline' = 'complete';
  /** Called by the activity that patches; throws to simulate drift. */
  beforeApply: () => void = () => undefined;
  /** Called at each look of the verification. */
  whileVerifying: () => void = () => undefined;
  planVersion = 1;
  pages: { role: string; dedupKey: string }[] = [];
  pageUpdates: string[] = [];
  policy: (name: string) => ResolvedPolicy = (name) => ({
    levels: [{ roles: [name], afterMs: 300_000 }],
    repeats: 0,
  });
  /** Times that the outside dead man's switch was fed. */
  fed = 0;
  tickets = 0;
  proposals = 0;
  /** Action items that have tickets. */
  filed: string[] = [];
  /** What the ticket said, one update after the other. */
  ticketStates: string[] = [];
  /** The records refuse, in a way that no retry policy retries: a rotated password. */
  recordsProblem: string | undefined;
  /** What chat does when it is configured. */
  chat: ChatActivities['publishIncident'] | undefined;
  reminded: Parameters<ChatActivities['remindPerson']>[0][] = [];
  /** Chat does not take reminders. */
  reminderProblem: string | undefined;
  /** The ticket system refuses. */
  ticketProblem: string | undefined;
  /** The ticket system is away when comments are made. */
  commentProblem: string | undefined;
  comments: string[] = [];
  /** What the source of samples gives; undefined: nothing. */
  samples: SampleSummary | undefined;
  /** Keys of kept texts that were destroyed. */
  destroyed: string[] = [];
  postmortems: boolean[] = [];
  recorded = new Map<number, string>();
  /** What the last postmortem had. */
  actionItems: ActionItem[] = [];
  /** Measurements made. */
  evaluations = 0;
  notifications: Parameters<NotificationActivities['sendNotification']>[0][] = [];
  stakeholders: Parameters<NotificationActivities['tellStakeholders']>[0][] = [];
  calls: Parameters<EndpointActivities['callEndpoint']>[0][] = [];
  /** What endpoints answer. */
  answer: { status: number; body: unknown } = { status: 200, body: null };

  /** What Temporal says of the cluster's queue. */
  polled: { pollers: number; lastSeenMs?: number } = { pollers: 1, lastSeenMs: Date.now() };

  activities(signalTarget: Pick<SignalingActivities, 'commandTarget'>): AllActivities {
    const world = this;
    const activities: Omit<AllActivities, 'lookAtTarget'> = {
      ...signalTarget,
      async raiseAlert(alert) {
        world.raised.push(alert);
        return { incidents: [] };
      },
      async describeQueue({ cluster }) {
        return { queue: `firebreak-cluster-${cluster}`, ...world.polled };
      },
      async evaluate({ expressions, context, target, facts }) {
        const nowMs = Date.now();
        const { harmRate } = world;
        const evidence = {
          harmRate: {
            ...(harmRate === undefined ? { reason: 'no data' } : { value: harmRate }),
            promql: 'x',
            atMs: nowMs,
          },
        };
        const known = { ...context, metrics: evidence, nowMs, target: { ...target, ...facts } };
        const results = Object.fromEntries(
          Object.entries(expressions).map(([name, text]) => [name, evaluateExpression(text, known)]),
        );
        world.evaluations++;
        return { results, evidence };
      },
      async readMeasurementClock() {
        return { nowMs: Date.now(), scrapeIntervalMs: 1_000 };
      },
      async judgeRecovery() {
        world.whileVerifying();
        const next = world.verdicts.length > 1 ? world.verdicts.shift() : world.verdicts[0];
        return verdict(next ?? 'undecided');
      },
      async judgeHarm({ target }) {
        return harmLook(world.harmLooks.get(target.name) ?? 'within');
      },
      async readServed({ revisions }) {
        return {
          served: Object.fromEntries(
            revisions.map((name) => [name, { classified: 1_000, harmful: 1, seconds: 7_200 }]),
          ),
        };
      },
      async readHarmHistory({ fromMs, toMs }) {
        const stepMs = (toMs - fromMs) / 4;
        const rates = [0, world.harmRate ?? 0, world.harmRate ?? 0, 0];
        return {
          stepMs,
          points: rates.map((rate, index) => ({
            atMs: fromMs + index * stepMs,
            harmful: Math.round(100 * rate),
            classified: 100,
          })),
        };
      },
      async awaitDiverted() {
        return { effect: 'measured', atMs: Date.now(), detail: 'no requests in the last scrapes' };
      },
      async readTarget() {
        return world.facts;
      },
      async readTemplateHash() {
        return { templateHash: world.running.templateHash };
      },
      async takeSnapshot() {
        return {
          uid: 'uid-1',
          revision: world.running.revision,
          images: world.running.images,
          digests: [],
          templateHash: world.running.templateHash,
          configHashes: {},
          history: [],
        };
      },
      async listChanges() {
        if (world.changesProblem) throw ApplicationFailure.retryable(world.changesProblem, 'Unavailable');
        return { changes: [{ atMs: 0, what: 'rollout of revision 2' }] };
      },
      async planRollback({ target, to, approval }) {
        const plan: RollbackPlan = {
          target,
          uid: 'uid-1',
          from: world.running,
          to: world.previous,
          requested: to,
          diff: '-v2 +v1',
          warnings: [],
          owners: [],
          history: [world.running, world.previous],
          approval,
          hash: `plan-${world.planVersion}`,
        };
        return { plan };
      },
      async applyRollback({ plan, decisions }) {
        if (world.clusterProblem) throw ApplicationFailure.retryable(world.clusterProblem, 'Unavailable');
        world.beforeApply();
        world.rollouts++;
        world.running = { ...plan.to, revision: 3 };
        return {
          result: 'patched',
          generation: 3,
          revision: 3,
          approvedBy: decisions.map((signed) => signed.decision.person),
        };
      },
      async awaitRollout() {
        return {
          outcome: world.rolloutOutcome,
          detail: world.rolloutOutcome === 'complete' ? 'ready' : '0 of 2 pods became ready',
          readyReplicas: world.rolloutOutcome === 'complete' ? 2 : 0,
          wantedReplicas: 2,
          seconds: 3,
        };
      },
      async checkSuspended() {
        return { suspensions: [] };
      },
      async planResume() {
        return { none: { reason: 'nothing is suspended for it' } };
      },
      async resumeSync() {
        return { suspensions: [], approvedBy: [] };
      },
      async checkFallback() {
        return { problems: world.fallbackProblems };
      },
      async projectBreaker({ breaker, commandId }) {
        const standing = world.breakers.at(-1);
        if (standing?.state !== breaker.state || standing.share !== breaker.share)
          world.breakers.push(breaker);
        world.projectedBy = commandId;
        return { changed: true, resourceVersion: '1', problems: [] };
      },
      async readBreaker() {
        return { breaker: world.breakers.at(-1), commandId: world.projectedBy, drift: [], problems: [] };
      },
      async sendPage({ role, dedupKey }) {
        world.pages.push({ role, dedupKey });
        return { accepted: { channel: 'pagerduty', atMs: Date.now(), reference: dedupKey } };
      },
      async resolvePolicy({ policy }) {
        return world.policy(policy);
      },
      async feedDeadMansSwitch() {
        world.fed++;
        return { fed: true };
      },
      async updatePage({ role, action }) {
        world.pageUpdates.push(`${role} ${action}`);
        return { updated: ['pagerduty'] };
      },
      async proposeRevert() {
        world.proposals++;
        return {
          state: 'opened',
          url: 'https://github.example/pull/7',
          commit: 'c0ffee',
          files: ['llm.yaml'],
        };
      },
      async openTicket() {
        if (world.ticketProblem) throw ApplicationFailure.nonRetryable(world.ticketProblem, 'Unauthorized');
        world.tickets++;
        return { url: 'https://github.example/issues/1', key: '1', created: true };
      },
      async commentTicket({ commentKey }) {
        if (world.commentProblem) throw ApplicationFailure.retryable(world.commentProblem, 'Unavailable');
        world.comments.push(commentKey);
        return { url: 'https://github.example/issues/1#c' };
      },
      async updateTicket({ status, outcome }) {
        if (world.commentProblem) throw ApplicationFailure.retryable(world.commentProblem, 'Unavailable');
        world.ticketStates.push(status.state);
        return { changed: true, closed: outcome !== undefined };
      },
      async fileActionItem({ item }) {
        if (world.commentProblem) throw ApplicationFailure.retryable(world.commentProblem, 'Unavailable');
        const created = !world.filed.includes(item.id);
        if (created) world.filed.push(item.id);
        return { url: `https://github.example/issues/${item.id}`, key: item.id, created };
      },
      async publishPostmortem() {
        if (world.commentProblem) throw ApplicationFailure.retryable(world.commentProblem, 'Unavailable');
        world.comments.push('postmortem');
        return { url: 'https://github.example/issues/1#p' };
      },
      async collectSamples({ source }) {
        return world.samples ?? { count: 0, from: source, byCategory: {}, items: [] };
      },
      async destroyEvidence({ keyId }) {
        world.destroyed.push(keyId);
        return { texts: 1 };
      },
      async publishIncident(input) {
        return world.chat === undefined ? {} : world.chat(input);
      },
      async remindPerson(input) {
        if (world.reminderProblem)
          throw ApplicationFailure.nonRetryable(world.reminderProblem, 'Unavailable');
        world.reminded.push(input);
        return { told: true };
      },
      async openRecord() {
        if (world.recordsProblem) throw ApplicationFailure.nonRetryable(world.recordsProblem, 'Unauthorized');
        return {};
      },
      async appendRecord({ entries }) {
        if (world.recordsProblem) throw ApplicationFailure.nonRetryable(world.recordsProblem, 'Unauthorized');
        for (const entry of entries) world.recorded.set(entry.seq, entry.text);
        return { lastSeq: entries.at(-1)?.seq ?? 0 };
      },
      async writePostmortem({ view, draft, atMs }) {
        if (world.recordsProblem) throw ApplicationFailure.nonRetryable(world.recordsProblem, 'Unauthorized');
        world.postmortems.push(draft);
        world.actionItems = deriveActionItems(view, atMs);
        return { actionItems: world.actionItems, sha256: 'x' };
      },
      async sendNotification(notification) {
        world.notifications.push(notification);
        return { reference: `told-${world.notifications.length}` };
      },
      async tellStakeholders(notification) {
        world.stakeholders.push(notification);
        return { told: ['stakeholders'], problems: [] };
      },
      async callEndpoint(call) {
        world.calls.push(call);
        return world.answer;
      },
      ...createExpressionActivities(),
    };
    return { ...activities, ...createLookAtTarget(activities) };
  }
}
