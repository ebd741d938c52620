import type { FailureType } from '../../domain/failure.ts';

/** One row of a result; the SQL says which columns there are, the caller names their types. */
export type SqlRow = Record<string, unknown>;

/** Runs SQL. Parameters are text, number, boolean or null: whatever both drivers pass on alike. */
export interface SqlSession {
  query<Row extends SqlRow = SqlRow>(text: string, params?: readonly SqlParam[]): Promise<Row[]>;
}
export type SqlParam = string | number | boolean | null;

/** What the store needs of a database: the same SQL runs on PostgreSQL and on embedded PGlite. */
export interface SqlClient extends SqlSession {
  /** Commits when `work` returns, rolls back when it throws; nothing else runs in its session meanwhile. */
  transaction<T>(work: (session: SqlSession) => Promise<T>): Promise<T>;
  close(): Promise<void>;
  /** Its files are this process's alone: what is deleted can be taken out of them at once, the log of writes too. */
  embedded?: true;
}

/** A failure of the records, with the type that activities and edges hand on (domain/failure.ts). */
export class RecordsError extends Error {
  override readonly name = 'RecordsError';
  readonly type: FailureType;

  constructor(type: FailureType, message: string, options?: ErrorOptions) {
    super(message, options);
    this.type = type;
  }
}

/**
 * Turns a driver's error into ours. Only message and SQLSTATE are taken: `detail`, `where` and `params` of a PostgreSQL
 * error repeat the values of the row, which are other people's text.
 * Classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function toRecordsError(error: unknown, doing: string): RecordsError {
  if (error instanceof RecordsError) return error;
  const code = sqlStateOf(error);
  const message = error instanceof Error ? error.message || error.name : 'unknown error';
  const text = `records: ${doing} failed: ${message}${code === undefined ? '' : ` (SQLSTATE ${code})`}`;
  return new RecordsError(failureTypeOf(code), text);
}

function failureTypeOf(sqlState: string | undefined): FailureType {
  switch (sqlState?.slice(0, 2)) {
    case '22': // data exception
    case '23': // integrity constraint
      return 'InvalidInput';
    case '28': // authorization
      return 'Unauthorized';
    case '40': // serialization failure, deadlock
      return 'Conflict';
    default: // connection, resources, shutdown, and what an operator can put right while retries go on
      return 'Unavailable';
  }
}

function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined;
}
