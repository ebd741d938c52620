/** Who is on call, from PagerDuty's REST API v2. */
import axios from 'axios';
import { z } from 'zod';
import type { OnCallAnswer, OnCallQuery, OnCallSource } from './on-call.ts';

/** A rota changes by the hour; a decision by the minute. */
const KEPT_MS = 60_000;
/** While PagerDuty is away, people must not each wait for it. */
const FAILURE_KEPT_MS = 10_000;
/** All pages of an answer together: a person waits for it. */
const DEADLINE_MS = 2_000;
/** The most that PagerDuty gives (https://developer.pagerduty.com/docs/ZG9jOjExMDI5NTU4-pagination). */
const PAGE_SIZE = 100;
/** A thousand people are not on call for one group: somebody named the wrong policies. */
const MAX_PAGES = 10;
/** PagerDuty counts by the minute; a longer ratelimit-reset is not believed. */
const MAX_RESET_MS = 60_000;

const answerSchema = z.object({
  oncalls: z.array(z.object({ user: z.object({ email: z.string().optional() }).nullish() })),
  more: z.boolean(),
});

/**
 * GET /oncalls (https://developer.pagerduty.com/api-reference/3a6b910f11050-list-all-of-the-on-calls): without `since` and
 * `until`, those on call now; `include[]=users` for their e-mails. 960 requests a minute and key; after a 429,
 * `ratelimit-reset` says for how many seconds to wait (https://support.pagerduty.com/docs/rest-api-rate-limits).
 * @param options.apiToken a REST API key, read-only.
 */
export function createPagerDutyOnCall(options: {
  apiToken: string;
  url: string;
  deadlineMs?: number;
  now?: () => number;
}): OnCallSource {
  const now = options.now ?? Date.now;
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  const url = `${options.url.replace(/\/+$/, '')}/oncalls`;
  const kept = new Map<string, { answer: Promise<OnCallAnswer>; untilMs: number }>();
  let limitedUntilMs = 0;

  /** Filters of two kinds narrow each other, so each kind is asked by itself. */
  async function ask({ schedules, escalationPolicies }: OnCallQuery): Promise<OnCallAnswer> {
    const signal = AbortSignal.timeout(deadlineMs);
    const filters: [string, readonly string[]][] = [
      ['schedule_ids[]', schedules],
      ['escalation_policy_ids[]', escalationPolicies],
    ];
    const emails = new Set<string>();
    for (const [name, ids] of filters) {
      if (ids.length === 0) continue;
      const found = await pages(name, ids, signal);
      if (!found.known) return found;
      for (const email of found.emails) emails.add(email);
    }
    return { known: true, emails: [...emails] };
  }

  async function pages(name: string, ids: readonly string[], signal: AbortSignal): Promise<OnCallAnswer> {
    const users: ({ email?: string | undefined } | null | undefined)[] = [];
    for (let page = 0; page < MAX_PAGES; page++) {
      if (limitedUntilMs > now()) return unknown('PagerDuty is limiting our calls');
      const params = new URLSearchParams([
        ...ids.map((id): [string, string] => [name, id]),
        ['include[]', 'users'],
        ['limit', String(PAGE_SIZE)],
        ['offset', String(page * PAGE_SIZE)],
      ]);
      const { status, data, headers } = await axios.get<unknown>(url, {
        params,
        signal,
        timeout: deadlineMs,
        maxRedirects: 0,
        validateStatus: () => true,
        headers: {
          accept: 'application/vnd.pagerduty+json;version=2',
          'content-type': 'application/json',
          authorization: `Token token=${options.apiToken}`,
        },
      });
      if (status === 429) {
        const resetMs = Number(headers['ratelimit-reset']) * 1_000;
        limitedUntilMs = now() + Math.min(resetMs > 0 ? resetMs : FAILURE_KEPT_MS, MAX_RESET_MS);
        return unknown('PagerDuty is limiting our calls');
      }
      if (status !== 200) return unknown(problemOf(status));
      const parsed = answerSchema.safeParse(data);
      if (!parsed.success) return unknown('PagerDuty answered something else than on-calls');
      users.push(...parsed.data.oncalls.map(({ user }) => user));
      if (!parsed.data.more) {
        const emails = users.flatMap((user) => (user?.email ? [user.email] : []));
        if (users.length > 0 && emails.length === 0) return unknown('PagerDuty told no e-mails');
        return { known: true, emails };
      }
    }
    return unknown(`PagerDuty names more than ${MAX_PAGES * PAGE_SIZE} on-calls`);
  }

  return {
    async now(query) {
      const key = JSON.stringify([query.schedules, query.escalationPolicies]);
      const before = kept.get(key);
      if (before !== undefined && before.untilMs > now()) return before.answer;
      const answer = ask(query).catch((error: unknown) =>
        unknown(
          axios.isCancel(error) || isTimeout(error)
            ? 'PagerDuty did not answer in time'
            : 'PagerDuty cannot be reached',
        ),
      );
      const fresh = { answer, untilMs: now() + KEPT_MS };
      kept.set(key, fresh);
      if (!(await answer).known) fresh.untilMs = now() + FAILURE_KEPT_MS;
      return answer;
    },
  };
}

function problemOf(status: number): string {
  if (status === 401) return 'PagerDuty does not take access.pagerduty.apiToken (401)';
  if (status === 403) return 'access.pagerduty.apiToken may not read on-calls (403)';
  if (status === 400 || status === 404) return `PagerDuty knows no such schedule or policy (${status})`;
  return `PagerDuty answered ${status}`;
}

function isTimeout(error: unknown): boolean {
  return axios.isAxiosError(error) && (error.code === 'ECONNABORTED' || error.code === 'ETIMEDOUT');
}

function unknown(problem: string): OnCallAnswer {
  return { known: false, problem };
}
