import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from '../parts/file-lock.ts';
import { pollUntil } from './poll.ts';
import type { AlertmanagerDescription } from './stack-description.ts';
import { LOOPBACK, startServer } from './start-server.ts';
import type { SupervisedProcess, Supervisor } from './supervisor.ts';
import { checkName, writeAtomic } from './write-atomic.ts';

const START_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;
const RELOAD_TIMEOUT_MS = 10_000;
const GROUP_BY = ['alertname', 'namespace', 'deployment'];
/** Production waits 30 s and 5 m: a person at a demo does not. */
const GROUP_WAIT = '1s';
const GROUP_INTERVAL = '2s';
const DEFAULT_REPEAT_INTERVAL = '1m';
const DEFAULT_ROUTES_NAME = 'default';

export interface AlertRoute {
  /** Alertmanager matchers, for example `rmf_function="MANAGE"`; none = every alert. */
  matchers: string[];
  webhookUrl: string;
  bearerToken?: string;
}

export interface SetRoutesOptions {
  /** Sets of routes of different names stand side by side, so that several tests share one Alertmanager. */
  name?: string;
  /** Prometheus duration; default 1m. */
  repeatInterval?: string;
  groupWait?: string;
  groupInterval?: string;
}

/** What can be done with a running Alertmanager, also from a process that did not start it. */
export interface AlertmanagerControl {
  readonly url: string;
  /**
   * Replaces the routes of this name and resolves when they are in force. An alert goes to every route that it
   * matches. No routes = the name is forgotten.
   */
  setRoutes(routes: AlertRoute[], options?: SetRoutesOptions): Promise<void>;
}

export interface AlertmanagerOptions {
  supervisor: Supervisor;
  parts: Record<'alertmanager' | 'amtool', string>;
  dir: string;
}

export interface RunningAlertmanager {
  description: AlertmanagerDescription;
  process: SupervisedProcess;
}

interface StoredRoutes {
  routes: AlertRoute[];
  options: SetRoutesOptions;
}

/** Starts Alertmanager, alone (no cluster), with the routes that `dir` has, and waits until it is ready. */
export async function startAlertmanager(options: AlertmanagerOptions): Promise<RunningAlertmanager> {
  const { supervisor, parts, dir } = options;
  for (const folder of ['routes', 'credentials'])
    await mkdir(join(dir, folder), { recursive: true, mode: 0o700 });
  await writeConfiguration(dir);
  const { process, ports } = await startServer(supervisor, {
    name: 'alertmanager',
    executable: parts.alertmanager,
    portCount: 1,
    args: ([port]) => [
      `--config.file=${join(dir, 'alertmanager.yml')}`,
      `--storage.path=${join(dir, 'data')}`,
      `--web.listen-address=${LOOPBACK}:${port}`,
      '--cluster.listen-address=',
    ],
    ready: async ([port]) => (await get(`http://${LOOPBACK}:${port}/-/ready`)).ok || undefined,
    timeoutMs: START_TIMEOUT_MS,
  });
  return {
    description: { url: `http://${LOOPBACK}:${ports[0]}`, dir, amtoolPath: parts.amtool },
    process,
  };
}

export function controlAlertmanager({ url, dir }: AlertmanagerDescription): AlertmanagerControl {
  return {
    url,
    setRoutes: async (routes, options = {}) => {
      const file = join(dir, 'routes', `${checkName(options.name ?? DEFAULT_ROUTES_NAME)}.json`);
      await withFileLock(join(dir, 'routes.lock'), async () => {
        const before = await readFile(file, 'utf8').catch(() => undefined);
        const after =
          routes.length === 0 ? undefined : JSON.stringify({ routes, options } satisfies StoredRoutes);
        await replace(file, after);
        try {
          await reload(url, await writeConfiguration(dir));
        } catch (error) {
          await replace(file, before);
          await writeConfiguration(dir);
          throw error;
        }
      });
    },
  };
}

async function replace(file: string, text: string | undefined): Promise<void> {
  if (text === undefined) await rm(file, { force: true });
  else await writeAtomic(file, text, 0o600);
}

async function reload(url: string, receivers: string[]): Promise<void> {
  const answer = await fetch(`${url}/-/reload`, {
    method: 'POST',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`Alertmanager refused the routes: ${(await answer.text()).trim()}`);
  await answer.body?.cancel();
  await pollUntil('the new routes being in force', RELOAD_TIMEOUT_MS, async () => {
    const names = (await (await get(`${url}/api/v2/receivers`)).json()) as { name: string }[];
    const inForce = new Set(names.map(({ name }) => name));
    return (inForce.size === receivers.length && receivers.every((name) => inForce.has(name))) || undefined;
  });
}

/** Writes alertmanager.yml from all sets of routes and gives the names of its receivers. */
async function writeConfiguration(dir: string): Promise<string[]> {
  const files = (await readdir(join(dir, 'routes'))).filter((file) => /^[^.].*\.json$/.test(file)).sort();
  const receivers: { name: string; webhook_configs?: object[] }[] = [{ name: 'nobody' }];
  const routes: object[] = [];
  const credentials = new Set<string>();
  for (const file of files) {
    const stored = JSON.parse(await readFile(join(dir, 'routes', file), 'utf8')) as StoredRoutes;
    for (const [index, route] of stored.routes.entries()) {
      // The hash makes a changed route a new name, by which the reload is seen to be done.
      const hash = createHash('sha256').update(JSON.stringify({ route, options: stored.options }));
      const name = `${file.slice(0, -'.json'.length)}-${index}-${hash.digest('hex').slice(0, 8)}`;
      const credentialsFile = route.bearerToken && join(dir, 'credentials', name);
      if (credentialsFile && route.bearerToken) {
        await writeAtomic(credentialsFile, route.bearerToken, 0o600);
        credentials.add(name);
      }
      receivers.push({ name, webhook_configs: [webhook(route.webhookUrl, credentialsFile)] });
      routes.push(routeTo(name, route.matchers, stored.options));
    }
  }
  const route = {
    receiver: 'nobody',
    group_by: GROUP_BY,
    group_wait: GROUP_WAIT,
    group_interval: GROUP_INTERVAL,
    repeat_interval: DEFAULT_REPEAT_INTERVAL,
    routes,
  };
  await writeAtomic(
    join(dir, 'alertmanager.yml'),
    `${JSON.stringify({ route, receivers }, null, 2)}\n`,
    0o600,
  );
  for (const name of await readdir(join(dir, 'credentials'))) {
    if (!credentials.has(name)) await rm(join(dir, 'credentials', name));
  }
  return receivers.map(({ name }) => name);
}

function webhook(url: string, credentialsFile: string | undefined): object {
  return {
    url,
    send_resolved: true,
    // 0: never truncated.
    max_alerts: 0,
    ...(credentialsFile ? { http_config: { authorization: { credentials_file: credentialsFile } } } : {}),
  };
}

function routeTo(receiver: string, matchers: string[], options: SetRoutesOptions): object {
  return {
    receiver,
    matchers,
    continue: true,
    ...(options.groupWait ? { group_wait: options.groupWait } : {}),
    ...(options.groupInterval ? { group_interval: options.groupInterval } : {}),
    ...(options.repeatInterval ? { repeat_interval: options.repeatInterval } : {}),
  };
}

function get(url: string): Promise<Response> {
  return fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
}
