import { WebClient } from '@slack/web-api';
import { createEmulator, type Emulator } from 'emulate';
import { Octokit } from 'octokit';
import { startSlackEmulator } from './slack-emulator.ts';

/** Only reachable on loopback, and worth nothing elsewhere. */
const GITHUB_TOKEN = 'emulated-github-token';
const SLACK_TOKEN = 'xoxb-emulated-slack-token';
/** Of another app in the same channel: what it posts is not ours. */
export const OTHER_APP_TOKEN = 'xoxb-emulated-other-app-token';
const OWNER = 'acme';
const REPO = 'ai-operations';
const CHANNEL_NAME = 'ai-incidents';
/** More than a demo or a test writes. */
const PAGE_SIZE = 100;

export interface EmulatedIssue {
  number: number;
  title: string;
  body: string;
  labels: string[];
  comments: string[];
}

export interface EmulatedMessage {
  ts: string;
  /** Set for messages in a thread. */
  thread_ts?: string;
  text: string;
  blocks: unknown[];
}

export interface Emulators {
  github: { apiUrl: string; token: string; owner: string; repo: string; issues(): Promise<EmulatedIssue[]> };
  /** `channel` is an id; `apiUrl` ends in /api/. */
  slack: { apiUrl: string; token: string; channel: string; messages(): Promise<EmulatedMessage[]> };
  close(): Promise<void>;
}

/**
 * GitHub's and Slack's APIs as stateful emulators on loopback ports found free, with one repository and one channel. What
 * they hold is read back through the same APIs. Slack's emulator neither checks Block Kit nor calls back: it has no slash
 * commands, buttons or rate limits.
 */
export async function startEmulators(): Promise<Emulators> {
  const github = await startGitHub();
  try {
    const slack = await startSlack();
    return {
      github: {
        apiUrl: github.url,
        token: GITHUB_TOKEN,
        owner: OWNER,
        repo: REPO,
        issues: () => readIssues(github.url),
      },
      slack: {
        apiUrl: slack.apiUrl,
        token: SLACK_TOKEN,
        channel: slack.channel,
        messages: () => readMessages(slack.client, slack.channel),
      },
      close: async () => {
        await Promise.all([github.close(), slack.emulator.close()]);
      },
    };
  } catch (error) {
    await github.close();
    throw error;
  }
}

function startGitHub(): Promise<Emulator> {
  return createEmulator({
    service: 'github',
    port: 0,
    seed: {
      tokens: { [GITHUB_TOKEN]: { login: OWNER, scopes: ['repo'] } },
      github: {
        users: [{ login: OWNER, name: 'Acme', email: 'ops@acme.example' }],
        repos: [{ owner: OWNER, name: REPO, auto_init: false }],
      },
    },
  });
}

async function startSlack(): Promise<{
  emulator: Emulator;
  client: WebClient;
  apiUrl: string;
  channel: string;
}> {
  const emulator = await startSlackEmulator({
    users: ['firebreak', 'other-app'],
    channel: { name: CHANNEL_NAME, topic: 'Incidents of AI systems' },
    tokens: [
      { token: SLACK_TOKEN, user: 'firebreak', scopes: ['chat:write', 'channels:history', 'channels:read'] },
      { token: OTHER_APP_TOKEN, user: 'other-app', scopes: ['chat:write'] },
    ],
  });
  try {
    const apiUrl = `${emulator.url}/api/`;
    const client = new WebClient(SLACK_TOKEN, { slackApiUrl: apiUrl, retryConfig: { retries: 0 } });
    const { channels } = await client.conversations.list();
    const channel = channels?.find(({ name }) => name === CHANNEL_NAME)?.id;
    if (channel === undefined)
      throw new Error(`the Slack emulator did not create the channel ${CHANNEL_NAME}`);
    return { emulator, client, apiUrl, channel };
  } catch (error) {
    await emulator.close();
    throw error;
  }
}

async function readIssues(apiUrl: string): Promise<EmulatedIssue[]> {
  const octokit = new Octokit({ baseUrl: apiUrl, auth: GITHUB_TOKEN, throttle: { enabled: false } });
  const at = { owner: OWNER, repo: REPO, per_page: PAGE_SIZE };
  const issues = await octokit.paginate(octokit.rest.issues.listForRepo, {
    ...at,
    state: 'all',
    direction: 'asc',
  });
  return Promise.all(
    issues.map(async ({ number, title, body, labels }) => {
      const comments = await octokit.paginate(octokit.rest.issues.listComments, {
        ...at,
        issue_number: number,
      });
      return {
        number,
        title,
        body: body ?? '',
        labels: labels.map((label) => (typeof label === 'string' ? label : (label.name ?? ''))),
        comments: comments.map((comment) => comment.body ?? ''),
      };
    }),
  );
}

/** Oldest first, each with its thread behind it. */
async function readMessages(client: WebClient, channel: string): Promise<EmulatedMessage[]> {
  const read: EmulatedMessage[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.conversations.history({
      channel,
      limit: PAGE_SIZE,
      ...(cursor ? { cursor } : {}),
    });
    for (const { ts } of page.messages ?? []) {
      const thread = ts === undefined ? undefined : await client.conversations.replies({ channel, ts });
      for (const message of thread?.messages ?? []) {
        read.push({
          ts: message.ts ?? '',
          ...(message.thread_ts === undefined ? {} : { thread_ts: message.thread_ts }),
          text: message.text ?? '',
          blocks: message.blocks ?? [],
        });
      }
    }
    cursor = page.response_metadata?.next_cursor;
  } while (cursor);
  return read.sort(
    (a, b) => (a.thread_ts ?? a.ts).localeCompare(b.thread_ts ?? b.ts) || a.ts.localeCompare(b.ts),
  );
}
