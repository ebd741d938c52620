import { ApplicationFailure } from '@temporalio/common';
import { FAILURES, type FailureType } from '../../domain/failure.ts';
import type { PagingActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import type { PagerChannel } from './channel.ts';

export interface PagingOptions {
  /** Channels of a role, in order of preference. */
  roles: Record<string, readonly PagerChannel[]>;
  /** Epoch ms; for tests. */
  now?: () => number;
}

interface ChannelFailure {
  channel: string;
  failure: ApplicationFailure;
}

/**
 * Reaches a role through the first of its channels that accepts. Nothing is retried in here: a channel that fails falls
 * over to the next one at once, and Temporal tries the whole again when all have failed.
 */
export function createPagingActivities(options: PagingOptions): PagingActivities {
  const now = options.now ?? Date.now;

  return {
    async sendPage(page) {
      const failures: ChannelFailure[] = [];
      for (const channel of channelsOf(options, page.role)) {
        try {
          const { reference } = await channel.send(page);
          return { accepted: { channel: channel.name, atMs: now(), reference } };
        } catch (error) {
          failures.push({ channel: channel.name, failure: asFailure(error) });
        }
      }
      throw allFailed(`no channel of role ${page.role} accepted the page`, failures);
    },

    /**
     * Goes to every channel of the role, not only to the one that accepted: a channel that did not answer in time may
     * have taken the page all the same, and vendors drop updates of pages that they do not know.
     */
    async updatePage({ incidentId, role, dedupKey, action }) {
      const updated: string[] = [];
      const failures: ChannelFailure[] = [];
      const channels = channelsOf(options, role);
      const results = await Promise.allSettled(
        channels.map((channel) => channel.update({ incidentId, role, dedupKey }, action)),
      );
      for (const [index, result] of results.entries()) {
        const channel = channels[index]?.name ?? '';
        if (result.status === 'fulfilled') updated.push(channel);
        else failures.push({ channel, failure: asFailure(result.reason) });
      }
      // A channel that refuses for good (a revoked key) has no page open either; one that may come back is tried again.
      if (
        failures.some(({ failure }) => isRetryable(failure)) ||
        (updated.length === 0 && failures.length > 0)
      ) {
        throw allFailed(`${action} did not reach every channel of role ${role}`, failures);
      }
      return { updated };
    },
  };
}

function channelsOf(options: PagingOptions, role: string): readonly PagerChannel[] {
  const channels = Object.hasOwn(options.roles, role) ? options.roles[role] : undefined;
  if (channels === undefined || channels.length === 0) {
    throw fail('Refused', `nobody is behind role ${role}: set paging.roles.${role}.channels`);
  }
  return channels;
}

/** One failure that names each channel and why; worth another try when any of them is. */
function allFailed(what: string, failures: readonly ChannelFailure[]): ApplicationFailure {
  const reasons = failures.map(({ channel, failure }) => `${channel}: ${failure.message}`).join('; ');
  const retryable = failures.filter(({ failure }) => isRetryable(failure)).map(({ failure }) => failure);
  const decisive = retryable.length > 0 ? retryable : failures.map(({ failure }) => failure);
  const type = (decisive[0]?.type ?? 'Unavailable') as FailureType;
  // A channel that gave no delay may be back at any time: then the retry policy's own pace is right.
  const delays = retryable.map((failure) => failure.nextRetryDelay);
  const nextRetryDelayMs = delays.every((delay) => typeof delay === 'number')
    ? Math.min(...delays)
    : undefined;
  return fail(type, `${what}: ${reasons}`, {
    nextRetryDelayMs: Number.isFinite(nextRetryDelayMs) ? nextRetryDelayMs : undefined,
  });
}

function isRetryable(failure: ApplicationFailure): boolean {
  return FAILURES[failure.type as FailureType]?.retryable ?? false;
}

function asFailure(error: unknown): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  // A bug of an adapter must not keep the other channels from being tried.
  return fail('Unavailable', 'failed inside the adapter', { cause: error });
}
