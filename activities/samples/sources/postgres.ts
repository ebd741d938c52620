import pg from 'pg';
import { fail } from '../../failure.ts';
import { MAX_ANSWER_BYTES } from './http.ts';
import { categoriesOf } from './loki.ts';
import { highestParameter } from './postgres-query.ts';
import type { PostgresSource, SourceQuestion, SourceRows } from './types.ts';

/** A database that does not take a connection by then is better tried again. */
const CONNECT_TIMEOUT_MS = 5_000;
/** The statement ends before the attempt does, so that the server does not work on for nobody. */
const STATEMENT_MARGIN_MS = 2_000;
const MIN_STATEMENT_TIMEOUT_MS = 50;
/** Rows of one round trip: a query that forgets its limit is stopped after a few of them. */
const FETCH_ROWS = 100;
const CURSOR = 'firebreak_samples';

/**
 * Rows of a configured query, as text parameters, in a read-only transaction with a timeout, over a cursor.
 * The extended protocol takes one statement only (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY),
 * so nothing can end the transaction and go on writing.
 * @throws InvalidInput for a query that the server does not take; its own message quotes values, and is left out.
 */
export async function readPostgres(source: PostgresSource, question: SourceQuestion): Promise<SourceRows> {
  const { what, timeoutMs, target, candidates } = question;
  const client = new pg.Client({
    connectionString: source.connection,
    connectionTimeoutMillis: Math.min(CONNECT_TIMEOUT_MS, timeoutMs),
    // On our side as well: a server that is gone does not keep its own timeouts.
    query_timeout: timeoutMs,
    application_name: 'firebreak-samples',
  });
  // A connection that breaks is told by the query; without a listener it would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('begin transaction isolation level read committed, read only');
    const statementMs = Math.max(MIN_STATEMENT_TIMEOUT_MS, timeoutMs - STATEMENT_MARGIN_MS);
    await client.query(`set local statement_timeout = ${Math.floor(statementMs)}`);
    const values = [
      target.namespace,
      target.name,
      new Date(question.fromMs).toISOString(),
      new Date(question.toMs).toISOString(),
      candidates,
      target.cluster,
    ];
    await client.query({
      text: `declare ${CURSOR} no scroll cursor for ${source.query.replace(/;\s*$/, '')}`,
      values: values.slice(0, highestParameter(source.query)),
    });
    return { rows: await fetchRows(client, candidates), ownShape: false };
  } catch (error) {
    throw failureOf(error, what, timeoutMs);
  } finally {
    // Ends the transaction with it; how a broken connection ends is of no interest.
    await client.end().catch(() => undefined);
  }
}

async function fetchRows(client: pg.Client, candidates: number): Promise<unknown[]> {
  const rows: unknown[] = [];
  let bytes = 0;
  while (rows.length < candidates) {
    const batch = await client.query(
      `fetch ${Math.min(FETCH_ROWS, candidates - rows.length)} from ${CURSOR}`,
    );
    for (const row of batch.rows as Record<string, unknown>[]) {
      bytes += typeof row.text === 'string' ? row.text.length : 0;
      if (bytes > MAX_ANSWER_BYTES) return rows;
      rows.push(rowOf(row));
    }
    if (batch.rows.length < FETCH_ROWS) break;
  }
  return rows;
}

/** Columns id, at, categories, text, sha256, length, request_id, link; others are ignored. */
function rowOf(row: Record<string, unknown>): Record<string, unknown> {
  const { id, at, length } = row;
  return {
    id: typeof id === 'number' ? String(id) : id,
    at: at instanceof Date && !Number.isNaN(at.getTime()) ? at.toISOString() : at,
    categories: categoriesOf(row.categories),
    text: row.text ?? undefined,
    sha256: row.sha256 ?? undefined,
    // An int8 comes as text.
    length: typeof length === 'string' ? Number(length) : (length ?? undefined),
    requestId: row.request_id ?? undefined,
    link: row.link ?? undefined,
  };
}

/** By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function failureOf(error: unknown, what: string, timeoutMs: number) {
  const code =
    typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
      ? error.code
      : 'no answer';
  const told = `${what}: PostgreSQL (${code})`;
  if (code === '57014') return fail('Unavailable', `${told}: the query took longer than ${timeoutMs} ms`);
  if (code === '42501')
    return fail(
      'Unauthorized',
      `${told}: the role has no right to read what the query names: check ${what}.query`,
    );
  if (code === '25006') return fail('Refused', `${told}: the query tries to write: check ${what}.query`);
  if (code.startsWith('28')) return fail('Unauthorized', `${told}: the credentials were not accepted`);
  // Too many connections, out of memory: the nearest that a database has to a rate limit.
  if (code.startsWith('53')) return fail('RateLimited', `${told}: the server has no room for it now`);
  if (/^(22|26|42|0A|34)/.test(code)) {
    return fail('InvalidInput', `${told}: the query was not accepted: check ${what}.query`);
  }
  return fail('Unavailable', `${told}: no answer`);
}
