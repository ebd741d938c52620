import pg from 'pg';
import { migrate } from './migrations.ts';
import type { SqlClient, SqlParam, SqlRow, SqlSession } from './sql.ts';
import { RecordsError, toRecordsError } from './sql.ts';
import { createRecordsStore } from './sql-store.ts';
import type { RecordsStore } from './store.ts';

/** A few writers a process: appends of one incident come one at a time, and every process has its own pool. */
const POOL_SIZE = 5;
/** An activity's attempt is short: a database that does not answer by then is better tried again. */
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 15_000;

/**
 * Opens the records in PostgreSQL (15 or newer) and brings the tables up to date.
 * @throws RecordsError; the URL, which holds a password, is in no message.
 */
export async function openPostgres(url: string): Promise<RecordsStore> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw new RecordsError(
      'InvalidInput',
      'records: records.postgresUrl does not hold a URL of the form postgresql://user:password@host:5432/database',
    );
  }
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_SIZE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    application_name: 'firebreak',
  });
  // An idle connection that breaks is replaced by the pool; without a listener its error would end the process.
  pool.on('error', () => {});
  const client = postgresClient(pool);
  try {
    await migrate(client);
  } catch (error) {
    await client.close();
    throw error;
  }
  return createRecordsStore(client);
}

function postgresClient(pool: pg.Pool): SqlClient {
  let closing: Promise<void> | undefined;
  return {
    query: (text, params) => run(pool, text, params),
    async transaction(work) {
      const connection = await pool.connect().catch((error: unknown) => {
        throw toRecordsError(error, 'connecting to PostgreSQL');
      });
      // While it is checked out the pool does not listen for the connection's own errors; the query rejects with them.
      const ignore = () => {};
      connection.on('error', ignore);
      let broken: Error | undefined;
      try {
        const session: SqlSession = { query: (text, params) => run(connection, text, params) };
        await session.query('begin');
        const result = await work(session);
        await session.query('commit');
        return result;
      } catch (error) {
        await connection.query('rollback').catch((rollbackError: Error) => {
          broken = rollbackError;
        });
        throw error;
      } finally {
        connection.off('error', ignore);
        connection.release(broken);
      }
    },
    close() {
      closing ??= pool.end();
      return closing;
    },
  };
}

async function run<Row extends SqlRow>(
  on: pg.Pool | pg.PoolClient,
  text: string,
  params: readonly SqlParam[] = [],
): Promise<Row[]> {
  try {
    return (await on.query<Row>(text, [...params])).rows;
  } catch (error) {
    throw toRecordsError(error, 'a statement');
  }
}
