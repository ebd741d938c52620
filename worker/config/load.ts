import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { z } from 'zod';
import {
  configSchema,
  type FirebreakConfig,
  MAX_ENDPOINT_TIMEOUT_MS,
  MAX_TRAFFIC_WEBHOOK_TIMEOUT_MS,
  MIN_WATCH_EVERY_MS,
} from './schema.ts';

/** A configuration of a thousand people and clusters has a tenth of it; more is the wrong file. */
const MAX_CONFIG_BYTES = 1024 * 1024;
/** YAML aliases multiply (the "billion laughs"): nobody writes more than this by hand. */
const MAX_ALIASES = 100;
/** A secret is a token, a password or a URL. */
const MAX_SECRET_BYTES = 64 * 1024;
/** Keys that mean something else to JavaScript than to whoever wrote them. */
const REFUSED_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

export interface ConfigProblem {
  /** `clusters.eu-1.prometheus.url`; empty: the file as a whole. */
  path: string;
  message: string;
  /** From 1; absent where the file has no such place. */
  line?: number;
  column?: number;
}

/** Everything that is wrong with the configuration, at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ path, message, line, column }) => {
      const place = line === undefined ? '' : ` (line ${line}, column ${column})`;
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
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: true, stringKeys: true });
  const at = (node: unknown): Pick<ConfigProblem, 'line' | 'column'> => {
    if (!isNode(node) || !node.range) return {};
    const { line, col } = lineCounter.linePos(node.range[0]);
    return { line, column: col };
  };
  const problems: ConfigProblem[] = document.errors.map((error) => ({
    path: '',
    // The library's message goes on with an excerpt of the file, which could hold a secret put there by mistake.
    message: error.message.split(/ at line \d+/)[0] ?? 'not YAML',
    ...(error.linePos ? { line: error.linePos[0].line, column: error.linePos[0].col } : {}),
  }));
  if (problems.length > 0) throw new ConfigError(source.file, problems);

  visit(document, {
    Pair: (_, { key }) => {
      if (isScalar(key) && REFUSED_KEYS.has(String(key.value))) {
        problems.push({ path: String(key.value), message: 'this key is not allowed anywhere', ...at(key) });
      }
    },
    Scalar: (_, scalar) => {
      if (typeof scalar.value === 'string' && /\$\{[^}]*\}/.test(scalar.value)) {
        problems.push({
          path: '',
          message:
            'variables are not replaced in this file: write the value, or env:NAME where a secret is asked for',
          ...at(scalar),
        });
      }
    },
  });
  if (problems.length > 0) throw new ConfigError(source.file, problems);

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch {
    throw new ConfigError(source.file, [{ path: '', message: `it uses more than ${MAX_ALIASES} aliases` }]);
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      for (const { path, message } of flattenIssue(issue, [])) {
        problems.push({ path: pathText(path), message, ...at(nodeAt(document.contents, path)) });
      }
    }
    throw new ConfigError(source.file, problems);
  }
  for (const { path, message } of contradictions(parsed.data)) {
    problems.push({ path: pathText(path), message, ...at(nodeAt(document.contents, path)) });
  }
  if (problems.length > 0) throw new ConfigError(source.file, problems);
  return deepFreeze(absolutePaths(parsed.data, source.folder));
}

type Path = readonly PropertyKey[];
interface Flat {
  path: Path;
  message: string;
}

/** One problem an unknown key, each at its own place; of a union the alternatives' own problems. */
function flattenIssue(issue: z.core.$ZodIssue, prefix: Path): Flat[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'there is no such setting' }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => ({ path, message: `its name is not allowed: ${inner.message}` }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    return issue.errors.flatMap((alternative) => alternative.flatMap((inner) => flattenIssue(inner, path)));
  }
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return [{ path, message: 'it is required' }];
  }
  return [{ path, message: issue.message }];
}

/** The node at a path, or the nearest one above it: a missing setting is reported where it is missing. */
function nodeAt(contents: unknown, path: Path): Node | undefined {
  let node: Node | undefined = isNode(contents) ? contents : undefined;
  let nearest: Node | undefined = node;
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === step);
      if (isScalar(pair?.key)) nearest = pair.key;
      node = isNode(pair?.value) ? pair.value : undefined;
    } else if (isSeq(node)) {
      const item = node.items[Number(step)];
      node = isNode(item) ? item : undefined;
      nearest = node ?? nearest;
    } else {
      return nearest;
    }
  }
  return nearest;
}

/** What each value may be, and all together may not. */
function contradictions(config: FirebreakConfig): Flat[] {
  const found: Flat[] = [];
  const { people, rules } = config.access;
  const groups = new Set(people.flatMap((person) => person.groups));
  const firstWith = new Map<string, string>();
  people.forEach((person, index) => {
    const claims: [string, Path][] = [
      [`the id ${person.id}`, ['access', 'people', index, 'id']],
      ...(person.slackUserId === undefined
        ? []
        : [
            [`the Slack user ${person.slackUserId}`, ['access', 'people', index, 'slackUserId']] as [
              string,
              Path,
            ],
          ]),
      ...person.tokens.map(
        (token, at) => [`the token ${token}`, ['access', 'people', index, 'tokens', at]] as [string, Path],
      ),
    ];
    for (const [claim, path] of claims) {
      const owner = firstWith.get(claim);
      if (owner !== undefined) found.push({ path, message: `${claim} is ${owner}'s already` });
      else firstWith.set(claim, person.id);
    }
  });
  for (const role of ['viewer', 'responder', 'commander'] as const) {
    rules[role].forEach((group, index) => {
      if (group !== '*' && !groups.has(group)) {
        found.push({ path: ['access', 'rules', role, index], message: `nobody is in the group ${group}` });
      }
    });
  }
  for (const [name, { type }] of Object.entries(config.notifications)) {
    if (type !== 'slack' || config.chat.slack !== undefined) continue;
    const message = 'a channel in Slack needs the app that posts there: configure chat.slack';
    found.push({ path: ['notifications', name], message });
  }
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

function pathText(path: Path): string {
  return path.map(String).join('.');
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
