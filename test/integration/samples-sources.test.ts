/**
 * One table of tests over every kind of sample source: what one does, the others do. PostgreSQL is the real server, Loki
 * the real one where it was built (see docs/samples.md), else a server that enforces its documented API.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { createSampleActivities, type SampleSource } from '../../activities/samples/index.ts';
import { createDatabase, runSql } from '../setup/database.ts';
import { type LokiServer, startLoki } from './samples-loki.ts';
import { type SwitchedServer, startSwitched } from './samples-switched.ts';

/** What a harmful output says; it may be neither in a summary nor in an error. */
const CANARY = 'CANARY-9f3d harmful text';
const TARGET = { cluster: 'prod', namespace: 'ai', kind: 'Deployment' as const, name: 'llm-api' };
const SHORT_TIMEOUT_MS = 1_500;

interface Output {
  id: string;
  atMs: number;
  categories?: string[];
  text?: unknown;
  requestId?: string;
  name?: string;
}

interface Rig {
  /** Makes these outputs what the store holds. */
  fill(outputs: Output[]): Promise<void>;
  /** Adds a row that is not as it should be. */
  spoil(): Promise<void>;
  source(): SampleSource;
  /** Sources that refuse, each in the way that this kind does. */
  unauthorized(): Promise<SampleSource>;
  limited(): Promise<SampleSource>;
  broken(): Promise<SampleSource>;
  silent(): Promise<SampleSource>;
  close(): Promise<void>;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

async function httpJson(): Promise<Rig> {
  let stored: Output[] = [];
  let spoiled = false;
  const server = await startSwitched((incoming: IncomingMessage, response: ServerResponse) => {
    const asked = new URL(incoming.url ?? '/', 'http://localhost').searchParams;
    const items = stored
      .filter(({ name = TARGET.name }) => name === asked.get('deployment'))
      .map(({ atMs, ...rest }) => ({ categories: [], ...rest, at: new Date(atMs).toISOString() }));
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(
      JSON.stringify({
        items: spoiled ? [...items, { id: CANARY, at: 7 }] : items.slice(0, Number(asked.get('limit'))),
      }),
    );
  });
  const source = (): SampleSource => ({ type: 'http-json', url: `${server.url}/samples` });
  return {
    fill: async (outputs) => {
      spoiled = false;
      stored = [...outputs].sort((a, b) => b.atMs - a.atMs);
    },
    spoil: async () => {
      spoiled = true;
    },
    source,
    ...refusals(server, source),
    close: server.close,
  };
}

/** How HTTP refuses. */
function refusals(server: SwitchedServer, source: () => SampleSource) {
  const answering =
    (status: number | 'never', headers = {}) =>
    async () => {
      server.answer({ status, headers });
      return source();
    };
  return {
    unauthorized: answering(401),
    limited: answering(429, { 'Retry-After': '7' }),
    broken: answering(503),
    silent: answering('never'),
  };
}

let lokiServer: LokiServer;
async function loki(): Promise<Rig> {
  lokiServer = await startLoki();
  // In front of Loki: what it answers when it is refused, busy or away.
  const front = await startSwitched(lokiServer.passOn);
  // Streams stay: each fill is a run of its own.
  let run = '';
  const source = (): SampleSource => ({
    type: 'loki',
    url: front.url,
    query: `{run="${run}", namespace=$namespace, deployment=$name} | json`,
    fields: { text: 'response.text', categories: 'classifier.categories', requestId: 'request' },
  });
  const labels = (name = TARGET.name) => ({ run, namespace: TARGET.namespace, deployment: name });
  return {
    fill: async (outputs) => {
      run = randomBytes(6).toString('hex');
      await lokiServer.push(
        outputs.map(({ id, atMs, categories = [], text, requestId, name }) => ({
          labels: labels(name),
          atMs,
          line: JSON.stringify({ id, request: requestId, classifier: { categories }, response: { text } }),
        })),
      );
    },
    spoil: () => lokiServer.push([{ labels: labels(), atMs: Date.now() - 5_000, line: `${CANARY} no JSON` }]),
    source,
    ...refusals(front, source),
    close: async () => {
      await front.close();
      await lokiServer.close();
    },
  };
}

async function postgres(adminUrl: string): Promise<Rig> {
  const database = `samples_${randomBytes(6).toString('hex')}`;
  const url = await createDatabase(adminUrl, database);
  const own = new pg.Client({ connectionString: url });
  await own.connect();
  await own.query(`create table outputs (id text, request_id text, at timestamptz, namespace text, deployment text,
    categories text[], text text)`);
  const role = `reader_${database}`;
  await own.query(`create role ${role} login connection limit 0`);
  await own.query(`create role ${role}_open login`);
  await own.query(`grant select on outputs to ${role}, ${role}_open`);
  const query = `select id, request_id, at, categories, text from outputs
    where namespace = $1 and deployment = $2 and at between $3 and $4 order by at desc limit $5`;
  const as = (user: string, more: Partial<{ query: string }> = {}): SampleSource => {
    const address = new URL(url);
    address.username = user;
    return { type: 'postgres', connection: address.href, query, ...more };
  };
  return {
    fill: async (outputs) => {
      await own.query('truncate outputs');
      for (const { id, atMs, categories = [], text, requestId, name = TARGET.name } of outputs) {
        await own.query('insert into outputs values ($1, $2, $3, $4, $5, $6, $7)', [
          id,
          requestId ?? null,
          new Date(atMs),
          TARGET.namespace,
          name,
          categories,
          typeof text === 'string' ? text.replaceAll('\u0000', '') : text,
        ]);
      }
    },
    spoil: async () => {
      await own.query('insert into outputs values (null, null, $1, $2, $3, null, $4)', [
        new Date(Date.now() - 5_000),
        TARGET.namespace,
        TARGET.name,
        CANARY,
      ]);
    },
    source: () => as(`${role}_open`),
    // No right to the table that the query names.
    unauthorized: async () => {
      await own.query('create table if not exists hidden (like outputs)');
      return as(`${role}_open`, { query: `${query.replace('from outputs', 'from hidden')}` });
    },
    // 53300: too many connections.
    limited: async () => as(role),
    broken: async () => ({ type: 'postgres', connection: 'postgresql://nobody@127.0.0.1:1/none', query }),
    silent: async () =>
      as(`${role}_open`, {
        query: `select id, at from outputs, pg_sleep(30) where $1 <> $2 and $3 < $4`,
      }),
    close: async () => {
      await own.end();
      await runSql(adminUrl, `drop database ${database} with (force)`);
      await runSql(adminUrl, `drop role ${role}, ${role}_open`);
    },
  };
}

const postgresUrl = inject('postgresUrl' as never) as string | undefined;
const kinds: [string, (() => Promise<Rig>) | undefined][] = [
  ['http-json', httpJson],
  ['loki', loki],
  ['postgres', postgresUrl === undefined ? undefined : () => postgres(postgresUrl)],
];

for (const [kind, start] of kinds) {
  describe.skipIf(start === undefined)(`samples from ${kind}`, () => {
    let rig: Rig;
    let nowMs: number;
    beforeAll(async () => {
      rig = await (start as () => Promise<Rig>)();
    });
    afterAll(() => rig?.close());
    beforeEach(() => {
      nowMs = Date.now() - 1_000;
    });

    const output = (secondsAgo: number, rest: Partial<Output> = {}): Output => ({
      id: `out-${secondsAgo}`,
      atMs: nowMs - secondsAgo * 1_000,
      categories: ['hate'],
      text: `${CANARY} ${sha256(String(secondsAgo))}`,
      requestId: `req-${secondsAgo}`,
      ...rest,
    });
    const collect = (source: SampleSource, change: { limit?: number; timeoutMs?: number } = {}) =>
      createSampleActivities({
        sources: { outputs: source },
        ...(change.timeoutMs !== undefined && { timeoutMs: change.timeoutMs }),
      }).collectSamples({
        incidentId: 'inc-1',
        source: 'outputs',
        target: TARGET,
        fromMs: nowMs - 600_000,
        toMs: nowMs,
        limit: change.limit ?? 50,
      });
    const failureOf = async (collecting: Promise<unknown>) => {
      const error: unknown = await collecting.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(Error);
      const { message, stack, cause } = error as Error;
      const told = [message, stack, cause instanceof Error ? `${cause.message} ${cause.stack}` : ''].join(
        ' ',
      );
      expect(told).not.toContain('CANARY');
      return error as Error & { type: string };
    };

    it('takes the target’s outputs, newest first, without their text', async () => {
      await rig.fill([output(3), output(1), output(2), output(1, { id: 'other', name: 'another-model' })]);
      const summary = await collect(rig.source());
      expect(summary.items.map(({ id }) => id)).toEqual(['out-1', 'out-2', 'out-3']);
      expect(summary.items[0]).toMatchObject({
        requestId: 'req-1',
        sha256: sha256(String(output(1).text)),
        categories: ['hate'],
        ref: expect.stringMatching(/^s-[0-9a-f]{10}$/),
      });
      expect(summary.byCategory).toEqual({ hate: 3 });
      expect(JSON.stringify(summary)).not.toContain('CANARY');
    });

    it('is empty where nothing was found', async () => {
      await rig.fill([output(1, { name: 'another-model' })]);
      expect(await collect(rig.source())).toMatchObject({ count: 0, items: [] });
    });

    it('chooses among too many by category, so that a rare one is seen', async () => {
      const many = Array.from({ length: 40 }, (_, n) => output(n + 1));
      await rig.fill([...many, output(50, { categories: ['self_harm'] })]);
      const summary = await collect(rig.source(), { limit: 5 });
      expect(summary.count).toBe(5);
      expect(summary.byCategory).toEqual({ hate: 4, self_harm: 1 });
    });

    it('merges near-duplicates and says how many', async () => {
      const text = 'To do this you need a bucket, two bottles of cleaner, a closed room and about';
      await rig.fill([1, 2, 3].map((n) => output(n, { text: `${text} ${n} minutes.` })));
      const summary = await collect(rig.source());
      expect(summary.items).toMatchObject([{ id: 'out-1', similar: 2 }]);
    });

    it('keeps to the window, its ends included', async () => {
      await rig.fill([
        output(0, { id: 'last' }),
        output(600, { id: 'first' }),
        output(601, { id: 'older' }),
        output(-0.5, { id: 'newer' }),
      ]);
      const { items } = await collect(rig.source());
      expect(items.map(({ id }) => id)).toEqual(['last', 'first']);
    });

    it('measures hostile text and lets nothing of it through', async () => {
      const text = `${CANARY} \u202e<script>"}]}' ; drop table outputs; -- \u{1F600} \u0007`;
      await rig.fill([
        output(1, {
          id: `${CANARY} "} |= "x`,
          text,
          categories: [`${CANARY} is long enough to be a part of an output`],
        }),
      ]);
      const summary = await collect(rig.source());
      expect(summary.items[0]).toMatchObject({
        sha256: sha256(text),
        length: text.length,
        categories: ['other'],
      });
      expect(JSON.stringify(summary)).not.toContain('CANARY');
    });

    it('fails without quoting where the types are wrong', async () => {
      if (kind === 'postgres') {
        const typed = {
          ...rig.source(),
          query: 'select 1 as id, $1 as at, $2 as text where $3 < $4',
        } as SampleSource;
        expect(await failureOf(collect(typed))).toMatchObject({ type: 'InvalidInput' });
        return;
      }
      await rig.fill([output(1, { text: { nested: CANARY } })]);
      expect(await failureOf(collect(rig.source()))).toMatchObject({ type: 'InvalidInput' });
    });

    it('leaves malformed rows out and counts them, and refuses a source that has no other', async () => {
      await rig.fill([output(1)]);
      await rig.spoil();
      const summary = await collect(rig.source());
      expect(summary).toMatchObject({ count: 1, malformed: 1 });
      expect(JSON.stringify(summary)).not.toContain('CANARY');
      await rig.fill([]);
      await rig.spoil();
      expect(await failureOf(collect(rig.source()))).toMatchObject({ type: 'InvalidInput' });
    });

    it('tells refused credentials, a full server, a broken one and a silent one apart', async () => {
      await rig.fill([output(1)]);
      expect(await failureOf(collect(await rig.unauthorized()))).toMatchObject({ type: 'Unauthorized' });
      expect(await failureOf(collect(await rig.limited()))).toMatchObject({ type: 'RateLimited' });
      expect(await failureOf(collect(await rig.broken()))).toMatchObject({ type: 'Unavailable' });
      const silent = collect(await rig.silent(), { timeoutMs: SHORT_TIMEOUT_MS });
      expect(await failureOf(silent)).toMatchObject({ type: 'Unavailable' });
    });
  });
}

describe.skipIf(postgresUrl === undefined)('a query of PostgreSQL', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await postgres(postgresUrl ?? '');
  });
  afterAll(() => rig?.close());
  const ask = (query: string) =>
    createSampleActivities({ sources: { o: { ...rig.source(), query } as SampleSource } }).collectSamples({
      incidentId: 'inc-1',
      source: 'o',
      target: TARGET,
      fromMs: 0,
      toMs: Date.now(),
      limit: 10,
    });

  it.each([
    [
      'writes',
      'with gone as (delete from outputs returning id) select id, $1, $2, $3, $4 from gone',
      'InvalidInput',
    ],
    ['is two statements', 'select $1, $2, $3, $4; drop table outputs', 'InvalidInput'],
    ['is none', 'select from where $1 $2 $3 $4', 'InvalidInput'],
    ['calls what writes', "select nextval('s') as id, $1, $2, $3, $4 from (select 1) as one", 'InvalidInput'],
  ])('is refused where it %s', async (_what, query, type) => {
    await rig.fill([{ id: 'a', atMs: Date.now(), text: CANARY }]);
    const error = (await ask(query).catch((thrown: unknown) => thrown)) as Error & { type: string };
    expect(error.type).toBe(type);
    expect(error.message).not.toContain('CANARY');
    // It is still there.
    expect((await ask('select id, at, text from outputs where $1 <> $2 and $3 < $4')).count).toBe(1);
  });
});

it('the Loki that was asked is told', () => {
  expect(lokiServer.kind).toMatch(/^(the real Loki|its documented API)/);
});
