/** Firebreak itself, as users run it: `firebreak serve` with a configuration file, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { pollUntil } from '../stack/poll.ts';
import { freePorts } from '../stack/start-server.ts';
import { FIRST_RUNBOOK, SECOND_RUNBOOK, secondTeamRunbook } from './second-team.ts';
import { demoRunbook } from './timings.ts';

/** Seconds; several that start at once on a busy machine, each with embedded records to begin with, take a minute. */
const READY_TIMEOUT_MS = 120_000;
const STOP_GRACE_MS = 15_000;
const LOG_TAIL_LINES = 12;

/** The people of the demo, by what they may do. */
export const PEOPLE = {
  maria: { name: 'Maria, ML engineer on call', groups: ['ml-oncall'], slackUserId: 'U000000001' },
  sam: { name: 'Sam, security engineer on call', groups: ['security-oncall'], slackUserId: 'U000000002' },
  kim: { name: 'Kim, incident commander', groups: ['commander'], slackUserId: 'U000000003' },
  eve: { name: 'Eve, who may only look', groups: [] as string[], slackUserId: 'U000000004' },
} as const;
export type PersonId = keyof typeof PEOPLE;

export interface FirebreakWorld {
  /** Own folder: configuration, secrets, data, log. */
  dir: string;
  kubeconfig: string;
  prometheusUrl: string;
  temporalAddress: string;
  temporalNamespace: string;
  namespaces: Record<string, 'observe' | 'approve'>;
  pagerDutyUrl: string;
  github?: { apiUrl: string; token: string; owner: string; repo: string };
  slack?: { apiUrl: string; token: string; channel: string };
  /** Where each namespace's traffic serves its samples. */
  samplesUrl: string;
  port?: number;
  /** More runbooks, as YAML by name. */
  runbooks?: Record<string, string>;
  /** Further parts of the configuration; they replace those of the same name. */
  settings?: Record<string, unknown>;
}

export interface Firebreak {
  url: string;
  dir: string;
  webhookUrl: string;
  webhookToken: string;
  slackSigningSecret: string;
  tokens: Record<PersonId, string>;
  readonly pid: number;
  logFile: string;
  /** A graceful stop. */
  stop(): Promise<void>;
  /** SIGKILL, and resolves when the process is gone. */
  kill(): Promise<void>;
  /** Starts it again with the same configuration and port. */
  start(): Promise<void>;
}

function secretFile(
  dir: string,
  name: string,
  value = randomBytes(24).toString('hex'),
): { ref: string; value: string } {
  const file = path.join(dir, 'secrets', name);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${value}\n`, { mode: 0o600 });
  return { ref: `file:${file}`, value };
}

/** Writes firebreak.yaml and starts the process; resolves when /readyz says so. */
export async function startFirebreak(world: FirebreakWorld): Promise<Firebreak> {
  mkdirSync(path.join(world.dir, 'runbooks'), { recursive: true });
  writeFileSync(path.join(world.dir, 'runbooks', `${FIRST_RUNBOOK}.yaml`), demoRunbook());
  writeFileSync(path.join(world.dir, 'runbooks', `${SECOND_RUNBOOK}.yaml`), secondTeamRunbook());
  for (const [name, yaml] of Object.entries(world.runbooks ?? {})) {
    writeFileSync(path.join(world.dir, 'runbooks', `${name}.yaml`), yaml);
  }
  const webhook = secretFile(world.dir, 'alertmanager');
  const signing = secretFile(world.dir, 'slack-signing');
  const people = (Object.keys(PEOPLE) as PersonId[]).map((id) => ({
    id,
    token: secretFile(world.dir, `token-${id}`),
  }));
  const [port = 0] = world.port === undefined ? await freePorts(1) : [world.port];
  const pagerDuty = (role: string) => ({
    channels: [
      {
        type: 'pagerduty',
        url: world.pagerDutyUrl,
        routingKey: secretFile(world.dir, `pagerduty-${role}`, randomBytes(16).toString('hex')).ref,
      },
    ],
  });
  const config = {
    server: { port, alertmanager: { bearerTokens: [webhook.ref] } },
    dataDir: path.join(world.dir, 'data'),
    temporal: { address: world.temporalAddress, namespace: world.temporalNamespace },
    clusters: {
      local: {
        kubeconfig: world.kubeconfig,
        prometheus: { url: world.prometheusUrl },
        namespaces: Object.fromEntries(
          Object.entries(world.namespaces).map(([name, mode]) => [name, { mode }]),
        ),
      },
    },
    runbooks: { paths: [path.join(world.dir, 'runbooks')] },
    paging: {
      roles: {
        'ml-oncall': pagerDuty('ml-oncall'),
        'security-oncall': pagerDuty('security-oncall'),
        commander: pagerDuty('commander'),
      },
    },
    ...(world.slack && {
      chat: {
        slack: {
          botToken: secretFile(world.dir, 'slack-bot', world.slack.token).ref,
          signingSecrets: [signing.ref],
          channel: world.slack.channel,
          apiUrl: world.slack.apiUrl,
        },
      },
    }),
    ...(world.github && {
      tickets: {
        github: {
          token: secretFile(world.dir, 'github', world.github.token).ref,
          repository: `${world.github.owner}/${world.github.repo}`,
          apiUrl: world.github.apiUrl,
        },
      },
    }),
    // What the demo's model writes is made up; kept for an hour, so that `firebreak sample reveal` shows what it does.
    samples: { outputs: { type: 'http-json', url: world.samplesUrl, text: 'keep', retention: '1h' } },
    access: {
      people: people.map(({ id, token }) => ({
        id,
        name: PEOPLE[id].name,
        groups: [...PEOPLE[id].groups],
        slackUserId: PEOPLE[id].slackUserId,
        tokens: [token.ref],
      })),
      rules: { responder: ['ml-oncall', 'security-oncall'], commander: ['commander'] },
    },
    ...world.settings,
  };
  writeFileSync(path.join(world.dir, 'firebreak.yaml'), stringify(config));

  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const logFile = path.join(world.dir, 'firebreak.log');
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    const grace = setTimeout(() => child?.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(grace);
  };
  const start = async () => {
    child = spawnServe(world.dir, logFile);
    try {
      await awaitReady(url, child, logFile);
    } catch (error) {
      // Nobody would stop it later, and as long as it runs our own process does not end.
      await end('SIGTERM');
      throw error;
    }
  };
  await start();
  return {
    url,
    dir: world.dir,
    webhookUrl: `${url}/webhooks/alertmanager`,
    webhookToken: webhook.value,
    slackSigningSecret: signing.value,
    tokens: Object.fromEntries(people.map(({ id, token }) => [id, token.value])) as Record<PersonId, string>,
    get pid() {
      return child?.pid ?? 0;
    },
    logFile,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    start,
  };
}

function spawnServe(dir: string, logFile: string): ChildProcess {
  const extension = path.extname(fileURLToPath(import.meta.url));
  const cli = fileURLToPath(new URL(`../../cli/main${extension}`, import.meta.url));
  const log = openSync(logFile, 'a');
  // It ends with us, however we end: its standard input closes then.
  const child = spawn(
    process.execPath,
    [cli, 'serve', '--config', path.join(dir, 'firebreak.yaml'), '--exit-with-stdin'],
    {
      stdio: ['pipe', log, log],
    },
  );
  child.stdin?.on('error', () => undefined);
  closeSync(log);
  return child;
}

async function awaitReady(url: string, child: ChildProcess, logFile: string): Promise<void> {
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  await pollUntil(`Firebreak being ready (see ${logFile})`, READY_TIMEOUT_MS, async () => {
    if (ended()) return true;
    const answer = await fetch(`${url}/readyz`);
    if (answer.ok) return true;
    throw new Error(await answer.text());
  });
  if (!ended()) return;
  const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  throw new Error(
    `Firebreak ended with ${child.exitCode ?? child.signalCode} before it was ready; its log ${logFile} ends with:\n${tail}`,
  );
}
