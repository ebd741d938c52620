/** Composition of the activities: clients are built here, once, and injected. */
import type { Client } from '@temporalio/client';
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
} from '../activities/contract.ts';
import { createEvidenceActivities } from '../activities/evidence/activities.ts';
import type { NamedKey } from '../activities/evidence/seal.ts';
import { createExpressionActivities } from '../activities/expressions/index.ts';
import { createGitHubReverts } from '../activities/github/revert.ts';
import { createGitOpsActivities } from '../activities/gitops/index.ts';
import { createEndpointActivities } from '../activities/http-endpoints/index.ts';
import {
  createClusterClients,
  createKubernetesActivities,
  createPodReader,
} from '../activities/kubernetes/index.ts';
import { createLookAtTarget } from '../activities/look-at-target.ts';
import {
  createNotificationActivities,
  type NotificationChannelOptions,
} from '../activities/notifications/index.ts';
import { createWatchdogActivities } from '../activities/paging/dead-mans-switch.ts';
import { createPagingActivities, type PagingOptions } from '../activities/paging/index.ts';
import { createWritePostmortem } from '../activities/postmortem/write-postmortem.ts';
import {
  createMeasurementActivities,
  createPrometheusClient,
  createServedBy,
} from '../activities/prometheus/index.ts';
import { createRecordActivities } from '../activities/records/activities.ts';
import type { RecordsStore } from '../activities/records/store.ts';
import { createSampleActivities } from '../activities/samples/index.ts';
import { createSlackChat } from '../activities/slack/index.ts';
import { inviteesOf } from '../activities/slack/invitees.ts';
import { createTicketActivities } from '../activities/tickets/index.ts';
import { createTrafficActivities, type TrafficWebhook } from '../activities/traffic/index.ts';
import type { CompiledRunbook } from '../domain/runbook.ts';
import { policiesOf, urlOf } from './config/paging.ts';
import type { FirebreakConfig } from './config/schema.ts';
import { pagerChannels } from './paging.ts';
import { createTextKeeper, sampleSources } from './samples.ts';
import { createSignalingActivities } from './signaling.ts';
import { ticketOptions } from './tickets.ts';

type Secret = (reference: string) => string;
type Optional = (reference: string | undefined) => string | undefined;

/** What runs on the main queue. */
export type MainActivities = PagingActivities &
  WatchdogActivities &
  TicketActivities &
  RepositoryActivities &
  SampleActivities &
  EvidenceActivities &
  NotificationActivities &
  EndpointActivities &
  ExpressionActivities &
  ChatActivities &
  RecordActivities &
  SignalingActivities;

/** What runs in or beside a cluster, on the queue of that cluster. */
export type ClusterQueueActivities = KubernetesActivities &
  GitOpsActivities &
  TrafficActivities &
  MeasurementActivities &
  LookActivities;

export function createMainActivities(
  config: FirebreakConfig,
  parts: {
    secret: Secret;
    records: RecordsStore;
    /** Wrap the data keys of kept samples. */
    evidenceKeys: readonly NamedKey[];
    client: Client;
    raiseAlert: SignalingActivities['raiseAlert'];
    /** Told of every attempt of a page, for metrics. */
    onPageAttempt?: PagingOptions['onAttempt'];
  },
): MainActivities {
  const { secret } = parts;
  const optional: Optional = (reference) => (reference === undefined ? undefined : secret(reference));
  const heartbeat = config.paging.watchdog?.deadMansSwitch;
  const { slack } = config.chat;
  const { github } = config.gitops.pullRequests;
  return {
    ...createPagingActivities({
      roles: pagerChannels(config, secret),
      policies: policiesOf(config.paging),
      onAttempt: parts.onPageAttempt,
    }),
    ...createWatchdogActivities(heartbeat && { url: urlOf(heartbeat.url, secret) }),
    ...createTicketActivities(ticketOptions(config, { secret, records: parts.records })),
    ...createGitHubReverts(github && { ...github, token: secret(github.token) }),
    ...createSampleActivities({
      sources: sampleSources(config, secret),
      keepTexts: createTextKeeper(config, parts),
    }),
    ...createEvidenceActivities(parts.records.evidence),
    ...createNotificationActivities({
      channels: notificationChannels(config, secret, optional),
      stakeholders: config.stakeholders.channels,
    }),
    ...createEndpointActivities({
      endpoints: Object.fromEntries(
        Object.entries(config.http).map(([name, { url, bearerToken, methods, timeout }]) => [
          name,
          { url, bearerToken: optional(bearerToken), methods, timeoutMs: timeout },
        ]),
      ),
    }),
    ...createExpressionActivities(),
    ...createSlackChat(
      slack && {
        token: secret(slack.botToken),
        channel: slack.channel,
        apiUrl: slack.apiUrl,
        rooms: slack.incidentChannels && {
          ...slack.incidentChannels,
          invite: inviteesOf(slack.incidentChannels.invite, config.access.people),
        },
        people: config.access.people,
      },
    ),
    ...createRecordActivities(parts.records),
    writePostmortem: createWritePostmortem(parts.records, { publicUrl: config.server.publicUrl }),
    ...createSignalingActivities(parts.client, config.temporal.taskQueue, parts.raiseAlert),
  };
}

function notificationChannels(
  config: FirebreakConfig,
  secret: Secret,
  optional: Optional,
): Record<string, NotificationChannelOptions> {
  const { slack } = config.chat;
  return Object.fromEntries(
    Object.entries(config.notifications).map(([name, channel]): [string, NotificationChannelOptions] => {
      if (channel.type === 'webhook') {
        return [name, { type: 'webhook', url: channel.url, bearerToken: optional(channel.bearerToken) }];
      }
      // The schema refuses a channel in Slack without the app that posts there.
      const token = slack === undefined ? '' : secret(slack.botToken);
      return [name, { type: 'slack', token, channel: channel.channel, apiUrl: slack?.apiUrl }];
    }),
  );
}

/** @param names the clusters whose queues this process polls: it holds no other cluster's credentials. */
export function createClusterActivities(
  config: FirebreakConfig,
  names: readonly string[],
  parts: {
    secret: Secret;
    trustedEdgeKeys: Record<string, string>;
    /** Runbooks that this process has loaded, by content hash: only these are believed when they approve by themselves. */
    knownRunbook: (hash: string) => CompiledRunbook | undefined;
  },
): ClusterQueueActivities {
  const clusters: Record<string, ReturnType<typeof createClusterClients>> = {};
  const prometheus: Record<string, ReturnType<typeof createPrometheusClient>> = {};
  for (const name of names) {
    const cluster = config.clusters[name];
    if (!cluster) continue;
    clusters[name] = createClusterClients(cluster);
    prometheus[name] = createPrometheusClient({
      url: cluster.prometheus.url,
      bearerToken:
        cluster.prometheus.bearerToken === undefined
          ? undefined
          : parts.secret(cluster.prometheus.bearerToken),
      timeoutMs: cluster.prometheus.timeout,
      replicaLabels: cluster.prometheus.replicaLabels,
    });
  }
  const traffic = createTrafficActivities({
    clusters,
    webhooks: trafficWebhooks(config, names, parts.secret),
  });
  const measurement = createMeasurementActivities({ prometheus, readPods: createPodReader(clusters) });
  const kubernetes = createKubernetesActivities({
    clusters,
    trustedEdgeKeys: parts.trustedEdgeKeys,
    servedBy: createServedBy(prometheus),
    preapprovals: {
      knownRunbook: parts.knownRunbook,
      evaluate: measurement.evaluate,
      readBreaker: traffic.readBreaker,
    },
  });
  return {
    ...kubernetes,
    ...createLookAtTarget({ ...traffic, ...measurement, ...kubernetes }),
    ...createGitOpsActivities({ clusters, trustedEdgeKeys: parts.trustedEdgeKeys }),
    ...traffic,
    ...measurement,
  };
}

function trafficWebhooks(
  config: FirebreakConfig,
  names: readonly string[],
  secret: Secret,
): Record<string, TrafficWebhook[]> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      (config.clusters[name]?.traffic.webhooks ?? []).map(({ url, secret: reference, timeout }) => ({
        url,
        secret: secret(reference),
        timeoutMs: timeout,
      })),
    ]),
  );
}
