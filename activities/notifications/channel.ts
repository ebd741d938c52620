import type { NotificationActivities } from '../contract.ts';

/** What is told; `title` and `text` hold whatever alerts and labels say. */
export type Notification = Omit<Parameters<NotificationActivities['sendNotification']>[0], 'channel'>;

export interface NotificationChannel {
  /** @returns the vendor's own reference. Failures are ApplicationFailures; one attempt a call. */
  send(notification: Notification): Promise<{ reference: string }>;
}

/** A notification is read in passing: runbooks may write 2,000 characters, and values are put into them. */
export const MAX_TEXT_CHARS = 4_000;
export const DEFAULT_TIMEOUT_MS = 10_000;
