/** Who a Slack user is, as far as Slack has verified it. */
import { ErrorCode, LogLevel, WebClient } from '@slack/web-api';
import { slackOnlyFetch } from '../slack/outbound.ts';

/** Whoever leaves is gone from here within this; a person's clicks in one incident cost one call. */
const KEPT_MS = 5 * 60_000;
/** A refusal is asked again sooner: somebody may be confirming an address right now. */
const REFUSAL_KEPT_MS = 30_000;
/** A person waits for it. */
const TIMEOUT_MS = 2_000;
/** Of a workspace; the oldest go first. */
const MAX_KEPT = 10_000;

export type SlackEmail = { ok: true; email: string } | { ok: false; reason: string; unavailable?: true };

/** Never throws. */
export interface SlackDirectory {
  verifiedEmail(userId: string): Promise<SlackEmail>;
}

/** What is read of a user object. */
interface SlackUser {
  team_id?: string;
  deleted?: boolean;
  is_bot?: boolean;
  is_app_user?: boolean;
  is_workflow_bot?: boolean;
  is_restricted?: boolean;
  is_ultra_restricted?: boolean;
  is_stranger?: boolean;
  is_email_confirmed?: boolean;
  enterprise_user?: { teams?: string[] };
  profile?: { email?: string };
}

/**
 * Reads users.info (https://docs.slack.dev/reference/methods/users.info; scopes users:read and users:read.email; tier 4) and
 * takes full members of our own workspace with a confirmed address only
 * (https://docs.slack.dev/reference/objects/user-object).
 * @param options.teamId absent: the workspace that the token belongs to (auth.test).
 */
export function createSlackDirectory(options: {
  botToken: string;
  apiUrl?: string | undefined;
  teamId?: string | undefined;
  timeoutMs?: number;
  now?: () => number;
}): SlackDirectory {
  const now = options.now ?? Date.now;
  const client = new WebClient(options.botToken, {
    ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
    fetch: slackOnlyFetch(options.apiUrl),
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    logLevel: LogLevel.ERROR,
  });
  const kept = new Map<string, { answer: SlackEmail; untilMs: number }>();
  const asking = new Map<string, Promise<SlackEmail>>();
  let team = options.teamId;

  async function ask(userId: string): Promise<SlackEmail> {
    try {
      const [{ user }, ours] = await Promise.all([
        client.users.info({ user: userId }),
        team ?? client.auth.test().then(({ team_id }) => team_id),
      ]);
      team = ours;
      return judge((user ?? {}) as SlackUser, ours);
    } catch (error) {
      return refusal(error);
    }
  }

  return {
    async verifiedEmail(userId) {
      const before = kept.get(userId);
      if (before !== undefined && before.untilMs > now()) return before.answer;
      const running = asking.get(userId) ?? ask(userId).finally(() => asking.delete(userId));
      asking.set(userId, running);
      const answer = await running;
      if (answer.ok || answer.unavailable !== true) {
        kept.delete(userId);
        kept.set(userId, { answer, untilMs: now() + (answer.ok ? KEPT_MS : REFUSAL_KEPT_MS) });
        for (const oldest of kept.keys()) {
          if (kept.size <= MAX_KEPT) break;
          kept.delete(oldest);
        }
      }
      return answer;
    },
  };
}

function judge(user: SlackUser, ours: string | undefined): SlackEmail {
  const refuse = (reason: string): SlackEmail => ({ ok: false, reason });
  if (user.is_bot || user.is_app_user || user.is_workflow_bot) return refuse('bots decide nothing');
  if (user.deleted) return refuse('the Slack user is deactivated');
  if (user.is_stranger) return refuse('the Slack user is of another organization');
  if (ours === undefined || (user.team_id !== ours && user.enterprise_user?.teams?.includes(ours) !== true)) {
    return refuse('the Slack user is of another workspace');
  }
  if (user.is_restricted || user.is_ultra_restricted) return refuse('the Slack user is a guest');
  const email = user.profile?.email;
  if (!email) {
    return refuse('Slack tells no e-mail of this user: the app needs the scope users:read.email');
  }
  if (user.is_email_confirmed !== true) return refuse('the Slack user has not confirmed an e-mail');
  return { ok: true, email };
}

/** Slack's own words are of a short list (`data.error`); nothing else of an answer is shown. */
function refusal(error: unknown): SlackEmail {
  const { code, data } = error as { code?: string; data?: { error?: unknown; needed?: unknown } };
  if (code === ErrorCode.PlatformError) {
    const said = String(data?.error).replace(/[^a-z_]/g, '');
    if (said === 'user_not_found' || said === 'user_not_visible') {
      return { ok: false, reason: 'Slack does not know this user' };
    }
    const needed =
      said === 'missing_scope' ? ': the app needs the scopes users:read and users:read.email' : '';
    return {
      ok: false,
      unavailable: true,
      reason: `Slack was asked who this user is and answered ${said}${needed}`,
    };
  }
  const why = code === ErrorCode.RateLimitedError ? 'is limiting our calls' : 'does not answer';
  return {
    ok: false,
    unavailable: true,
    reason: `Slack ${why}, so this user could not be joined by e-mail; who has a slackUserId in the access file can act`,
  };
}
