import { existsSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runCommand } from '../parts/run-command.ts';
import { pollUntil } from './poll.ts';
import type { PrometheusDescription } from './stack-description.ts';
import { LOOPBACK, startServer } from './start-server.ts';
import type { SupervisedProcess, Supervisor } from './supervisor.ts';
import { checkName, writeAtomic } from './write-atomic.ts';

const START_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Prometheus hands new targets to its scrapers every 5 s, and scrapes them within one interval after that. */
const TARGETS_TIMEOUT_MS = 30_000;
const PROMTOOL_TIMEOUT_MS = 20_000;
const DEFAULT_INTERVAL = '1s';
/**
 * A firing alert is told to Alertmanager again after this. For up to 5 s after its start and after each reload
 * Prometheus knows no Alertmanager and drops what fires: with its default of 1 m the alert would be a minute late. An
 * alert that is not told again counts as resolved after four times this.
 */
const DEFAULT_RESEND_DELAY = '3s';

export interface PrometheusOptions {
  supervisor: Supervisor;
  parts: Record<'prometheus' | 'promtool', string>;
  dir: string;
  /** host:port of the Alertmanager that gets the alerts. */
  alertmanager: string;
  /** Prometheus durations; default 1s. */
  scrapeInterval?: string;
  evaluationInterval?: string;
  resendDelay?: string;
  /** Take samples over remote write too, with the times that their sender gives them. */
  remoteWrite?: boolean;
}

export interface PrometheusTarget {
  /** host:port */
  address: string;
  /** Added to each series; `__metrics_path__` and its like are understood. */
  labels?: Record<string, string>;
}

/** What can be done with a running Prometheus, also from a process that did not start it. */
export interface PrometheusControl {
  readonly url: string;
  /** Replaces the targets of this name; it sees the file by itself. Empty = scraped no longer. */
  writeTargets(name: string, targets: PrometheusTarget[]): Promise<void>;
  /** Waits until each address (host:port) was scraped successfully. */
  awaitTargetsUp(addresses: string[], timeoutMs?: number): Promise<void>;
  /** Replaces the rule file of this name (undefined: removes it), checked by promtool, and reloads. */
  writeRules(name: string, yamlText: string | undefined): Promise<void>;
  /** Makes it read its configuration and rules. Throws where it refuses them. */
  reload(): Promise<void>;
}

export interface RunningPrometheus {
  description: PrometheusDescription;
  process: SupervisedProcess;
}

/** Starts Prometheus with targets and rules from files in `dir`, and waits until it is ready. */
export async function startPrometheus(options: PrometheusOptions): Promise<RunningPrometheus> {
  const { supervisor, parts, dir } = options;
  await mkdir(join(dir, 'targets'), { recursive: true });
  await mkdir(join(dir, 'rules'), { recursive: true });
  const configFile = join(dir, 'prometheus.yml');
  await writeAtomic(configFile, configuration(options));
  const assets = debianAssets(parts.prometheus);
  const { process, ports } = await startServer(supervisor, {
    name: 'prometheus',
    executable: parts.prometheus,
    portCount: 1,
    args: ([port]) => [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=${LOOPBACK}:${port}`,
      '--web.enable-lifecycle',
      `--rules.alert.resend-delay=${options.resendDelay ?? DEFAULT_RESEND_DELAY}`,
      ...(options.remoteWrite ? ['--web.enable-remote-write-receiver'] : []),
      ...(assets ? [`--web.local-assets=${assets}`] : []),
    ],
    ready: async ([port]) => {
      const url = `http://${LOOPBACK}:${port}`;
      if (!(await get(`${url}/-/ready`)).ok) return undefined;
      const flags = (await (await get(`${url}/api/v1/status/flags`)).json()) as {
        data: Record<string, string>;
      };
      // Another stack's Prometheus could answer on a port that ours failed to get.
      return flags.data['config.file'] === configFile || undefined;
    },
    timeoutMs: START_TIMEOUT_MS,
  });
  return {
    description: { url: `http://${LOOPBACK}:${ports[0]}`, dir, promtoolPath: parts.promtool },
    process,
  };
}

export function controlPrometheus({ url, dir, promtoolPath }: PrometheusDescription): PrometheusControl {
  const reload = async () => {
    const answer = await fetch(`${url}/-/reload`, {
      method: 'POST',
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error(`Prometheus refused its configuration: ${(await answer.text()).trim()}`);
    await answer.body?.cancel();
  };
  return {
    url,
    reload,
    writeTargets: async (name, targets) => {
      const groups = targets.map(({ address, labels }) => ({ targets: [address], labels: labels ?? {} }));
      const file = join(dir, 'targets', `${checkName(name)}.json`);
      await writeAtomic(file, `${JSON.stringify(groups, null, 2)}\n`);
    },
    awaitTargetsUp: async (addresses, timeoutMs = TARGETS_TIMEOUT_MS) => {
      await pollUntil(`Prometheus scraping ${addresses.join(', ')}`, timeoutMs, async () => {
        const healthy = await healthyTargets(url);
        return addresses.every((address) => healthy.has(address)) || undefined;
      });
    },
    writeRules: async (name, yamlText) => {
      const file = join(dir, 'rules', `${checkName(name)}.yml`);
      if (yamlText === undefined) await rm(file, { force: true });
      else await replaceRules(file, yamlText, promtoolPath);
      await reload();
    },
  };
}

/** promtool says what is wrong and where; the reload itself says only that something is. */
async function replaceRules(file: string, yamlText: string, promtool: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch(() => undefined);
  await writeAtomic(file, yamlText);
  try {
    await runCommand(promtool, ['check', 'rules', file], { timeoutMs: PROMTOOL_TIMEOUT_MS });
  } catch (error) {
    if (before === undefined) await rm(file, { force: true });
    else await writeAtomic(file, before);
    throw error;
  }
}

async function healthyTargets(url: string): Promise<Set<string>> {
  const answer = await get(`${url}/api/v1/targets?state=active`);
  const { data } = (await answer.json()) as {
    data: { activeTargets: { health: string; discoveredLabels: Record<string, string> }[] };
  };
  const up = data.activeTargets.filter(({ health }) => health === 'up');
  return new Set(up.map(({ discoveredLabels }) => discoveredLabels.__address__ ?? ''));
}

function configuration(options: PrometheusOptions): string {
  return `${JSON.stringify(
    {
      global: {
        scrape_interval: options.scrapeInterval ?? DEFAULT_INTERVAL,
        scrape_timeout: options.scrapeInterval ?? DEFAULT_INTERVAL,
        evaluation_interval: options.evaluationInterval ?? DEFAULT_INTERVAL,
      },
      alerting: {
        alertmanagers: [{ api_version: 'v2', static_configs: [{ targets: [options.alertmanager] }] }],
      },
      rule_files: [join(options.dir, 'rules', '*.yml')],
      scrape_configs: [
        {
          job_name: 'firebreak',
          // Exporters here speak for other things (a deployment, its pods): their labels stand.
          honor_labels: true,
          file_sd_configs: [{ files: [join(options.dir, 'targets', '*.json')], refresh_interval: '5s' }],
        },
      ],
    },
    null,
    2,
  )}\n`;
}

/** Debian's build reads the files of its web pages from a folder of the package. */
function debianAssets(executable: string): string | undefined {
  const assets = join(dirname(realpathSync(executable)), '..', 'share', 'prometheus', 'web');
  return existsSync(join(assets, 'templates')) ? assets : undefined;
}

function get(url: string): Promise<Response> {
  return fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
}
