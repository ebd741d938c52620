import type { NotificationActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import type { NotificationChannel } from './channel.ts';
import { createSlackNotifications } from './slack.ts';
import { createWebhookNotifications } from './webhook.ts';

export type NotificationChannelOptions =
  | { type: 'slack'; token: string; channel: string; apiUrl?: string | undefined }
  | { type: 'webhook'; url: string; bearerToken?: string | undefined };

export interface NotificationOptions {
  /** By name, with the secrets themselves. */
  channels: Record<string, NotificationChannelOptions>;
  /** Names of those channels in which stakeholders are told what is going on. */
  stakeholders?: readonly string[];
  /** Of one request. */
  timeoutMs?: number;
}

/** Tells configured channels. A notification wakes nobody: that is what pages are for. */
export function createNotificationActivities(options: NotificationOptions): NotificationActivities {
  const channels = new Map(
    Object.entries(options.channels).map(([name, channel]): [string, NotificationChannel] => [
      name,
      channel.type === 'slack'
        ? createSlackNotifications({ ...channel, name, timeoutMs: options.timeoutMs })
        : createWebhookNotifications({ ...channel, name, timeoutMs: options.timeoutMs }),
    ]),
  );
  const activities: NotificationActivities = {
    /**
     * @throws InvalidInput for a channel that is not configured; RateLimited with the vendor's delay, Unavailable,
     * Unauthorized and others as the vendor answered.
     */
    async sendNotification({ channel: name, ...notification }) {
      const channel = channels.get(name);
      if (channel === undefined) {
        throw fail('InvalidInput', `nobody can be told: configure the channel notifications.${name}`);
      }
      return channel.send(notification);
    },

    async tellStakeholders(notification) {
      const names = [...new Set(options.stakeholders)];
      const results = await Promise.allSettled(
        names.map((channel) => activities.sendNotification({ ...notification, channel })),
      );
      const told = names.filter((_name, index) => results[index]?.status === 'fulfilled');
      const failures = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
      if (told.length === 0 && failures.length > 0) throw failures[0];
      return { told, problems: failures.map((failure) => String((failure as Error).message)) };
    },
  };
  return activities;
}
