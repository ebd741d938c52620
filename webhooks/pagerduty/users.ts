import axios from 'axios';
import { z } from 'zod';

/** A person's address changes by the year. */
const KEPT_MS = 10 * 60_000;
/** PagerDuty itself waits 5 s for our answer. */
const DEADLINE_MS = 2_000;
/** More people than are on call anywhere. */
const MAX_KEPT = 1_000;

const answer = z.object({ user: z.object({ email: z.string().min(1) }) });

/** `askAgain`: this is no verdict on the person, as PagerDuty could not be asked, and may be in a moment. */
export type UserEmail = { email: string } | { problem: string; askAgain?: true };

export interface PagerDutyUsers {
  emailOf(userId: string): Promise<UserEmail>;
}

/**
 * The e-mail of a user: GET /users/{id} of the REST API v2
 * (https://developer.pagerduty.com/api-reference/2395ca1feb25e-get-a-user), as webhooks carry an id and a name only.
 * @param options.apiToken a REST API key; read-only is enough.
 */
export function createPagerDutyUsers(options: {
  apiToken: string;
  url: string;
  deadlineMs?: number;
  now?: () => number;
}): PagerDutyUsers {
  const now = options.now ?? Date.now;
  const kept = new Map<string, { email: string; untilMs: number }>();

  return {
    async emailOf(userId) {
      const before = kept.get(userId);
      if (before !== undefined && before.untilMs > now()) return { email: before.email };
      // It becomes part of an address.
      if (!/^[A-Za-z0-9]{1,64}$/.test(userId)) return { problem: 'the user has no id of PagerDuty' };
      try {
        const { status, data } = await axios.get<unknown>(
          `${options.url.replace(/\/+$/, '')}/users/${userId}`,
          {
            signal: AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS),
            maxRedirects: 0,
            validateStatus: () => true,
            headers: {
              accept: 'application/vnd.pagerduty+json;version=2',
              authorization: `Token token=${options.apiToken}`,
            },
          },
        );
        const parsed = status === 200 ? answer.safeParse(data) : undefined;
        if (!parsed?.success) {
          const problem = `PagerDuty answered ${status} when asked for the e-mail`;
          // Of its REST API: 429 where it was asked too often, 5xx where it fails itself. Other answers stay the same.
          return status === 408 || status === 429 || status >= 500
            ? { problem, askAgain: true }
            : { problem };
        }
        if (kept.size >= MAX_KEPT) kept.clear();
        const { email } = parsed.data.user;
        kept.set(userId, { email, untilMs: now() + KEPT_MS });
        return { email };
      } catch {
        return { problem: 'PagerDuty could not be asked for the e-mail', askAgain: true };
      }
    },
  };
}
