import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { accessProblems, mergeAccessFile } from './access-file.ts';
import { pagingProblems } from './paging.ts';
import {
  configSchema,
  type FirebreakConfig,
  MAX_ENDPOINT_TIMEOUT_MS,
  MAX_TRAFFIC_WEBHOOK_TIMEOUT_MS,
  MIN_WATCH_EVERY_MS,
} from './schema.ts';
import { type ConfigProblem, type Flat, readDocument } from './yaml-document.ts';

/** A configuration of a thousand people and clusters has a tenth of it; more is the wrong file. */
const MAX_CONFIG_BYTES = 1024 * 1024;
/** A secret is a token, a password or a URL. */
const MAX_SECRET_BYTES = 64 * 1024;
/** Everything that is wrong with the configuration, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ path, message, line, column, file: other }) => {
      const within = other === undefined ? '' : `${other}, `;
      const where = line === undefined ? within.slice(0, -2) : `${within}line ${line}, column ${column}`;
      const place = where === '' ? '' : ` (${where})`;
      return `  ${path === '' ? '' : `${path}: `}${message}${place}`;
    });
    super(`${file} cannot be used:\n${lines.join('\n')}`);
    this.file = file;
    this.problems = problems;
  }
}

/**
 * Reads and checks firebreak.yaml. Relative paths in it (data folder, kubeconfigs, runbooks, `file:` secrets) are made
 * absolute, seen from the file's folder.
 * @returns the configuration with its defaults, frozen.
 * @throws ConfigError with every problem.
 */
export function loadConfig(file: string): FirebreakConfig {
  const path = resolve(file);
  let text: string;
  try {
    if (statSync(path).size > MAX_CONFIG_BYTES) {
      throw new ConfigError(path, [{ path: '', message: `it is larger than ${MAX_CONFIG_BYTES} bytes` }]);
    }
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const message =
      code === 'ENOENT'
        ? 'there is no such file: give another one with --config'
        : `it cannot be read (${code})`;
    throw new ConfigError(path, [{ path: '', message }]);
  }
  return parseConfig(text, { file: path, folder: dirname(path) });
}

/** As `loadConfig`, from text: an empty one is the configuration of defaults. */
export function parseConfig(text: string, source: { file: string; folder: string }): FirebreakConfig {
  const read = readDocument(text, configSchema);
  if (!read.ok) throw new ConfigError(source.file, read.problems);
  const { config, problems } = mergeAccessFile(read, source.folder);
  problems.push(...contradictions(config).map(read.place));
  if (problems.length > 0) throw new ConfigError(source.file, problems);
  return deepFreeze(absolutePaths(config, source.folder));
}

/** What each value may be, and all together may not. */
function contradictions(config: FirebreakConfig): Flat[] {
  const found: Flat[] = [];
  // Those of an access file are told with its own places.
  if (config.access.file === undefined) {
    found.push(...accessProblems(config.access).map((one) => ({ ...one, path: ['access', ...one.path] })));
  }
  for (const [name, { type }] of Object.entries(config.notifications)) {
    if (type !== 'slack' || config.chat.slack !== undefined) continue;
    const message = 'a channel in Slack needs the app that posts there: configure chat.slack';
    found.push({ path: ['notifications', name], message });
  }
  config.stakeholders.channels.forEach((name, index) => {
    if (Object.hasOwn(config.notifications, name)) return;
    const message = `there is no channel notifications.${name}`;
    found.push({ path: ['stakeholders', 'channels', index], message });
  });
  for (const [name, endpoint] of Object.entries(config.http)) {
    if (endpoint.timeout <= MAX_ENDPOINT_TIMEOUT_MS) continue;
    const message = `at most ${MAX_ENDPOINT_TIMEOUT_MS / 1_000}s: a call is given up after a minute anyway`;
    found.push({ path: ['http', name, 'timeout'], message });
  }
  for (const [name, { traffic }] of Object.entries(config.clusters)) {
    traffic.webhooks.forEach(({ timeout }, index) => {
      if (timeout <= MAX_TRAFFIC_WEBHOOK_TIMEOUT_MS) return;
      const message = `at most ${MAX_TRAFFIC_WEBHOOK_TIMEOUT_MS / 1_000}s: diverting traffic does not wait for long`;
      found.push({ path: ['clusters', name, 'traffic', 'webhooks', index, 'timeout'], message });
    });
  }
  found.push(...pagingProblems(config));
  if (config.runbooks.watchEvery < MIN_WATCH_EVERY_MS) {
    const message = `at least ${MIN_WATCH_EVERY_MS / 1_000}s: every runbook file is read each time`;
    found.push({ path: ['runbooks', 'watchEvery'], message });
  }
  return found;
}

function absolutePaths(config: FirebreakConfig, folder: string): FirebreakConfig {
  const absolute = (path: string) =>
    resolve(folder, path.startsWith('~/') ? join(homedir(), path.slice(2)) : path);
  const clusters = Object.entries(config.clusters).map(([name, cluster]) => [
    name,
    cluster.kubeconfig === undefined ? cluster : { ...cluster, kubeconfig: absolute(cluster.kubeconfig) },
  ]);
  const whole = {
    ...config,
    dataDir: absolute(config.dataDir),
    clusters: Object.fromEntries(clusters) as FirebreakConfig['clusters'],
    ...(config.access.file === undefined
      ? {}
      : { access: { ...config.access, file: absolute(config.access.file) } }),
    runbooks: { ...config.runbooks, paths: config.runbooks.paths.map(absolute) },
  };
  const made = mapStrings(whole, (text) =>
    text.startsWith('file:') ? `file:${absolute(text.slice(5))}` : text,
  ) as FirebreakConfig;
  return { ...made, runbooks: whole.runbooks };
}

/**
 * Only secret references can start with `file:`: every other string with a scheme is an http URL, but for the inputs of
 * runbooks, which are any text and stay as they are.
 */
function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapStrings(item, change)]));
  }
  return value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) deepFreeze(item);
    Object.freeze(value);
  }
  return value;
}

/**
 * The secret behind `env:NAME` or `file:PATH` (absolute, as `loadConfig` makes it; one newline at its end is not part of
 * it).
 * @param env the environment, read once by the caller.
 * @throws Error naming the reference, never the value.
 */
export function resolveSecret(ref: string, env: Readonly<Record<string, string | undefined>>): string {
  if (ref.startsWith('env:')) {
    const value = env[ref.slice('env:'.length)];
    if (value === undefined || value === '')
      throw new Error(`secret ${ref}: the variable is not set, or empty`);
    return value;
  }
  if (!ref.startsWith('file:')) throw new Error('a secret is given by reference: env:NAME or file:PATH');
  let text: string;
  try {
    const path = ref.slice('file:'.length);
    if (statSync(path).size > MAX_SECRET_BYTES)
      throw new Error(`secret ${ref}: larger than ${MAX_SECRET_BYTES} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    throw new Error(`secret ${ref}: the file cannot be read (${code})`);
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new Error(`secret ${ref}: the file is empty`);
  return value;
}
