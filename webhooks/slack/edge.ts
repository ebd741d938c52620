import { App, type Logger, LogLevel } from '@slack/bolt';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { within } from '../../activities/within.ts';
import type { ReadinessCheck } from '../health.ts';
import { BUTTON_ID, buttonNamed, readButton } from './buttons.ts';
import { HELP, parseCommand } from './commands.ts';
import { FORM_ID, formView, isForm, readForm } from './forms.ts';
import {
  handleSlack,
  refuseForm,
  type SlackCaller,
  type SlackHandlerDeps,
  type SlackRequest,
} from './handlers.ts';
import { respondTo, slackOnlyFetch } from './outbound.ts';
import { FastifyReceiver } from './receiver.ts';
import { plainMessage, type SlackMessage } from './render.ts';
import { SocketReceiver } from './socket-receiver.ts';
import { createOwnTeam, type OwnTeam } from './team.ts';

/** Secrets in clear, already read from where the configuration refers to. */
export interface SlackEdgeConfig {
  botToken: string;
  /** Several at once allow rotation. Not used in Socket Mode. */
  signingSecrets: readonly string[];
  /** App-level token (xapp-): Socket Mode in place of signed HTTP requests. */
  appToken?: string | undefined;
  /** Absent: the workspace that the bot token belongs to, once Slack has said which. */
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
  /** None in Socket Mode. */
  routes(server: FastifyInstance): Promise<void>;
  /** Connects, in Socket Mode, and learns the workspace where it is not configured. Does not wait for Slack. */
  start(): Promise<void>;
  /** Takes nothing new in Socket Mode, and waits for what was answered "recording..." and is still being recorded. */
  stop(): Promise<void>;
  checks: ReadinessCheck[];
}

/** `/firebreak`, and deployments that need a second one beside it (`/firebreak-staging`). */
const COMMAND = /^\/firebreak(-[a-z0-9-]+)?$/;
/**
 * A form has to be opened within 3 s of the press (https://docs.slack.dev/interactivity/handling-user-interaction#payloads).
 * Who may do it is asked before only as far as that is known by then.
 */
const KNOWN_WITHIN_MS = 1_000;

type Respond = (message: object) => Promise<unknown>;

/**
 * Slack's side of the incident: the slash command, the buttons and their forms. Every request is answered at once (Slack waits
 * 3 s), before anything is asked of Temporal, the records or Slack; how it went follows in a message to the same person.
 */
export function createSlackEdge(deps: SlackEdgeDeps): SlackEdge {
  const { config } = deps;
  const logger = deps.logger.child({ edge: 'slack' });
  const slackFetch = slackOnlyFetch(config.apiUrl, { waitsForRateLimits: true });
  const ownTeam = createOwnTeam({
    configured: config.teamId,
    authTest: () => app.client.auth.test({ token: config.botToken }),
    logger,
  });
  const transport = createTransport(deps, { logger, slackFetch, ownTeam });
  const app = new App({
    receiver: transport.receiver,
    // Given by us for every request: Bolt would ask Slack (auth.test) who the token is, which a stop of Slack must not hinder.
    authorize: async () => ({ botToken: config.botToken }),
    tokenVerificationEnabled: false,
    ignoreSelf: false,
    convoStore: false,
    logger: boltLogger(logger),
    clientOptions: {
      fetch: slackFetch,
      // Rate limits are waited for in slackFetch; a form cannot be opened later, and an answer has another way.
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      ...(config.apiUrl === undefined ? {} : { slackApiUrl: config.apiUrl }),
    },
  });
  app.error(async (error) => {
    logger.error({ code: error.code, reason: error.message }, 'Slack request failed');
  });

  /** A message for the person who asked: by response_url, else as one in the channel that only they see. */
  async function tell(
    message: SlackMessage,
    caller: SlackCaller,
    respond: Respond | undefined,
  ): Promise<void> {
    try {
      if (respond !== undefined) {
        await respond(message);
        return;
      }
    } catch (error) {
      // It lives 30 minutes, and takes five messages.
      logger.warn({ reason: (error as Error).message }, 'response_url did not take the outcome');
    }
    if (caller.channel === undefined) return;
    const { id: channel } = caller.channel;
    const { text, blocks } = message;
    await app.client.chat
      .postEphemeral({
        token: config.botToken,
        channel,
        user: caller.userId,
        text,
        ...(blocks ? { blocks: blocks as never } : {}),
      })
      .catch((error: Error) => logger.error({ reason: error.message }, 'Slack did not take the outcome'));
  }

  async function perform(
    caller: SlackCaller,
    request: SlackRequest,
    respond: Respond | undefined,
  ): Promise<void> {
    let message: SlackMessage;
    try {
      message = await handleSlack(deps, caller, request);
    } catch (error) {
      logger.error({ err: error }, 'Slack request failed');
      message = plainMessage(
        'This failed inside Firebreak; its log has the details. Try the CLI: firebreak incident show ID',
      );
    }
    await tell(message, caller, respond);
  }

  app.command(COMMAND, async ({ command, ack, respond }) => {
    const parsed = parseCommand(command.text ?? '');
    if (parsed.kind === 'help') {
      const text = parsed.problem === undefined ? HELP : `${parsed.problem}\n${HELP}`;
      await ack({ ...plainMessage(text) } as Parameters<typeof ack>[0]);
      return;
    }
    await ack({ ...plainMessage(waitingText(parsed)) } as Parameters<typeof ack>[0]);
    const caller = {
      userId: command.user_id,
      channel: { id: command.channel_id, name: command.channel_name },
      requestKey: command.trigger_id,
    };
    await perform(caller, parsed, respond as Respond);
  });

  app.action(BUTTON_ID, async ({ action, body, ack, respond, client }) => {
    await ack();
    const name = 'action_id' in action ? buttonNamed(action.action_id) : undefined;
    if (action.type !== 'button') return;
    if (name === undefined) return;
    const { trigger_id: triggerId, response_url: responseUrl } = body as {
      trigger_id?: string;
      response_url?: string;
    };
    const caller = {
      userId: body.user.id,
      channel: body.channel?.id === undefined ? undefined : { id: body.channel.id, name: body.channel.name },
      requestKey: triggerId,
    };
    const answer = responseUrl === undefined ? undefined : (respond as Respond);
    const request = { kind: 'button', name, value: action.value ?? '' } as const;

    const about = readButton(request.value);
    if (isForm(name) && about !== undefined && triggerId !== undefined) {
      const refusal = await knownWithin(refuseForm(deps, caller, name, about), KNOWN_WITHIN_MS);
      const view = formView(name, about, { responseUrl, channel: caller.channel?.id });
      if (refusal !== undefined || view === undefined) {
        await tell(
          refusal ?? plainMessage(`There is no form for this. Type it: ${typed(name)}`),
          caller,
          answer,
        );
        return;
      }
      try {
        await client.views.open({ trigger_id: triggerId, view });
      } catch (error) {
        logger.warn({ reason: (error as Error).message }, 'Slack did not open a form');
        await tell(plainMessage(`Slack did not open the form. Type it: ${typed(name)}`), caller, answer);
      }
      return;
    }
    if (name !== 'acknowledge') {
      // The answer to a button has no body of its own, so this is the first of the five uses of the response_url.
      await answer?.(plainMessage('Recording your decision...')).catch((error: Error) =>
        logger.warn({ reason: error.message }, 'response_url did not take the first answer'),
      );
    }
    await perform(caller, request, answer);
  });

  app.view(FORM_ID, async ({ body, view, ack }) => {
    const read = readForm(view);
    if (read !== undefined && 'errors' in read) {
      await ack({ response_action: 'errors', errors: read.errors });
      return;
    }
    await ack();
    if (read === undefined) {
      logger.warn('a form came in that no version of Firebreak made');
      return;
    }
    const { responseUrl, channel } = read.about;
    const caller = {
      userId: body.user.id,
      channel: channel === undefined ? undefined : { id: channel },
      // One view is sent once, whatever is clicked twice.
      requestKey: view.id,
    };
    await perform(
      caller,
      { kind: 'form', ...read },
      responseUrl === undefined ? undefined : respondTo(slackFetch, responseUrl),
    );
  });

  return {
    ...transport.edge,
    async start() {
      ownTeam.learn();
      await transport.edge.start();
    },
    async stop() {
      ownTeam.stop();
      await transport.edge.stop();
    },
  };
}

function createTransport(
  { config, now }: SlackEdgeDeps,
  { logger, slackFetch, ownTeam }: { logger: FastifyBaseLogger; slackFetch: typeof fetch; ownTeam: OwnTeam },
): { receiver: FastifyReceiver | SocketReceiver; edge: SlackEdge } {
  const { appToken, apiUrl, signingSecrets } = config;
  const shared = {
    teamId: () => ownTeam.id(),
    now,
    wrongTeam: {
      ...plainMessage('Refused: this workspace is not the one that Firebreak is configured for.'),
    },
    onRefused: (reason: string) => logger.warn({ reason }, 'Slack request refused'),
  };
  if (appToken === undefined) {
    const receiver = new FastifyReceiver({ ...shared, signingSecrets });
    const edge = { routes: receiver.routes, start: async () => {}, stop: () => receiver.stop(), checks: [] };
    return { receiver, edge };
  }
  const receiver = new SocketReceiver({
    ...shared,
    appToken,
    apiUrl,
    fetch: slackFetch,
    logger: boltLogger(logger),
  });
  const edge = {
    routes: async () => {},
    start: () => receiver.start(),
    stop: () => receiver.stop(),
    checks: [{ name: 'slack', check: async () => receiver.check() }],
  };
  return { receiver, edge };
}

function waitingText(request: SlackRequest): string {
  return ['list', 'status', 'timeline', 'postmortem'].includes(request.kind) ? 'Looking...' : 'Recording...';
}

/** What somebody can type in place of a form. */
function typed(form: string): string {
  return `/firebreak ${form} ID REASON`;
}

/** The answer, where there is one in time; a failure is none. */
function knownWithin<T>(asked: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  return within(asked, timeoutMs, () => new Error('not known in time')).catch(() => undefined);
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
