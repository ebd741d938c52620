/** The access section of this process: who is asked about identities and on-call, and its file, followed while it runs. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Logger } from 'pino';
import { keepLooking } from '../runbooks/watch.ts';
import {
  type Access,
  type AccessConfig,
  type AccessSources,
  createAccess,
  replaceableAccess,
} from '../webhooks/access/access.ts';
import { createOidcVerifier } from '../webhooks/access/oidc.ts';
import { createPagerDutyOnCall } from '../webhooks/access/pagerduty-on-call.ts';
import { createSlackDirectory } from '../webhooks/access/slack-directory.ts';
import type { CheckResult, ReadinessCheck } from '../webhooks/health.ts';
import { MAX_ACCESS_FILE_BYTES, parseAccessFile } from './config/access-file.ts';
import type { FirebreakConfig } from './config/schema.ts';
import type { ConfigProblem } from './config/yaml-document.ts';

/** Between two looks that have to agree: an editor that is half through leaves YAML that may well parse. */
const SETTLE_MS = 1_000;
/** A line of the log is read by people. */
const LOGGED_PROBLEMS = 20;

type Secret = (reference: string) => string;

export interface OpenAccess {
  /** Follows the file. */
  access: Access;
  /** What it holds now. */
  config(): AccessConfig;
  /** Of /readyz: a file that cannot be used takes no replica out of service. */
  check: ReadinessCheck;
  /** Looks now. Resolves when what was there is used, or refused. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Opens the access section, and follows its file where it has one: content and `file:` tokens are compared, as runbooks are. A
 * file that cannot be used is told, and the former people and rules stay.
 * @throws Error when a token cannot be resolved, or two people share one.
 */
export function openAccess(
  config: FirebreakConfig,
  parts: { secret: Secret; logger: Logger; settleMs?: number; now?: () => number },
): OpenAccess {
  const { secret, logger, settleMs = SETTLE_MS, now = Date.now } = parts;
  const sources = sourcesOf(config, secret);
  let loaded = config.access;
  let tokens = resolveTokens(loaded, secret);
  const access = replaceableAccess(createAccess(loaded, tokens, sources));
  let loadedAtMs = now();
  let problems: readonly ConfigProblem[] = [];
  let used = fingerprint(loaded, tokens);
  let tried: string | undefined;
  let candidate: { state: string; seenAtMs: number } | undefined;
  const { file } = config.access;

  async function look(path: string): Promise<number | undefined> {
    const text = await readText(path);
    const atMs = performance.now();
    // Tokens are part of it: a `file:` secret changes without the file that names it.
    const next = typeof text === 'string' ? load(text, path) : text;
    const state = next.ok ? next.used : JSON.stringify(next.problems);
    if (state === (tried ?? used)) {
      candidate = undefined;
      return undefined;
    }
    if (candidate?.state !== state) candidate = { state, seenAtMs: atMs };
    const remainingMs = candidate.seenAtMs + settleMs - atMs;
    if (remainingMs > 0) return remainingMs;
    candidate = undefined;
    tried = state;
    if (next.ok) use(next, path);
    else refuse(next.problems, path);
    return undefined;
  }

  function load(text: string, path: string): Loaded {
    const parsed = parseAccessFile(text, path, config.access);
    if (!parsed.ok) return parsed;
    try {
      const resolved = resolveTokens(parsed.access, secret);
      const made = createAccess(parsed.access, resolved, sources);
      return {
        ok: true,
        access: parsed.access,
        tokens: resolved,
        made,
        used: fingerprint(parsed.access, resolved),
      };
    } catch (error) {
      // Names the person or the reference, never a token.
      const message = error instanceof Error ? error.message : 'it cannot be used';
      return { ok: false, problems: [{ path: '', message, file: path }] };
    }
  }

  function use(next: Extract<Loaded, { ok: true }>, path: string): void {
    problems = [];
    if (next.used === used) {
      logger.info({ file: path, accessVersion: access.accessVersion }, 'access file is as it was again');
      return;
    }
    const from = access.accessVersion;
    access.replace(next.made);
    loaded = next.access;
    tokens = next.tokens;
    used = next.used;
    loadedAtMs = now();
    logger.info(
      { file: path, from, to: access.accessVersion, people: loaded.people.length },
      'access file replaced: who may do what follows it from now on',
    );
  }

  function refuse(found: readonly ConfigProblem[], path: string): void {
    problems = found;
    logger.error(
      {
        file: path,
        accessVersion: access.accessVersion,
        problemCount: found.length,
        problems: found.slice(0, LOGGED_PROBLEMS).map(problemText),
      },
      'changed access file cannot be used: the former people and rules stay; mend it, nothing has to be restarted',
    );
  }

  const everyMs = config.runbooks.reload ? config.runbooks.watchEvery : undefined;
  const looking = file === undefined ? undefined : keepLooking(() => look(file), everyMs);
  return {
    access,
    config: () => loaded,
    check: { name: 'access', check: async () => readiness() },
    reload: async () => await looking?.now(),
    stop: async () => await looking?.stop(),
  };

  /** Probes need no credentials: places are shown, and nothing that the file says. */
  function readiness(): CheckResult {
    const since = new Date(loadedAtMs).toISOString();
    return {
      problems: [],
      degraded:
        problems.length === 0
          ? []
          : [`The access file as it is now cannot be used; people and rules are those of ${since}.`],
      details: {
        accessVersion: access.accessVersion,
        loadedAt: since,
        people: loaded.people.length,
        problemCount: problems.length,
      },
    };
  }
}

type Loaded =
  | {
      ok: true;
      access: AccessConfig;
      tokens: Record<string, string[]>;
      made: Access;
      used: string;
    }
  | { ok: false; problems: readonly ConfigProblem[] };

function sourcesOf({ access, chat }: FirebreakConfig, secret: Secret): AccessSources {
  const { slack } = chat;
  const { oidc, pagerduty } = access;
  return {
    slack:
      slack &&
      createSlackDirectory({
        botToken: secret(slack.botToken),
        apiUrl: slack.apiUrl,
        teamId: slack.teamId,
      }),
    oidc: oidc && createOidcVerifier(oidc),
    onCall: pagerduty && createPagerDutyOnCall({ apiToken: secret(pagerduty.apiToken), url: pagerduty.url }),
  };
}

function resolveTokens({ people }: AccessConfig, secret: Secret): Record<string, string[]> {
  return Object.fromEntries(people.map(({ id, tokens }) => [id, tokens.map(secret)]));
}

/** Kept in memory and compared only: it covers tokens. */
function fingerprint(access: AccessConfig, tokens: Record<string, string[]>): string {
  return createHash('sha256')
    .update(JSON.stringify([access, tokens]))
    .digest('hex');
}

async function readText(path: string): Promise<string | Extract<Loaded, { ok: false }>> {
  const refuse = (message: string) => ({ ok: false as const, problems: [{ path: '', message, file: path }] });
  try {
    const handle = await open(path);
    try {
      if ((await handle.stat()).size > MAX_ACCESS_FILE_BYTES) {
        return refuse(`it is larger than ${MAX_ACCESS_FILE_BYTES} bytes`);
      }
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    return refuse(`the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

function problemText({ path, message, line, column, file }: ConfigProblem): string {
  return `${file ?? ''}:${line ?? 1}:${column ?? 1} ${path === '' ? '' : `${path}: `}${message}`;
}
