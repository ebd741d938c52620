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
} from '../../activities/contract.ts';

type EveryActivity = ChatActivities &
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
  SampleActivities &
  SignalingActivities &
  TicketActivities &
  RepositoryActivities &
  TrafficActivities;

/** Activities that answer at once; the others are made with how long they take. */
export type AllActivities = Omit<
  EveryActivity,
  | 'evaluate'
  | 'judgeRecovery'
  | 'judgeHarm'
  | 'lookAtTarget'
  | 'readHarmHistory'
  | 'readServed'
  | 'awaitDiverted'
  | 'awaitRollout'
>;

export type ActivityInput<Name extends keyof EveryActivity> = Parameters<EveryActivity[Name]>[0];

/** @param away why the vendor cannot be asked, for activities that answer all the same. */
export type SimulatedActivity = (
  input: never,
  away: string | undefined,
) => Promise<{ result: unknown; tookMs: number }>;

export type ActivitiesByName = Record<string, SimulatedActivity>;
