/** A Loki for tests: the real one where it was built or is on PATH, else a server that enforces its documented API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { findPart } from '../../demo/parts/find-part.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { freePorts } from '../../demo/stack/start-server.ts';

const READY_TIMEOUT_MS = 60_000;
const SEEN_TIMEOUT_MS = 20_000;

export interface LokiEntry {
  labels: Record<string, string>;
  atMs: number;
  line: string;
}

export interface LokiServer {
  kind: string;
  url: string;
  /** Resolves when the entries can be read. */
  push(entries: LokiEntry[]): Promise<void>;
  /** Passes a request on to it. */
  passOn(incoming: IncomingMessage, response: ServerResponse): void;
  close(): Promise<void>;
}

export async function startLoki(): Promise<LokiServer> {
  const executable = await findPart('loki');
  return executable === undefined ? documentedLoki() : realLoki(executable);
}

async function realLoki(executable: string): Promise<LokiServer> {
  const dir = await mkdtemp(path.join(tmpdir(), 'firebreak-loki-'));
  const [http = 0, grpc = 0] = await freePorts(2);
  const file = path.join(dir, 'loki.yaml');
  await writeFile(file, JSON.stringify(configuration(dir, http, grpc)));
  const server: ChildProcess = spawn(executable, [`-config.file=${file}`], { cwd: dir, stdio: 'ignore' });
  const exited = once(server, 'exit');
  const url = `http://127.0.0.1:${http}`;
  await pollUntil(
    'Loki being ready',
    READY_TIMEOUT_MS,
    async () => (await fetch(`${url}/ready`)).ok || undefined,
  );
  return {
    kind: 'the real Loki',
    url,
    push: (entries) => push(url, entries),
    passOn: passTo(url),
    async close() {
      server.kill('SIGTERM');
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** One process, in files, as in Loki's own `loki-local-config.yaml`. */
function configuration(dir: string, http: number, grpc: number): object {
  const storage = { chunks_directory: `${dir}/chunks`, rules_directory: `${dir}/rules` };
  return {
    auth_enabled: false,
    server: {
      http_listen_address: '127.0.0.1',
      http_listen_port: http,
      grpc_listen_address: '127.0.0.1',
      grpc_listen_port: grpc,
      log_level: 'error',
    },
    common: {
      instance_addr: '127.0.0.1',
      path_prefix: `${dir}/data`,
      storage: { filesystem: storage },
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' } },
    },
    schema_config: {
      configs: [
        {
          from: '2024-01-01',
          store: 'tsdb',
          object_store: 'filesystem',
          schema: 'v13',
          index: { prefix: 'index_', period: '24h' },
        },
      ],
    },
    ingester: { lifecycler: { min_ready_duration: '0s' } },
    analytics: { reporting_enabled: false },
  };
}

async function push(url: string, entries: LokiEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const streams = entries.map(({ labels, atMs, line }) => ({
    stream: labels,
    values: [[`${Math.round(atMs)}000000`, line]],
  }));
  const answer = await fetch(`${url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ streams }),
  });
  if (answer.status !== 204) throw new Error(`Loki took nothing: ${answer.status} ${await answer.text()}`);
  const [first] = entries;
  const selector = `{run="${first?.labels.run}"}`;
  await pollUntil('the entries being there', SEEN_TIMEOUT_MS, async () => {
    const query = new URLSearchParams({
      query: selector,
      limit: '1000',
      start: '1700000000',
      end: String(Date.now() / 1_000 + 60),
    });
    query.set('start', String(Date.now() / 1_000 - 3_600));
    const found = (await (await fetch(`${url}/loki/api/v1/query_range?${query}`)).json()) as {
      data: { result: { values: unknown[] }[] };
    };
    const seen = found.data.result.reduce((sum, { values }) => sum + values.length, 0);
    return seen >= entries.length || undefined;
  });
}

function passTo(url: string) {
  return (incoming: IncomingMessage, response: ServerResponse) => {
    const { method, headers } = incoming;
    const onward = request(`${url}${incoming.url}`, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    incoming.pipe(onward);
  };
}

const MAX_ENTRIES = 5_000;

/**
 * What https://grafana.com/docs/loki/latest/reference/loki-http-api/ says of push and query_range, for selectors with
 * equality only: nanoseconds, `end` left out, backward by default, 100 entries by default, 400 above 5,000 and for what
 * does not parse.
 */
async function documentedLoki(): Promise<LokiServer> {
  const stored: { labels: Record<string, string>; ns: bigint; line: string }[] = [];
  const answer = (incoming: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://localhost');
    const refuse = (text: string) => response.writeHead(400).end(text);
    if (pathname !== '/loki/api/v1/query_range') return response.writeHead(404).end();
    const query = searchParams.get('query') ?? '';
    const selector = /^\{((?:\s*\w+="(?:[^"\\]|\\.)*"\s*,?)+)\}(?:\s*\|\s*json)?$/.exec(query)?.[1];
    if (selector === undefined) return refuse('parse error at line 1, col 1: syntax error');
    const limit = Number(searchParams.get('limit') ?? 100);
    if (limit > MAX_ENTRIES) return refuse(`max entries limit per query exceeded, limit > ${MAX_ENTRIES}`);
    const wanted = [...selector.matchAll(/(\w+)=("(?:[^"\\]|\\.)*")/g)].map(
      ([, name = '', value = '""']) => [name, JSON.parse(value) as string] as const,
    );
    const time = (name: string) => {
      const text = searchParams.get(name) ?? '0';
      return text.length > 15 && !text.includes('.')
        ? BigInt(text)
        : BigInt(Math.round(Number(text) * 1_000)) * 1_000_000n;
    };
    const found = stored
      .filter(
        ({ labels, ns }) =>
          wanted.every(([name, value]) => labels[name] === value) && ns >= time('start') && ns < time('end'),
      )
      .sort((a, b) => Number(b.ns - a.ns))
      .slice(0, limit);
    const result = found.map(({ labels, ns, line }) => ({ stream: labels, values: [[String(ns), line]] }));
    response.writeHead(200, { 'Content-Type': 'application/json' });
    return response.end(JSON.stringify({ status: 'success', data: { resultType: 'streams', result } }));
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = `http://127.0.0.1:${address.port}`;
  return {
    kind: 'its documented API',
    url,
    push: async (entries) => {
      stored.push(
        ...entries.map(({ labels, atMs, line }) => ({
          labels,
          ns: BigInt(Math.round(atMs)) * 1_000_000n,
          line,
        })),
      );
    },
    passOn: passTo(url),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
