/** `firebreak doctor`: tries every integration for real and says what is missing. Changes nothing. */
import path from 'node:path';
import { createClusterClients, missingRights } from '../activities/kubernetes/index.ts';
import { createPrometheusClient } from '../activities/prometheus/index.ts';
import { type Finding, findingLine } from '../domain/finding.ts';
import { loadRunbooks } from '../runbooks/load.ts';
import { formatProblems } from '../runbooks/report.ts';
import { createTemporalGateway } from '../webhooks/gateway/temporal-gateway.ts';
import { lazyClient, temporalTarget } from './clients.ts';
import { installationOf } from './config/installation.ts';
import { loadConfig, resolveSecret } from './config/load.ts';
import { accessChecks } from './doctor/access.ts';
import { onCallChecks, pagingChecks } from './doctor/paging.ts';
import { answers, PROBE_TIMEOUT_MS, type Probing, probe } from './doctor/probe.ts';
import { pullRequestChecks } from './doctor/pull-requests.ts';
import { recordsChecks } from './doctor/records.ts';
import { slackChannel, slackChecks } from './doctor/slack.ts';
import { ticketChecks } from './doctor/tickets.ts';
import { askPresidio, askSampleSource } from './samples.ts';

export interface DoctorOptions {
  config: string;
  json: boolean;
  env: Record<string, string | undefined>;
  /** Takes whole lines. */
  write: (text: string) => void;
}

/** @returns exit code 0 when everything works, else 1. */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const config = loadConfig(options.config);
  const secret = (reference: string) => resolveSecret(reference, options.env);
  const findings: Finding[] = [];
  // All are tried side by side; each is told as soon as those before it are.
  for (const looking of checks({ config, secret, env: options.env })) {
    for (const finding of await looking) {
      findings.push(finding);
      if (!options.json) options.write(`${findingLine(finding)}\n`);
    }
  }
  const ok = findings.every((finding) => finding.ok);
  if (options.json) options.write(`${JSON.stringify({ ok, findings })}\n`);
  return ok ? 0 : 1;
}

/** All checks, under way at once. None of them throws. */
function checks(probing: Probing): Promise<Finding[]>[] {
  const { config, secret, env } = probing;
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
    ...integrationChecks(probing),
  ].map(async (finding) => [await finding].flat());
}

/** People and vendors: everything that is neither Temporal nor a cluster. */
export function integrationChecks(probing: Probing): Promise<Finding[]>[] {
  return [
    ...secretChecks(probing),
    ...accessChecks(probing),
    ...onCallChecks(probing),
    ...pagingChecks(probing),
    ...slackChecks(probing),
    ...ticketChecks(probing),
    ...pullRequestChecks(probing),
    ...recordsChecks(probing),
    ...otherChecks(probing),
  ].map(async (finding) => [await finding].flat());
}

/** Every reference must lead to a value; the value is never shown. */
function secretChecks({ config, secret }: Probing): Promise<Finding>[] {
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

/** What may only be looked at from outside: a call could change something, or be read by people. */
function otherChecks(probing: Probing): Promise<Finding>[] {
  const { config, secret } = probing;
  return [
    ...Object.entries(config.notifications).map(([name, channel]) =>
      probe(`notifications ${name}`, () =>
        channel.type === 'webhook'
          ? answers(channel.url, 'nothing was sent')
          : slackChannel(probing, channel.channel),
      ),
    ),
    ...Object.entries(config.http).map(([name, endpoint]) =>
      probe(`http ${name}`, () => answers(endpoint.url, 'nothing was called')),
    ),
    ...Object.keys(config.samples).map((name) =>
      probe(`samples ${name}`, () => askSampleSource(config, name, secret, PROBE_TIMEOUT_MS)),
    ),
    ...Object.entries(config.samples).flatMap(([name, { presidio }]) =>
      presidio ? [probe(`samples ${name}: presidio`, () => askPresidio(config, name, secret))] : [],
    ),
  ];
}
