import { setTimeout as delay } from 'node:timers/promises';
import type { WebClient } from '@slack/web-api';
import type { FastifyBaseLogger } from 'fastify';

/** Pauses between attempts to learn the workspace: Slack may be away for long, and nothing waits for it. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

export interface OwnTeam {
  id(): string | undefined;
  /** Asks Slack until it is known, or until stopped; waits for nothing. */
  learn(): void;
  stop(): void;
}

/**
 * The workspace that this app serves: the configured one, else the one that the bot token belongs to
 * (https://docs.slack.dev/reference/methods/auth.test). In an Enterprise organization people's home workspaces differ, and a
 * token may be the whole organization's: there it has to be configured.
 */
export function createOwnTeam(options: {
  configured: string | undefined;
  authTest: () => ReturnType<WebClient['auth']['test']>;
  logger: FastifyBaseLogger;
}): OwnTeam {
  const { configured, authTest, logger } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let learned: string | undefined;

  async function learn(): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      try {
        const { team_id: teamId, enterprise_id: enterpriseId } = await authTest();
        if (enterpriseId) {
          logger.warn(
            'the Slack app is of an Enterprise organization: set chat.slack.teamId to your workspace',
          );
          return;
        }
        learned = teamId;
        logger.info({ teamId }, 'only people of the workspace that the Slack app belongs to are listened to');
        return;
      } catch (error) {
        if (pauseMs === FIRST_PAUSE_MS) {
          logger.warn(
            { reason: (error as Error).message },
            'Slack did not say which workspace the app belongs to; it is asked again',
          );
        }
      }
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  return {
    id: () => configured ?? learned,
    learn: () => {
      if (configured === undefined) void learn();
    },
    stop: () => stopping.abort(),
  };
}

/**
 * Whether a command, a button or a form comes from our workspace, by a member of it: in a channel shared with another company,
 * people of that company can press our buttons.
 *
 * @param body as Slack sends it, decoded: `team_id` in commands, `team` and `user` in interactions
 *   (https://docs.slack.dev/reference/interaction-payloads/block_actions-payload).
 * @param teamId undefined: not known, and every workspace that the app is installed in.
 */
export function isOurTeam(body: Record<string, unknown>, teamId: string | undefined): boolean {
  if (teamId === undefined) return true;
  const { team, user } = body as { team?: { id?: unknown } | null; user?: { team_id?: unknown } | null };
  const place = body.team_id ?? team?.id;
  const home = user?.team_id ?? place;
  return place === teamId && home === teamId;
}
