import { App, type Logger, LogLevel, type RespondFn } from '@slack/bolt';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { HELP, parseCommand } from './commands.ts';
import { handleSlack, type SlackHandlerDeps, type SlackRequest } from './handlers.ts';
import { slackOnlyFetch } from './outbound.ts';
import { FastifyReceiver } from './receiver.ts';
import { ACTION_IDS, plainMessage, type SlackMessage } from './render.ts';

/** Secrets in clear, already read from where the configuration refers to. */
export interface SlackEdgeConfig {
  botToken: string;
  /** Several at once allow rotation. */
  signingSecrets: readonly string[];
  teamId?: string | undefined;
  /** Base URL of the Web API, ending in /api/. */
  apiUrl?: string | undefined;
}

export interface SlackEdgeDeps extends SlackHandlerDeps {
  config: SlackEdgeConfig;
  logger: FastifyBaseLogger;
  now: () => number;
}

export interface SlackEdge {
  routes(server: FastifyInstance): Promise<void>;
  /** Waits for decisions that were answered "recording..." and are still being recorded. */
  drain(): Promise<void>;
}

/** `/firebreak`, and deployments that need a second one beside it (`/firebreak-staging`). */
const COMMAND = /^\/firebreak(-[a-z0-9-]+)?$/;
const BUTTON = new RegExp(`^(${Object.values(ACTION_IDS).join('|')})$`);

/**
 * Slack's side of the incident: the slash command and the buttons. Every request is answered at once (Slack waits 3 s); how
 * it went follows in a second message to the same person.
 */
export function createSlackEdge(deps: SlackEdgeDeps): SlackEdge {
  const { config } = deps;
  const logger = deps.logger.child({ edge: 'slack' });
  const receiver = new FastifyReceiver({
    signingSecrets: config.signingSecrets,
    teamId: config.teamId,
    now: deps.now,
    wrongTeam: {
      ...plainMessage('Refused: this workspace is not the one that Firebreak is configured for.'),
    },
    onRefused: (reason) => logger.warn({ reason }, 'Slack request refused'),
  });
  const app = new App({
    receiver,
    // Given by us for every request: Bolt would ask Slack (auth.test) who the token is, which a stop of Slack must not hinder.
    authorize: async () => ({ botToken: config.botToken }),
    tokenVerificationEnabled: false,
    ignoreSelf: false,
    convoStore: false,
    logger: boltLogger(logger),
    clientOptions: {
      fetch: slackOnlyFetch(config.apiUrl),
      ...(config.apiUrl === undefined ? {} : { slackApiUrl: config.apiUrl }),
    },
  });
  app.error(async (error) => {
    logger.error({ code: error.code, reason: error.message }, 'Slack request failed');
  });

  /** The outcome, by response_url; where that fails (it lives 30 minutes), as a message only that person sees. */
  async function finish(
    run: () => Promise<SlackMessage>,
    respond: RespondFn,
    postEphemeral: (message: SlackMessage) => Promise<unknown>,
  ): Promise<void> {
    let message: SlackMessage;
    try {
      message = await run();
    } catch (error) {
      logger.error({ err: error }, 'Slack request failed');
      message = plainMessage(
        'This failed inside Firebreak; its log has the details. Try the CLI: firebreak incident show ID',
      );
    }
    try {
      await respond(message as Parameters<RespondFn>[0]);
    } catch (error) {
      logger.warn({ reason: (error as Error).message }, 'response_url did not take the outcome');
      await postEphemeral(message);
    }
  }

  app.command(COMMAND, async ({ command, ack, respond, client }) => {
    const parsed = parseCommand(command.text ?? '');
    if (parsed.kind === 'help') {
      const text = parsed.problem === undefined ? HELP : `${parsed.problem}\n${HELP}`;
      await ack({ ...plainMessage(text) } as Parameters<typeof ack>[0]);
      return;
    }
    await ack({ ...plainMessage(waitingText(parsed)) } as Parameters<typeof ack>[0]);
    await finish(
      () => handleSlack(deps, command.user_id, parsed),
      respond,
      ({ text }) => client.chat.postEphemeral({ channel: command.channel_id, user: command.user_id, text }),
    );
  });

  app.action(BUTTON, async ({ action, body, ack, respond, client }) => {
    await ack();
    const name = (Object.keys(ACTION_IDS) as (keyof typeof ACTION_IDS)[]).find(
      (key) => 'action_id' in action && ACTION_IDS[key] === action.action_id,
    );
    if (name === undefined || action.type !== 'button') return;
    const request: SlackRequest = { kind: 'button', action: name, value: action.value ?? '' };
    const channel = body.channel?.id;
    if (name !== 'acknowledge') {
      // The answer to a button has no body of its own, so this is the first of the five uses of the response_url.
      await respond({ ...plainMessage('Recording your decision...') } as Parameters<RespondFn>[0]).catch(
        (error: Error) =>
          logger.warn({ reason: error.message }, 'response_url did not take the first answer'),
      );
    }
    await finish(
      () => handleSlack(deps, body.user.id, request),
      respond,
      async ({ text }) =>
        channel === undefined ? undefined : client.chat.postEphemeral({ channel, user: body.user.id, text }),
    );
  });

  return { routes: receiver.routes, drain: () => receiver.drain() };
}

function waitingText(request: SlackRequest): string {
  return request.kind === 'list' || request.kind === 'status' ? 'Looking...' : 'Recording...';
}

/** Bolt's log lines in ours: messages only, since its objects may hold whole requests. */
function boltLogger(logger: FastifyBaseLogger): Logger {
  const text = (parts: unknown[]) =>
    parts
      .map((part) => (part instanceof Error ? part.message : typeof part === 'string' ? part : ''))
      .join(' ')
      .trim();
  return {
    debug: () => undefined,
    info: (...parts) => logger.info(text(parts)),
    warn: (...parts) => logger.warn(text(parts)),
    error: (...parts) => logger.error(text(parts)),
    setLevel: () => undefined,
    getLevel: () => LogLevel.INFO,
    setName: () => undefined,
  };
}
