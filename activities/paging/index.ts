import type { ApplicationFailure } from '@temporalio/common';
import { FAILURES, type FailureType } from '../../domain/failure.ts';
import type { PagingActivities } from '../contract.ts';
import { fail, fromAxios } from '../failure.ts';
import { createGrafanaIrmPager } from '../pager-webhook/grafana-irm.ts';
import { createWebhookPager } from '../pager-webhook/index.ts';
import { createJsmOperationsPager } from '../pager-webhook/jsm-operations.ts';
import { createPagerDutyPager } from '../pagerduty/index.ts';
import { keepAlive } from './keep-alive.ts';
import { DEFAULT_PAGER_TIMEOUT_MS, type Pager } from './pager.ts';
import { type EscalationPolicy, resolvePolicy } from './policies.ts';

export type PagerChannel =
  | { type: 'pagerduty'; routingKey: string; url: string }
  | {
      type: 'webhook';
      /** What is posted; absent: our own documented shape. */
      template?: 'generic' | 'jsm-operations' | 'grafana-irm';
      url: string;
      /** Of jsm-operations: the API key of the integration. */
      bearerToken?: string;
    };

export interface PagingOptions {
  /** Channels of each role in order of preference, with the secrets themselves. */
  roles: Record<string, PagerChannel[]>;
  policies?: Readonly<Record<string, EscalationPolicy>>;
  /** Told of every attempt of a page. */
  onAttempt?: ((result: 'accepted' | 'refused' | 'unavailable') => void) | undefined;
  /** Of one request to one channel; lowered for a role of many channels. */
  timeoutMs?: number;
}

/** All channels of a role are tried within one attempt of the activity, which workflows give 60 s. */
const ATTEMPT_BUDGET_MS = 50_000;

interface NamedPager {
  /** Unique in its role, for people and records. */
  name: string;
  /** Where it stands in the configuration, for messages. */
  where: string;
  pager: Pager;
}

interface Problem {
  where: string;
  failure: ApplicationFailure;
}

/**
 * Pages of roles. A role's channels are tried in order until one accepts; acknowledge and resolve go to all of them, as
 * a channel that seemed to fail may have taken the page.
 */
export function createPagingActivities(options: PagingOptions): PagingActivities {
  const roles = new Map(
    Object.entries(options.roles).map(([role, channels]) => [role, pagersOf(role, channels, options)]),
  );

  function pagersFor(role: string): NamedPager[] {
    const pagers = roles.get(role);
    if (pagers === undefined || pagers.length === 0) {
      throw fail('InvalidInput', `nobody can be paged: configure channels under paging.roles.${role}`);
    }
    return pagers;
  }

  return {
    /**
     * @throws InvalidInput for an unknown role; else one failure that names every channel and why it failed.
     */
    async sendPage(input) {
      const pagers = pagersFor(input.role);
      return keepAlive(async (throwIfCancelled) => {
        const problems: Problem[] = [];
        for (const { name, where, pager } of pagers) {
          throwIfCancelled();
          try {
            const { reference } = await pager.send(input);
            options.onAttempt?.('accepted');
            return { accepted: { channel: name, atMs: Date.now(), reference } };
          } catch (error) {
            problems.push({ where, failure: fromAxios(error, name) });
          }
        }
        const failure = combine(`no channel accepted the page of ${input.role}`, problems);
        options.onAttempt?.(isRetryable(failure) ? 'unavailable' : 'refused');
        throw failure;
      });
    },

    /** @throws InvalidInput for a policy that is not configured. */
    async resolvePolicy({ policy }) {
      return resolvePolicy(options.policies ?? {}, policy, Date.now());
    },

    /**
     * @returns the channels that took it. One that refuses for good does not hold up the others.
     * @throws when a channel failed that may take it later, or when none took it.
     */
    async updatePage({ action, ...page }) {
      const pagers = pagersFor(page.role);
      const problems: Problem[] = [];
      const updated: string[] = [];
      await Promise.all(
        pagers.map(async ({ name, where, pager }) => {
          try {
            await pager.update(page, action);
            updated.push(name);
          } catch (error) {
            problems.push({ where, failure: fromAxios(error, name) });
          }
        }),
      );
      if (updated.length === 0 || problems.some(({ failure }) => isRetryable(failure))) {
        throw combine(`${action} did not reach every channel of ${page.role}`, problems);
      }
      return { updated: pagers.map(({ name }) => name).filter((name) => updated.includes(name)) };
    },
  };
}

function pagersOf(role: string, channels: PagerChannel[], options: PagingOptions): NamedPager[] {
  const timeoutMs = Math.floor(
    Math.min(options.timeoutMs ?? DEFAULT_PAGER_TIMEOUT_MS, ATTEMPT_BUDGET_MS / channels.length),
  );
  const counts = new Map<string, number>();
  return channels.map((channel, index) => {
    const pager = pagerOf(channel, timeoutMs);
    const count = (counts.get(pager.name) ?? 0) + 1;
    counts.set(pager.name, count);
    const name = count === 1 ? pager.name : `${pager.name}-${count}`;
    return { name, where: `paging.roles.${role}.channels[${index}] (${pager.name})`, pager };
  });
}

function pagerOf(channel: PagerChannel, timeoutMs: number): Pager {
  if (channel.type === 'pagerduty') return createPagerDutyPager({ ...channel, timeoutMs });
  const { template, url, bearerToken } = channel;
  if (template === 'grafana-irm') return createGrafanaIrmPager({ url, bearerToken, timeoutMs });
  // The configuration is refused without its key.
  if (template === 'jsm-operations')
    return createJsmOperationsPager({ url, apiKey: bearerToken ?? '', timeoutMs });
  return createWebhookPager({ url, bearerToken, timeoutMs });
}

/**
 * One failure of several. It is retryable when any is, and then waits for a vendor's delay only if every channel that
 * may take the page later has asked for one (the shortest): a page does not wait for one vendor's rate limit while
 * another may be back in a second.
 */
function combine(what: string, problems: Problem[]): ApplicationFailure {
  const reasons = problems.map(({ where, failure }) => `${where}: ${failure.message}`).join('; ');
  const failures = problems.map(({ failure }) => failure);
  const retryable = failures.filter(isRetryable);
  const delaysMs = retryable.map(({ nextRetryDelay }) => nextRetryDelay);
  const nextRetryDelayMs = delaysMs.every((delay) => typeof delay === 'number')
    ? Math.min(...delaysMs)
    : undefined;
  const type = typeOf(retryable.length > 0 ? retryable : failures);
  return fail(type, `${what}: ${reasons}`, {
    nextRetryDelayMs: retryable.length > 0 ? nextRetryDelayMs : undefined,
  });
}

/** The type they share; of several, `Unavailable` where retrying helps, else `InvalidInput`: the configuration is wrong. */
function typeOf(failures: ApplicationFailure[]): FailureType {
  const [first, ...others] = failures.map(({ type }) => type);
  if (isFailureType(first) && others.every((type) => type === first)) return first;
  return failures.some(isRetryable) ? 'Unavailable' : 'InvalidInput';
}

function isFailureType(type: unknown): type is FailureType {
  return typeof type === 'string' && Object.hasOwn(FAILURES, type);
}

function isRetryable(failure: ApplicationFailure): boolean {
  return failure.nonRetryable !== true;
}
