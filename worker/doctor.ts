/** `firebreak doctor`: tries every integration for real and says what is missing. Changes nothing. */
import path from 'node:path';
import axios from 'axios';
import { createClusterClients, missingRights } from '../activities/kubernetes/index.ts';
import { createPrometheusClient } from '../activities/prometheus/index.ts';
import { loadRunbooks } from '../runbooks/load.ts';
import { formatProblems } from '../runbooks/report.ts';
import { createTemporalGateway } from '../webhooks/gateway/temporal-gateway.ts';
import { lazyClient, temporalTarget } from './clients.ts';
import { installationOf } from './config/installation.ts';
import { loadConfig, resolveSecret } from './config/load.ts';
import type { FirebreakConfig } from './config/schema.ts';

export interface DoctorOptions {
  config: string;
  json: boolean;
  env: Record<string, string | undefined>;
}

interface Finding {
  what: string;
  ok: boolean;
  /** What is wrong and what to do, or what was seen. */
  detail: string;
}

/** A vendor that does not answer within this is not there for an incident either. */
const PROBE_TIMEOUT_MS = 5_000;

/** @returns exit code 0 when everything works, else 1. */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const config = loadConfig(options.config);
  const secret = (reference: string) => resolveSecret(reference, options.env);
  const findings = (await Promise.all(checks(config, secret, options.env))).flat();
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ ok: findings.every((finding) => finding.ok), findings })}\n`);
  } else {
    for (const { what, ok, detail } of findings)
      process.stdout.write(`${ok ? 'ok     ' : 'MISSING'} ${what}: ${detail}\n`);
  }
  return findings.every((finding) => finding.ok) ? 0 : 1;
}

type Secret = (reference: string) => string;

/** What Slack says of a channel (https://docs.slack.dev/reference/methods/conversations.info). */
interface SlackChannel {
  is_archived?: boolean;
  is_member?: boolean;
}

function checks(config: FirebreakConfig, secret: Secret, env: DoctorOptions['env']): Promise<Finding[]>[] {
  return [
    probe('runbooks', async () => {
      const { ok, runbooks, problems } = await loadRunbooks(config.runbooks.paths, {
        inputs: config.runbooks.inputs,
        installation: installationOf(config),
      });
      if (!ok) throw new Error(formatProblems(problems));
      const names = runbooks.map((runbook) => `${runbook.name} v${runbook.version}`).join(', ');
      // What is shipped may name roles that this installation does not have: it runs, and those steps fail.
      const told = problems.map(({ file, line, message }) => `${file}:${line} ${message}`).join('; ');
      return told === '' ? names : `${names}; to be looked at: ${told}`;
    }),
    probe('temporal', async () => {
      const target = temporalTarget(config.temporal, env);
      const client = lazyClient(target, {});
      try {
        const ready = await createTemporalGateway(client, {
          taskQueue: config.temporal.taskQueue,
        }).checkReady();
        if (!ready.ok) throw new Error(ready.problems.join('; '));
        return `${target.address}, namespace ${target.namespace}, search attributes registered`;
      } finally {
        await client.connection.close();
      }
    }),
    ...Object.entries(config.clusters).flatMap(([name, cluster]) => [
      probe(`cluster ${name}: prometheus`, async () => {
        const client = createPrometheusClient({
          url: cluster.prometheus.url,
          bearerToken: cluster.prometheus.bearerToken && secret(cluster.prometheus.bearerToken),
          timeoutMs: PROBE_TIMEOUT_MS,
        });
        return `its clock says ${new Date(await client.nowMs()).toISOString()}`;
      }),
      ...Object.keys(cluster.namespaces).map((namespace) =>
        probe(`cluster ${name}: rights in ${namespace}`, async () => {
          const missing = await missingRights(createClusterClients(cluster), namespace);
          if (missing.length > 0) {
            throw new Error(
              `not allowed: ${missing.map(({ verb, group, resource }) => `${verb} ${group ? `${group}/` : ''}${resource}`).join(', ')}: see deploy/rbac.yaml`,
            );
          }
          return 'all that is needed';
        }),
      ),
    ]),
    ...secretChecks(config, secret),
    ...vendorChecks(config, secret),
  ];
}

/** Every reference must lead to a value; the value is never shown. */
function secretChecks(config: FirebreakConfig, secret: Secret): Promise<Finding[]>[] {
  const references = new Set<string>();
  const collect = (value: unknown): void => {
    if (typeof value === 'string' && /^(env:[A-Za-z_]|file:)/.test(value)) references.add(value);
    else if (typeof value === 'object' && value !== null)
      for (const item of Object.values(value)) collect(item);
  };
  collect(config);
  return [...references].map((reference) =>
    probe(
      `secret ${reference.startsWith('file:') ? `file:${path.basename(reference)}` : reference}`,
      async () => {
        secret(reference);
        return 'is there';
      },
    ),
  );
}

function vendorChecks(config: FirebreakConfig, secret: Secret): Promise<Finding[]>[] {
  const found: Promise<Finding[]>[] = [];
  const http = axios.create({ timeout: PROBE_TIMEOUT_MS, maxRedirects: 0, validateStatus: () => true });
  const answers = async (url: string) => {
    const { status } = await http.head(url);
    return `${new URL(url).host} answers (${status}); nothing was sent`;
  };
  for (const [role, { channels }] of Object.entries(config.paging.roles)) {
    for (const channel of channels) {
      found.push(
        probe(`pager ${channel.type} of ${role}`, async () => {
          // A real page would wake somebody: only that the host answers is tried here.
          const { status } = await http.head(channel.url);
          return `${new URL(channel.url).host} answers (${status}); no page was sent`;
        }),
      );
    }
  }
  const { github } = config.tickets;
  if (github) {
    found.push(
      probe('tickets: github', async () => {
        const { status, data } = await http.get(`${github.apiUrl}/repos/${github.repository}`, {
          headers: { authorization: `Bearer ${secret(github.token)}`, accept: 'application/vnd.github+json' },
        });
        if (status === 401)
          throw new Error('the token is refused: make a new one with Issues read and write');
        if (status !== 200)
          throw new Error(`repository ${github.repository} was answered ${status}: may the token see it?`);
        if ((data as { has_issues?: boolean }).has_issues === false)
          throw new Error(`issues are switched off in ${github.repository}`);
        return `${github.repository} can be read`;
      }),
    );
  }
  const { slack } = config.chat;
  if (slack) {
    found.push(
      probe('chat: slack', async () => {
        const { data } = await http.post(`${slack.apiUrl ?? 'https://slack.com/api/'}auth.test`, undefined, {
          headers: { authorization: `Bearer ${secret(slack.botToken)}` },
        });
        const answer = data as { ok?: boolean; error?: string };
        if (answer.ok !== true)
          throw new Error(`Slack refuses the bot token (${answer.error ?? 'no reason given'})`);
        return 'the bot token is accepted';
      }),
    );
  }
  for (const [name, channel] of Object.entries(config.notifications)) {
    found.push(
      probe(`notifications ${name}`, async () => {
        // A real one would be read by people: only that somebody would take it is tried here.
        if (channel.type === 'webhook') return await answers(channel.url);
        if (!slack) throw new Error('the app that posts there is not configured: see chat.slack');
        const { data } = await http.post(
          `${slack.apiUrl ?? 'https://slack.com/api/'}conversations.info`,
          new URLSearchParams({ channel: channel.channel }),
          { headers: { authorization: `Bearer ${secret(slack.botToken)}` } },
        );
        const answer = data as { ok?: boolean; error?: string; channel?: SlackChannel };
        // Posting takes chat:write only; looking at the channel takes channels:read, which the app may do without.
        if (answer.error === 'missing_scope')
          return 'the app may not look at the channel; whether it can post there is seen at the first message';
        if (answer.ok !== true)
          throw new Error(
            `Slack does not show channel ${channel.channel} (${answer.error ?? 'no reason given'})`,
          );
        if (answer.channel?.is_archived)
          throw new Error(`the channel ${channel.channel} is archived: choose another one`);
        if (answer.channel?.is_member === false)
          throw new Error(`the app is not in the channel ${channel.channel}: /invite @firebreak`);
        return `the app is in ${channel.channel}; nothing was sent`;
      }),
    );
  }
  for (const [name, endpoint] of Object.entries(config.http)) {
    // A call could change something: only that the host answers is tried here.
    found.push(probe(`http ${name}`, () => answers(endpoint.url)));
  }
  for (const [name, source] of Object.entries(config.samples)) {
    found.push(
      probe(`samples ${name}`, async () => {
        const { status } = await http.get(source.url, {
          params: { limit: 1 },
          headers: source.bearerToken ? { authorization: `Bearer ${secret(source.bearerToken)}` } : {},
        });
        if (status === 401 || status === 403) throw new Error(`the source refuses the token (${status})`);
        if (status >= 500) throw new Error(`the source was answered ${status}`);
        return `answers (${status})`;
      }),
    );
  }
  return found;
}

async function probe(what: string, look: () => Promise<string>): Promise<Finding[]> {
  try {
    return [{ what, ok: true, detail: await look() }];
  } catch (error) {
    return [{ what, ok: false, detail: error instanceof Error ? error.message : String(error) }];
  }
}
