import pg from 'pg';
import { type Finding, PROBE_TIMEOUT_MS, type Probing, probe } from './probe.ts';

/** The least version whose SQL the records use. */
const LEAST_VERSION = 150_000;

/** The database of the records, where it is PostgreSQL: reached, new enough, and with the right to make tables. */
export function recordsChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { postgresUrl } = config.records;
  if (postgresUrl === undefined) return [];
  const look = async (): Promise<string> => {
    const client = new pg.Client({
      connectionString: secret(postgresUrl),
      connectionTimeoutMillis: PROBE_TIMEOUT_MS,
      statement_timeout: PROBE_TIMEOUT_MS,
      application_name: 'firebreak-doctor',
    });
    client.on('error', () => {});
    try {
      await client.connect().catch((error: { code?: string }) => {
        // Its message may repeat user and host of the URL.
        throw new Error(
          `the database cannot be reached (${error.code ?? 'no reason given'}): see records.postgresUrl`,
        );
      });
      const { rows } = await client.query<{ version: number; encoding: string; may_create: boolean }>(
        `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
                has_schema_privilege(current_schema(), 'CREATE') as may_create`,
      );
      const [row] = rows;
      if (row === undefined || row.version < LEAST_VERSION)
        throw new Error('PostgreSQL 15 or newer is needed');
      if (row.encoding !== 'UTF8') throw new Error(`its encoding is ${row.encoding}: UTF8 is needed`);
      if (!row.may_create)
        throw new Error(
          'its role may not make tables: grant create on schema public to it, or bring the tables there first',
        );
      return `PostgreSQL ${Math.floor(row.version / 10_000)}, tables can be made`;
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  return [probe('records: postgresql', look).then((finding) => [finding])];
}
