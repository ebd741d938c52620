import type { Finding } from '../../domain/finding.ts';
import { http, type Probing, probe } from './probe.ts';

type SlackConfig = NonNullable<Probing['config']['chat']['slack']>;

const API = 'https://slack.com/api/';
/** Asked for one after the other: users.lookupByEmail is tier 3, about 50 a minute (https://docs.slack.dev/apis/web-api/rate-limits). */
const MAX_LOOKED_UP = 30;

interface SlackAnswer {
  ok?: boolean;
  error?: string;
  needed?: string;
  team_id?: string;
  team?: string;
  enterprise_id?: string;
  bot_id?: string;
  /** https://docs.slack.dev/reference/methods/conversations.info */
  channel?: { is_archived?: boolean; is_member?: boolean; is_private?: boolean; name?: string };
  user?: { id?: string; deleted?: boolean; is_bot?: boolean; is_email_confirmed?: boolean };
}

interface Called {
  answer: SlackAnswer;
  /** Of the token, as Slack's X-OAuth-Scopes says; undefined where it is not told. */
  scopes: string[] | undefined;
}

/** Tries the token, its scopes, the channels and the people. Posts nothing. */
export function slackChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { slack } = config.chat;
  if (!slack) return [];
  return [
    one(probe('chat: slack', () => token(slack, config, secret))),
    one(probe(`chat: slack channel ${slack.channel}`, () => channel(slack, secret, slack.channel))),
    ...(slack.appToken === undefined
      ? []
      : [one(probe('chat: slack socket mode', () => socketMode(slack, secret)))]),
    people(slack, config, secret),
  ];
}

/** Channels of notifications that the same app posts to. */
export function slackChannel({ config, secret }: Probing, channelId: string): Promise<string> {
  const { slack } = config.chat;
  if (!slack) throw new Error('the app that posts there is not configured: see chat.slack');
  return channel(slack, secret, channelId);
}

async function one(finding: Promise<Finding>): Promise<Finding[]> {
  return [await finding];
}

async function call(
  slack: SlackConfig,
  bearer: string,
  method: string,
  parameters: Record<string, string> = {},
): Promise<Called> {
  const { status, data, headers } = await http.post(
    `${slack.apiUrl ?? API}${method}`,
    new URLSearchParams(parameters),
    { headers: { authorization: `Bearer ${bearer}` } },
  );
  if (status === 429) throw new Error('Slack limits the rate of calls: try again in a minute');
  if (status !== 200) throw new Error(`Slack was answered ${status}: is chat.slack.apiUrl right?`);
  const scopes = headers['x-oauth-scopes'];
  return {
    answer: data as SlackAnswer,
    scopes: typeof scopes === 'string' ? scopes.split(',').map((scope) => scope.trim()) : undefined,
  };
}

/** What the configuration needs of the app, each with what it is for (deploy/slack/manifest.yaml has them all). */
function neededScopes(slack: SlackConfig, config: Probing['config']): [scope: string, why: string][] {
  const byEmail = config.access.people.some(({ email, slackUserId }) => email !== undefined && !slackUserId);
  const rooms = slack.incidentChannels;
  const groups = rooms?.invite.some((id) => id.startsWith('S')) ?? false;
  return [
    ['chat:write', 'to post'],
    ['commands', 'for /firebreak'],
    ...(byEmail
      ? ([
          ['users:read', 'to join people by e-mail'],
          ['users:read.email', 'to join people by e-mail'],
        ] as [string, string][])
      : []),
    ...(rooms
      ? ([[rooms.private ? 'groups:write' : 'channels:manage', 'for channels of incidents']] as [
          string,
          string,
        ][])
      : []),
    ...(groups ? ([['usergroups:read', 'to invite user groups']] as [string, string][]) : []),
  ];
}

async function token(
  slack: SlackConfig,
  config: Probing['config'],
  secret: Probing['secret'],
): Promise<string> {
  const { answer, scopes } = await call(slack, secret(slack.botToken), 'auth.test');
  if (answer.ok !== true)
    throw new Error(
      `Slack refuses the bot token (${answer.error ?? 'no reason given'}): install the app, and copy its Bot User OAuth Token`,
    );
  if (slack.teamId !== undefined && answer.team_id !== slack.teamId)
    throw new Error(
      `the token belongs to workspace ${answer.team_id}, chat.slack.teamId says ${slack.teamId}`,
    );
  const workspace = workspaceOf(slack, answer);
  if (scopes === undefined) return `the bot token is accepted; Slack did not tell its scopes; ${workspace}`;
  const missing = neededScopes(slack, config).filter(([scope]) => !scopes.includes(scope));
  if (missing.length > 0) {
    const list = missing.map(([scope, why]) => `${scope} (${why})`).join(', ');
    throw new Error(`the app lacks ${list}: add them under OAuth & Permissions, and install the app again`);
  }
  return `the bot token is accepted, with ${neededScopes(slack, config)
    .map(([scope]) => scope)
    .join(', ')}; ${workspace}`;
}

/** Which workspace the token belongs to, and what follows from chat.slack.teamId being unset. */
function workspaceOf({ teamId }: SlackConfig, { team, team_id, enterprise_id }: SlackAnswer): string {
  const belongs = `it belongs to workspace ${team_id ?? 'unknown'}${team === undefined ? '' : ` (${team})`}`;
  if (teamId !== undefined) return belongs;
  return enterprise_id
    ? `${belongs} of an Enterprise organization; chat.slack.teamId is not set, so people of other workspaces are not kept out: set it`
    : `${belongs}; chat.slack.teamId is not set, so it is learned at each start, and other workspaces are kept out from then on: set it`;
}

async function channel(slack: SlackConfig, secret: Probing['secret'], id: string): Promise<string> {
  const { answer } = await call(slack, secret(slack.botToken), 'conversations.info', { channel: id });
  // Posting takes chat:write only; looking at the channel takes channels:read, which the app may do without.
  if (answer.error === 'missing_scope')
    return 'the app may not look at the channel (channels:read); whether it can post there is seen at the first message';
  if (answer.ok !== true)
    throw new Error(
      `Slack does not show channel ${id} (${answer.error ?? 'no reason given'}): is it the id, and is the app invited?`,
    );
  if (answer.channel?.is_archived) throw new Error(`the channel ${id} is archived: choose another one`);
  if (answer.channel?.is_member === false)
    throw new Error(`the app is not in the channel ${id}: /invite @firebreak there`);
  return `the app is in ${id}; nothing was sent`;
}

/** https://docs.slack.dev/reference/methods/apps.connections.open: a URL is handed out, nothing is connected. */
async function socketMode(slack: SlackConfig, secret: Probing['secret']): Promise<string> {
  const { answer } = await call(slack, secret(slack.appToken ?? ''), 'apps.connections.open');
  if (answer.ok === true) return 'the app-level token opens connections';
  const todo =
    answer.error === 'missing_scope'
      ? 'it needs the scope connections:write'
      : 'make an app-level token (xapp-) with connections:write, and switch Socket Mode on';
  throw new Error(`Slack refuses the app-level token (${answer.error ?? 'no reason given'}): ${todo}`);
}

/** Whether the people of the access file are found in Slack. One finding, so that a large team is still read. */
async function people(
  slack: SlackConfig,
  { access }: Probing['config'],
  secret: Probing['secret'],
): Promise<Finding[]> {
  const wanted = access.people.filter(
    ({ active, email, slackUserId }) => active && (email !== undefined || slackUserId),
  );
  if (wanted.length === 0) return [];
  const look = async (): Promise<string> => {
    const problems: string[] = [];
    for (const { id, email, slackUserId } of wanted.slice(0, MAX_LOOKED_UP)) {
      const { answer } = slackUserId
        ? await call(slack, secret(slack.botToken), 'users.info', { user: slackUserId })
        : await call(slack, secret(slack.botToken), 'users.lookupByEmail', { email: email ?? '' });
      // Explicit ids work without looking; e-mails do not, and the token's check says so.
      if (answer.error === 'missing_scope')
        return 'not looked at: the app lacks users:read or users:read.email';
      if (answer.ok !== true) problems.push(`${id} is not found (${answer.error ?? 'no reason given'})`);
      else if (answer.user?.deleted) problems.push(`${id} is deactivated in Slack`);
      else if (answer.user?.is_bot) problems.push(`${id} is a bot in Slack`);
      else if (!slackUserId && answer.user?.is_email_confirmed === false)
        problems.push(`${id} has not confirmed the e-mail in Slack`);
    }
    if (problems.length > 0) throw new Error(`${problems.join('; ')}: mend access.people, or Slack`);
    const more = wanted.length - MAX_LOOKED_UP;
    return `${Math.min(wanted.length, MAX_LOOKED_UP)} people of the access file are there${more > 0 ? `; ${more} more were not looked up` : ''}`;
  };
  return [await probe('chat: slack people', look)];
}
