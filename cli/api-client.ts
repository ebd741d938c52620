import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { DrillPlan } from '../domain/drill.ts';
import type { IncidentView, SampleSummary, TimelineEntry } from '../domain/incident.ts';
import type { ObserveReport } from '../domain/observe-report.ts';
import type { DeclaredRollback, RollbackInquiry } from '../domain/rollback-inquiry.ts';
import type { RollbackTo } from '../domain/rollback-plan.ts';
import type { Target } from '../domain/target.ts';
import type { CliEnv } from './env.ts';
import { CliError, EXIT, type ExitCode } from './exit-codes.ts';
import { plain } from './output.ts';

const DEFAULT_URL = 'http://127.0.0.1:8787';
/** Reading answers within the server's own deadlines. */
const READ_TIMEOUT_MS = 15_000;
/** A report reads hundreds of incidents with their timelines. */
const REPORT_TIMEOUT_MS = 60_000;
/** A cluster is asked through its worker, for at most 20 s. */
const INQUIRE_TIMEOUT_MS = 30_000;
/** The server tries an action for 30 s before it says that the outcome is not known. */
const ACT_TIMEOUT_MS = 45_000;

interface IncidentSummary {
  incidentId: string;
  title: string;
  state: string;
  severity: string;
  outcome?: string;
  target?: string;
  runbook: string;
  triggeredAtMs?: number;
  awaitingApproval: string[];
  humanNeeded: string[];
}

export interface ShownIncident {
  source: 'live' | 'records';
  note?: string;
  incident: IncidentView;
}

/** A target as a person names it: the only configured cluster needs no name. */
export type NamedTarget = Omit<Target, 'cluster'> & { cluster?: string };

export interface DrillBody {
  target: NamedTarget;
  runbook: string;
  divert: boolean;
  forMs?: number;
}

/** The incident API, for one person. Every method throws CliError. */
export interface ApiClient {
  /** Where the token came from, for people. */
  tokenFrom: string;
  /** Whom the server takes the token's bearer for. */
  me(): Promise<{ id: string; name: string; groups: string[] }>;
  list(filter: {
    state?: string;
    limit?: number;
  }): Promise<{ incidents: IncidentSummary[]; notes: string[] }>;
  show(id: string): Promise<ShownIncident>;
  timeline(id: string): Promise<{ incidentId: string; timeline: TimelineEntry[] }>;
  postmortem(id: string): Promise<{ markdown: string; draft: boolean }>;
  /** The plot of the harm rate over time, an SVG document. */
  harmPlot(id: string): Promise<string>;
  attempts(id: string): Promise<{ incidentId: string; attempts: Record<string, unknown>[] }>;
  observeReport(since: string): Promise<ObserveReport>;
  /** POST /incidents/ID/<action>. */
  act(
    id: string,
    action: string,
    body: object,
  ): Promise<{ message: string; incidentId: string; duplicate?: boolean }>;
  samples(id: string): Promise<SampleList>;
  /** A kept text; recorded with the reason before it is answered. */
  revealSample(
    id: string,
    sample: string,
    reason: string,
  ): Promise<{ incidentId: string; sample: string; text: string; destroyAtMs: number }>;
  /** What a rollback would be; changes nothing. */
  planRollback(body: { target: NamedTarget; to?: RollbackTo }): Promise<RollbackInquiry>;
  declareRollback(body: {
    target: NamedTarget;
    to?: RollbackTo;
    reason: string;
    planHash?: string;
  }): Promise<DeclaredRollback>;
  /** What a drill would do; begins nothing. */
  planDrill(body: DrillBody): Promise<DrillPlan>;
  beginDrill(body: DrillBody): Promise<{ message: string; incidentId: string; plan: DrillPlan }>;
  freeze(body: {
    target: NamedTarget;
    reason: string;
    forMs: number;
  }): Promise<{ message: string; target: string }>;
  unfreeze(body: { target: NamedTarget; reason: string }): Promise<{ message: string; target: string }>;
}

export interface SampleList {
  incidentId: string;
  samples?: SampleSummary;
  kept: { ref: string; source: string; keptAtMs: number; destroyAtMs: number }[];
  log: { atMs: number; action: string; actor: string; source: string; ref?: string; reason?: string }[];
}

export interface ApiOptions {
  url?: string | undefined;
  tokenFile?: string | undefined;
  /** Goes before every other one. */
  token?: string | undefined;
}

export async function createApiClient(
  options: ApiOptions,
  env: CliEnv,
  warn: (text: string) => void,
): Promise<ApiClient> {
  const base = apiUrl(options, env);
  const { token, from } = await readToken(options, env, base);
  const loopback = isLoopback(base);
  if (base.protocol === 'http:' && !loopback) warn(`The token goes to ${base.host} unencrypted: use https.`);

  const { default: axios } = await import('axios');
  const client = axios.create({
    baseURL: new URL('api/v1/', base.href.endsWith('/') ? base.href : `${base.href}/`).href,
    headers: { authorization: `Bearer ${token}`, 'x-firebreak-client': 'cli' },
    // A redirect would carry the token elsewhere, and a proxy has no business between this machine and itself.
    maxRedirects: 0,
    ...(loopback ? { proxy: false as const } : {}),
    validateStatus: () => true,
    // Bodies are parsed here, so that an HTML page of some proxy is told from an answer.
    responseType: 'text',
    transformResponse: (data) => data,
  });

  interface Request {
    body?: object;
    params?: object;
    timeoutMs?: number;
    accept?: string;
  }

  async function send(method: 'GET' | 'POST', path: string, more: Request) {
    try {
      return await client.request<string>({
        method,
        url: path,
        timeout: more.timeoutMs ?? (method === 'GET' ? READ_TIMEOUT_MS : ACT_TIMEOUT_MS),
        ...(more.params ? { params: more.params } : {}),
        ...(more.body ? { data: more.body } : {}),
        headers: {
          accept: more.accept ?? 'application/json',
          ...(method === 'POST'
            ? { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
            : {}),
        },
      });
    } catch (error) {
      throw unreachable(base, error);
    }
  }

  async function call<T>(method: 'GET' | 'POST', path: string, more: Request = {}): Promise<T> {
    const { status, data } = await send(method, path, more);
    const parsed = parse(data);
    if (status >= 200 && status < 300 && parsed !== undefined) return parsed as T;
    throw toCliError(status, parsed, base.origin);
  }

  /** A document of another kind than JSON; errors are JSON all the same. */
  async function read(path: string, type: string): Promise<string> {
    const { status, data, headers } = await send('GET', path, { accept: type });
    if (status === 200 && String(headers['content-type']).startsWith(type)) return data;
    throw toCliError(status, parse(data), base.origin);
  }
  const of = (id: string) => `incidents/${encodeURIComponent(id)}`;

  return {
    tokenFrom: from,
    me: () => call('GET', 'me'),
    list: (filter) => call('GET', 'incidents', { params: filter }),
    show: (id) => call('GET', of(id)),
    timeline: (id) => call('GET', `${of(id)}/timeline`),
    postmortem: (id) => call('GET', `${of(id)}/postmortem`),
    harmPlot: (id) => read(`${of(id)}/harm.svg`, 'image/svg+xml'),
    attempts: (id) => call('GET', `${of(id)}/attempts`),
    observeReport: (since) =>
      call('GET', 'reports/observe', { params: { since }, timeoutMs: REPORT_TIMEOUT_MS }),
    act: (id, action, body) => call('POST', `${of(id)}/${action}`, { body }),
    samples: (id) => call('GET', `${of(id)}/samples`),
    revealSample: (id, sample, reason) =>
      call('POST', `${of(id)}/samples/${encodeURIComponent(sample)}/reveal`, { body: { reason } }),
    planRollback: (body) => call('POST', 'rollbacks/plan', { body, timeoutMs: INQUIRE_TIMEOUT_MS }),
    declareRollback: (body) => call('POST', 'rollbacks', { body }),
    planDrill: (body) => call('POST', 'drills/plan', { body }),
    beginDrill: (body) => call('POST', 'drills', { body }),
    freeze: (body) => call('POST', 'targets/freeze', { body }),
    unfreeze: (body) => call('POST', 'targets/unfreeze', { body }),
  };
}

/** The server that options and environment name. @throws CliError. */
export function apiUrl({ url }: Pick<ApiOptions, 'url'>, env: CliEnv): URL {
  return checkedUrl(url ?? env.url ?? DEFAULT_URL);
}

const loginInfo = z.object({
  issuer: z.string(),
  clientId: z.string(),
  scopes: z.array(z.string()),
});

/** Where people of this server sign in; needs no token. @throws CliError. */
export async function readLoginInfo(base: URL): Promise<z.output<typeof loginInfo>> {
  const { default: axios } = await import('axios');
  const { status, data } = await axios
    .get<string>(new URL('api/v1/login', base.href.endsWith('/') ? base.href : `${base.href}/`).href, {
      timeout: READ_TIMEOUT_MS,
      maxRedirects: 0,
      ...(isLoopback(base) ? { proxy: false as const } : {}),
      validateStatus: () => true,
      responseType: 'text',
      transformResponse: (text) => text,
    })
    .catch((error: unknown) => {
      throw unreachable(base, error);
    });
  const parsed = parse(data);
  const info = loginInfo.safeParse(parsed);
  if (status === 200 && info.success) return info.data;
  throw toCliError(status, parsed, base.origin);
}

function isLoopback({ hostname }: URL): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname);
}

function unreachable(base: URL, error: unknown): CliError {
  const { code, message } = error as { code?: string; message: string };
  return new CliError(
    EXIT.unavailable,
    'unreachable',
    `${base.origin} does not answer (${code ?? message}).`,
    'Is `firebreak serve` running? Set --url or FIREBREAK_URL to where it is.',
  );
}

function checkedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CliError(EXIT.usage, 'usage', 'The URL of the server has to start with http:// or https://.');
  }
  return url;
}

async function readToken(
  options: ApiOptions,
  env: CliEnv,
  base: URL,
): Promise<{ token: string; from: string }> {
  if (options.token !== undefined) return { token: options.token, from: 'firebreak login' };
  if (options.tokenFile === undefined) {
    if (env.token !== undefined) return { token: env.token, from: 'FIREBREAK_TOKEN' };
    const { currentToken } = await import('./login/current-token.ts');
    const saved = await currentToken(env.configDir, base);
    if (saved !== undefined) return { token: saved, from: 'firebreak login' };
    throw new CliError(
      EXIT.refused,
      'no_token',
      'Nobody is signed in here.',
      'Sign in with firebreak login, or set FIREBREAK_TOKEN, or give --token-file PATH: an API token of the access file.',
    );
  }
  try {
    const token = (await readFile(options.tokenFile, 'utf8')).trim();
    if (/^\S+$/.test(token)) return { token, from: '--token-file' };
  } catch (error) {
    const { code } = error as { code?: string };
    throw new CliError(EXIT.usage, 'usage', `The token file cannot be read (${code ?? 'unknown error'}).`);
  }
  throw new CliError(EXIT.usage, 'usage', 'The token file does not hold one token.');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toCliError(status: number, body: unknown, origin: string): CliError {
  const { error } = (body ?? {}) as {
    error?: { code?: string; message?: string; hint?: string; problems?: string[] };
  };
  if (error?.message === undefined) {
    return new CliError(
      status === 404 ? EXIT.notFound : status >= 500 ? EXIT.unavailable : EXIT.failed,
      'unexpected_answer',
      `${origin} answered ${status} in a way that Firebreak does not.`,
      'Check --url: something else may be listening there.',
    );
  }
  const lines = [error.message, ...(error.problems ?? []).map((problem) => `  ${problem}`)];
  return new CliError(
    exitCodeOf(status),
    error.code ?? 'failed',
    lines.map((line) => plain(line)).join('\n'),
    plain(error.hint),
  );
}

function exitCodeOf(status: number): ExitCode {
  switch (status) {
    case 400:
    case 413:
    case 415:
      return EXIT.usage;
    case 401:
    case 403:
      return EXIT.refused;
    case 404:
      return EXIT.notFound;
    case 503:
      return EXIT.unavailable;
    default:
      return EXIT.failed;
  }
}
