/**
 * Every activity's interface. Workflows import these types only; worker/ composes the implementations.
 * One object in, one object out. Failures cross this boundary as ApplicationFailure with a type of domain/failure.ts.
 */
import type { Breaker } from '../domain/breaker.ts';
import type { SignedDecision } from '../domain/decision.ts';
import type { GitOpsRef, GitRevert, ResumePlan, SuspensionState } from '../domain/gitops-plan.ts';
import type { HarmReading } from '../domain/harm-history/types.ts';
import type { ActionItem, IncidentView, Outcome, SampleSummary, TimelineEntry } from '../domain/incident.ts';
import type { ResolvedPolicy } from '../domain/paging.ts';
import type { ServedByRevision } from '../domain/rollback-inquiry.ts';
import type {
  NoRollback,
  PlanApproval,
  Preapproval,
  RollbackPlan,
  RollbackTo,
  RolloutResult,
} from '../domain/rollback-plan.ts';
import type { GitOpsPolicy, InputValue, MetricSpec } from '../domain/runbook.ts';
import type { Severity } from '../domain/severity.ts';
import type { Target, TargetFacts } from '../domain/target.ts';
import type { TargetChange } from '../domain/target-change.ts';
import type { ServedCriteria, TargetCommand } from '../domain/target-command.ts';
import type { TicketStatus } from '../domain/ticket-status.ts';
import type { HarmLimits, HarmLook } from '../domain/verification/judge-harm.ts';
import type { Verdict } from '../domain/verification/types.ts';

// --- on the queue of the target's cluster -------------------------------------------------------------------------

/** Value of a CEL expression: unknown when a metric it reads is missing, NaN, stale or its query failed. */
export type Evaluation = { known: true; value: unknown } | { known: false; reason: string };

export interface MetricReading {
  /** Absent: unknown. */
  value?: number;
  reason?: string;
  promql: string;
  /** Prometheus' time of evaluation, epoch ms. */
  atMs: number;
}

/** What expressions read beside metrics and target. */
export interface ExpressionFacts {
  /** `steps.<id>.<output>` as far as they have ended. */
  steps: Record<string, Record<string, unknown>>;
  inputs: Record<string, InputValue>;
  incident: { severity: Severity; round: number; acknowledged: boolean; firing: number };
  alert: { labels: Record<string, string> };
}

export interface MeasurementActivities {
  /** Reads the metrics that the expressions use and evaluates them together; evidence comes back with the values. */
  evaluate(input: {
    target: Target;
    facts: TargetFacts;
    metrics: Record<string, MetricSpec>;
    expressions: Record<string, string>;
    context: ExpressionFacts;
  }): Promise<{ results: Record<string, Evaluation>; evidence: Record<string, MetricReading> }>;

  /** Prometheus' own clock (epoch ms) and the scrape interval it uses for the target's series: T0's ingredients. */
  readMeasurementClock(input: { target: Target }): Promise<{ nowMs: number; scrapeIntervalMs: number }>;

  /**
   * Counts harmful, classified and requests since T0 from raw samples of the target's current pods and judges them.
   * Evidence problems are gates inside the verdict, never exceptions; a failed query is a gate too.
   */
  judgeRecovery(input: {
    target: Target;
    metrics: Record<string, MetricSpec>;
    t0Ms: number;
    /**
     * When the alert came (epoch ms), where it is known: a classifier that changed since is a gate. Read only where the
     * runbook has a metric named `classifier`, whose series have a label `version`.
     */
    alertedAtMs?: number;
    options: VerifyOptions;
    facts: TargetFacts;
    /** What guards read beside metrics and target. */
    context: ExpressionFacts;
  }): Promise<Verdict>;

  /**
   * Whether what a workload (the target, or its fallback) served in the last `windowMs` is proved to be harmful: the lower
   * bound of harmful / classified (Clopper-Pearson, one-sided, 99.9%) above the limit. Errors likewise, by the counters
   * errors and requests, else by the value of a metric errorRate. Never throws for what cannot be measured: unknown.
   */
  judgeHarm(input: {
    target: Target;
    metrics: Record<string, MetricSpec>;
    facts?: TargetFacts;
    windowMs: number;
    /** The window starts no earlier, by Prometheus' clock (epoch ms): when the workload began to matter. */
    sinceMs?: number;
    limits: HarmLimits;
  }): Promise<HarmLook>;

  /**
   * What revisions served while they ran, by the names of the objects that hold them: for people to choose by. Never
   * throws for what Prometheus does not tell: those are left out, and `problem` says why.
   */
  readServed(input: {
    target: Target;
    revisions: string[];
    criteria: ServedCriteria;
  }): Promise<{ served: ServedByRevision; problem?: string }>;

  /**
   * Harmful and classified outputs of the target over a range, in at most 240 buckets (raw increments), for people to look
   * at; `fromMs` and `toMs` by the asker's clock. Never throws: `reason` says why there is nothing, or what is missing.
   */
  readHarmHistory(input: {
    target: Target;
    metrics: Record<string, MetricSpec>;
    facts?: TargetFacts;
    fromMs: number;
    toMs: number;
  }): Promise<HarmReading>;

  /**
   * Waits until the diversion is visible in traffic: the target's request increments over the last scrapes are at most
   * `maxShare` of what arrived before, for so long that it is no chance. Heartbeats. `effect: 'unknown'` where no requests
   * series exists, and at the timeout where nothing arrived before.
   */
  awaitDiverted(input: {
    target: Target;
    metrics: Record<string, MetricSpec>;
    maxShare: number;
    timeoutMs: number;
  }): Promise<{ effect: 'measured' | 'not-seen' | 'unknown'; atMs: number; detail: string }>;
}

export interface VerifyOptions {
  /** Harm rate (0..1) that must be proved to be undercut. */
  threshold: number;
  /** 1 - alpha of the sequential test. */
  confidence: number;
  minExposure: number;
  minBlocks: number;
  minDurationMs: number;
  maxSampleAgeMs: number;
  minCoverage: number;
  designEffect: number | 'estimate';
  guards: string[];
  allowRequestsAsDenominator: boolean;
}

export interface KubernetesActivities {
  /** Mode and facts: annotation first, then the namespace's configuration, then observe. */
  readTarget(input: { target: Target }): Promise<TargetFacts>;

  /** The template that runs, by the ledger's key. Quick: it is asked before every change of traffic, and while a share is out. */
  readTemplateHash(input: { target: Target }): Promise<{ templateHash: string }>;

  /** Template, digests, hashes of referenced configuration, rollout history: kept as evidence before any mutation. */
  takeSnapshot(input: { target: Target }): Promise<{
    uid: string;
    revision: number;
    images: string[];
    digests: string[];
    templateHash: string;
    configHashes: Record<string, string>;
    history: { revision: number; images: string[]; createdAt: string; changeCause?: string }[];
  }>;

  /**
   * What changed since a moment, one line each, newest first: rollouts, referenced ConfigMaps (never contents).
   * `sinceRevision`: the target's revision at that moment; with it a template that came back is told too.
   */
  listChanges(input: {
    target: Target;
    sinceMs: number;
    sinceRevision?: number;
  }): Promise<{ changes: TargetChange[] }>;

  /** Reads, decides the revision and plans. Mutates nothing. */
  planRollback(input: {
    target: Target;
    to: RollbackTo;
    ledger: Ledger;
    approval: PlanApproval;
    gitops: GitOpsPolicy;
    /** For last-known-good where the ledger knows nothing: what a revision must have served. */
    served: {
      forMs: number;
      minClassified: number;
      harmRateBelow: number;
      metrics: Record<string, MetricSpec>;
    };
  }): Promise<{ plan: RollbackPlan } | { none: NoRollback }>;

  /**
   * Verifies the signatures and their count against the plan's hash, re-reads the target, and patches (JSON Patch with
   * tests on uid and template). `already-there` when the template is the plan's target. PreconditionFailed on drift.
   * Reads the template to apply from the cluster by `to.replicaSet` and refuses when its hash is not the plan's.
   */
  applyRollback(input: {
    plan: RollbackPlan;
    incidentId: string;
    step: string;
    decisions: SignedDecision[];
    /** Approved by the runbook itself: the activity finds the runbook by this hash and measures the condition again. */
    preapproved?: Preapproval;
    commandId: string;
  }): Promise<{
    result: 'patched' | 'already-there';
    revision?: number;
    generation: number;
    approvedBy: string[];
  }>;

  /** Waits on the Deployment's status; heartbeats. `timeoutMs` absent: progressDeadlineSeconds + 60 s. */
  awaitRollout(input: {
    target: Target;
    templateHash: string;
    generation: number;
    timeoutMs?: number;
  }): Promise<RolloutResult>;
}

export interface TrafficActivities {
  /**
   * Ready replicas of the fallback; whether it is diverted itself; circles of any length. Reasons not to divert there, empty
   * when fine.
   */
  checkFallback(input: { target: Target; fallback: string }): Promise<{ problems: string[] }>;
  /**
   * Writes the breaker to where gateways read it: the ConfigMap (which must be written), HTTPRoutes and webhooks (whose
   * failures are told as problems, for the caller to call again). Idempotent by commandId; repeated for a half-open breaker
   * it renews the lease that readers of the ConfigMap rely on.
   */
  projectBreaker(input: {
    target: Target;
    breaker: Breaker;
    commandId: string;
  }): Promise<{ changed: boolean; resourceVersion: string; problems: string[] }>;
  /**
   * What stands in the ConfigMap now; undefined when nothing. With `wanted`, `drift` says what differs from it, and in which
   * projection; `problems` says what could not be compared.
   */
  readBreaker(input: { target: Target; wanted?: Breaker }): Promise<{
    breaker?: Breaker;
    commandId?: string;
    drift: string[];
    problems: string[];
  }>;
}

/** Around what a rollback keeps from syncing (`gitops: suspend`). `also`: objects beside those that the workload points at. */
export interface GitOpsActivities {
  /** What is suspended for a target, and whether the tools themselves show that it may resume. Mutates nothing. */
  checkSuspended(input: {
    target: Target;
    ledger: Ledger;
    also?: GitOpsRef[];
  }): Promise<{ suspensions: SuspensionState[] }>;
  /** What people approve who say that a Git revision renders the known-bad template no longer. Mutates nothing. */
  planResume(input: {
    target: Target;
    ledger: Ledger;
    also?: GitOpsRef[];
    revision: string;
    approval: PlanApproval;
  }): Promise<{ plan: ResumePlan } | { none: { reason: string } }>;
  /**
   * Gives the sync back: of objects for which the tool shows that Git renders what runs, and, by people, of those of the
   * plan. Never at the revision that was rolled back from, and by no timer: where nothing shows it, they stay suspended.
   * Call it again and again: it also remembers, on the object, what it saw the tool tell apart.
   */
  resumeSync(input: {
    target: Target;
    ledger: Ledger;
    also?: GitOpsRef[];
    byPeople?: { plan: ResumePlan; incidentId: string; step: string; decisions: SignedDecision[] };
  }): Promise<{ suspensions: SuspensionState[]; approvedBy: string[] }>;
}

export interface LookActivities {
  /**
   * What the watch of a diverted target needs to see, in one call. A part that could not be looked at is absent, and told in
   * `failed`; never throws for that.
   */
  lookAtTarget(input: {
    target: Target;
    wanted: Breaker;
    /** How the harm of `wanted.fallback` is measured; absent: it is not. */
    fallbackHarm?: { limits: HarmLimits; metrics: Record<string, MetricSpec> };
    readTemplate: boolean;
  }): Promise<{
    projection?: Awaited<ReturnType<TrafficActivities['readBreaker']>>;
    /** Why the fallback cannot serve. */
    fallbackProblems?: string[];
    fallbackHarm?: HarmLook;
    /** Of what runs on the target. */
    templateHash?: string;
    failed: string[];
  }>;
}

/** Revisions of a target by template hash. */
export type Ledger = Record<
  string,
  { verdict: 'verified-good' | 'known-bad'; atMs: number; incidentId: string; reason: string }
>;

// --- on the main queue --------------------------------------------------------------------------------------------

/** Conditions of incidents without a target: nothing is measured. */
export interface ExpressionActivities {
  evaluateUntargeted(input: {
    expressions: Record<string, string>;
    context: ExpressionFacts;
  }): Promise<{ results: Record<string, Evaluation> }>;
}

export interface NotificationActivities {
  /**
   * Tells a configured channel. `text` and `title` are shown as plain text, whatever they hold.
   * @param key same for every attempt: a vendor that dedupes shows one.
   */
  sendNotification(input: {
    incidentId: string;
    key: string;
    channel: string;
    title: string;
    severity: Severity;
    text: string;
  }): Promise<{ reference: string }>;
  /**
   * Tells every channel that is configured for stakeholders. One that fails does not keep the others from being told; throws
   * where that can be repeated and nobody was told. `told` is empty where no channel is configured.
   */
  tellStakeholders(
    input: Omit<Parameters<NotificationActivities['sendNotification']>[0], 'channel'>,
  ): Promise<{ told: string[]; problems: string[] }>;
}

export interface EndpointActivities {
  /**
   * Calls a configured endpoint. The address is the configuration's; `path` is appended to it.
   * @param key idempotency key, sent as a header.
   */
  callEndpoint(input: {
    incidentId: string;
    key: string;
    endpoint: string;
    method: string;
    path: string;
    json?: unknown;
    expectStatus: number[];
  }): Promise<{ status: number; body: unknown }>;
}

export interface PageInput {
  incidentId: string;
  role: string;
  /** Same for every attempt and channel: a vendor that dedupes shows one page. */
  dedupKey: string;
  title: string;
  severity: Severity;
  /** Facts for the responder, written by us; values of labels are data. */
  details: Record<string, string>;
  links: { text: string; href: string }[];
}

export interface PagingActivities {
  /** Who is behind a role, by configuration: the channels in order of preference. */
  sendPage(input: PageInput): Promise<{ accepted: { channel: string; atMs: number; reference: string } }>;
  /** Who is called by an escalation policy at this moment, working hours taken into account. */
  resolvePolicy(input: { policy: string }): Promise<ResolvedPolicy>;
  /** Acknowledge or resolve at every channel that took the page. */
  updatePage(input: {
    incidentId: string;
    role: string;
    dedupKey: string;
    action: 'acknowledge' | 'resolve';
  }): Promise<{ updated: string[] }>;
}

/** What the plot of an incident is drawn from. */
export type PlottedView = Pick<
  IncidentView,
  'incidentId' | 'title' | 'target' | 'harmHistory' | 'verification' | 'milestones' | 'timeline'
>;

export interface WatchdogActivities {
  /** Tells the outside dead man's switch that all is well; `fed` is false where none is configured. */
  feedDeadMansSwitch(): Promise<{ fed: boolean }>;
}

/** Changes that are proposed in Git: people review them there, and merge. */
export interface RepositoryActivities {
  /**
   * Opens a pull request that takes the change of the images back, once an incident and change. Fails with Refused or
   * PreconditionFailed where Git does not show one change that did it, and nothing else.
   */
  proposeRevert(input: { incidentId: string; target: Target; git: GitRevert }): Promise<
    | { state: 'opened' | 'found'; url: string; commit: string; files: string[] }
    /** Git has the images back: the tool has yet to sync them. */
    | { state: 'in-git'; commit: string }
  >;
}

export interface TicketActivities {
  /** Finds the incident's ticket by its label before it creates one. `key` is the vendor's: 42, OPS-42. */
  openTicket(input: {
    incidentId: string;
    title: string;
    /** The section that `updateTicket` keeps up to date, shown first. */
    status: TicketStatus;
    bodyMarkdown: string;
    labels: string[];
  }): Promise<{ url: string; key: string; created: boolean }>;
  /** Adds a comment once: `commentKey` is looked for before it is written. `plot`: shown, or linked, below the text. */
  commentTicket(input: {
    key: string;
    incidentId: string;
    commentKey: string;
    bodyMarkdown: string;
    plot?: PlottedView;
  }): Promise<{ url: string }>;
  /**
   * Brings severity (title), labels and Firebreak's own section of the body up to date; what people wrote stays.
   * @param input.outcome set once the incident is resolved: then the ticket is closed, where the configuration says so.
   */
  updateTicket(input: {
    key: string;
    incidentId: string;
    status: TicketStatus;
    outcome?: Outcome;
  }): Promise<{ changed: boolean; closed: boolean }>;
  /** Files an action item as a ticket of its own, once, linked to the incident's ticket. */
  fileActionItem(input: {
    key: string;
    incidentId: string;
    item: ActionItem;
  }): Promise<{ url: string; key: string; created: boolean }>;
  /** Adds the postmortem that the records have as a comment, once, as far as the vendor's limit goes. */
  publishPostmortem(input: { key: string; incidentId: string }): Promise<{ url: string }>;
}

export interface SampleActivities {
  /** Up to `limit` recent harmful outputs, newest first; no text leaves the activity. */
  collectSamples(input: {
    incidentId: string;
    source: string;
    target: Target;
    fromMs: number;
    toMs: number;
    limit: number;
  }): Promise<SampleSummary>;
}

export interface EvidenceActivities {
  /** Destroys the key of kept texts and removes them; again is a no-op. `texts`: how many went. */
  destroyEvidence(input: { incidentId: string; keyId: string }): Promise<{ texts: number }>;
}

export interface ChatActivities {
  /**
   * Posts the incident's message or updates it in place; returns where it is, to be passed next time. Nothing is returned
   * where chat is not configured.
   */
  publishIncident(input: { view: IncidentView; message?: ChatMessageRef }): Promise<ChatPublication>;
  /**
   * Tells one person directly, in plain text. `told: false` where chat is not configured, or does not know the person.
   * @param key same for every attempt: the person is told once.
   */
  remindPerson(input: {
    incidentId: string;
    key: string;
    /** Id in the access file. */
    person: string;
    text: string;
  }): Promise<{ told: boolean }>;
}
export interface ChatPublication {
  message?: ChatMessageRef;
  /** There is more to publish, or the vendor asked to wait: come again then, not before, with what is newest. */
  againAfterMs?: number;
  /** Come again by then, also where nothing has changed; whatever changes before need not wait for it. */
  wakeAfterMs?: number;
  /** What did not succeed after the message was published; without text of others. */
  problem?: string;
}
export interface ChatMessageRef {
  channel: string;
  ts: string;
  /** Timeline entries already posted to the thread. */
  postedSeq: number;
  /** Of what the message shows: the same is not sent again. */
  digest?: string;
  /** An attempt ended without an answer: what it may have posted is looked for. */
  uncertain?: boolean;
  room?: ChatRoomRef;
}
/** The incident's own channel, as far as it is there. */
export interface ChatRoomRef {
  channel?: string;
  described?: boolean;
  invited?: boolean;
  archived?: boolean;
  ts?: string;
  digest?: string;
  /** Address of the message in the channel of all incidents. */
  mainUrl?: string;
  /** Why it is not there yet, or not up to date, and when that is tried again (epoch ms). */
  problem?: string;
  retryAtMs?: number;
}

export interface RecordActivities {
  /** Opens the record (idempotent) and returns the last incident with the same workflow id, if any. */
  openRecord(input: {
    incidentId: string;
    workflowId: string;
    view: IncidentView;
  }): Promise<{ predecessorId?: string }>;
  /** Idempotent by (incident, seq); hash-chained by the store. */
  appendRecord(input: {
    incidentId: string;
    view: IncidentView;
    entries: TimelineEntry[];
  }): Promise<{ lastSeq: number }>;
  /** Writes the postmortem (Markdown made from the view) and its action items; a later call replaces the draft. */
  writePostmortem(input: { view: IncidentView; draft: boolean; atMs: number }): Promise<{
    actionItems: ActionItem[];
    sha256: string;
  }>;
}

/** Temporal client work that workflow code cannot do itself. */
export interface SignalingActivities {
  /** SignalWithStart of the target's workflow with a command. Idempotent by command id. */
  commandTarget(input: { target: Target; command: TargetCommand }): Promise<void>;
  /**
   * Something that was noticed by itself goes the way of every alert: matched, correlated, answered by an incident.
   * @param key same for the same event: told again, it is the same alert.
   * @param labels beside those of the target; they win over them where they mean the same target.
   * @param runbook answers it, where it is loaded; else whichever matches.
   */
  raiseAlert(input: {
    target: Target;
    alertname: string;
    summary: string;
    key: string;
    /** `resolved` ends what was told with the same key; absent: firing. */
    status?: 'firing' | 'resolved';
    labels?: Record<string, string>;
    runbook?: string;
  }): Promise<{ incidents: string[] }>;
  /**
   * Who polled the queue of a cluster's worker lately, as Temporal remembers it: a poller that is gone is forgotten after
   * about five minutes. `lastSeenMs`: the newest poll, epoch ms of the server; absent where none is remembered.
   */
  describeQueue(input: { cluster: string }): Promise<{ queue: string; pollers: number; lastSeenMs?: number }>;
}
