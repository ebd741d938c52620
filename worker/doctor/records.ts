import pg from 'pg';
import type { Finding } from '../../domain/finding.ts';
import { missingKeysProblem } from '../evidence.ts';
import { evidenceKeyIds } from '../keys.ts';
import { PROBE_TIMEOUT_MS, type Probing, probe } from './probe.ts';

/** The least version whose SQL the records use. */
const LEAST_VERSION = 150_000;

/**
 * The database of the records, where it is PostgreSQL: reached, new enough, and with the right to make tables; and whether the
 * kept texts in it can be read here.
 */
export function recordsChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { postgresUrl } = config.records;
  if (postgresUrl === undefined) return [];
  const looks = [
    probe('records: postgresql', () => connected(secret(postgresUrl), lookAtDatabase)),
    probe('records: keys of kept texts', () =>
      connected(secret(postgresUrl), (client) => lookAtKeys(client, config.dataDir)),
    ),
  ];
  return looks.map((look) => look.then((finding) => [finding]));
}

async function connected(url: string, look: (client: pg.Client) => Promise<string>): Promise<string> {
  const client = new pg.Client({
    connectionString: url,
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
    return await look(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function lookAtDatabase(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ version: number; encoding: string; may_create: boolean }>(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
            has_schema_privilege(current_schema(), 'CREATE') as may_create`,
  );
  const [row] = rows;
  if (row === undefined || row.version < LEAST_VERSION) throw new Error('PostgreSQL 15 or newer is needed');
  if (row.encoding !== 'UTF8') throw new Error(`its encoding is ${row.encoding}: UTF8 is needed`);
  if (!row.may_create)
    throw new Error(
      'its role may not make tables: grant create on schema public to it, or bring the tables there first',
    );
  return `PostgreSQL ${Math.floor(row.version / 10_000)}, tables can be made`;
}

/** Each process makes keys of its own where it has none: what another one kept cannot be read with them. */
async function lookAtKeys(client: pg.Client, dataDir: string): Promise<string> {
  const { rows: found } = await client.query<{ there: boolean }>(
    "select to_regclass('evidence_keys') is not null as there",
  );
  if (found[0]?.there !== true) return 'no text was kept yet';
  const { rows } = await client.query<{ id: string }>(
    'select distinct wrapping_key_id as id from evidence_keys where wrapped is not null and destroy_at > now() order by 1',
  );
  const here = new Set(await evidenceKeyIds(dataDir));
  const missing = rows.map(({ id }) => id).filter((id) => !here.has(id));
  if (missing.length > 0) throw new Error(missingKeysProblem(missing));
  return rows.length === 0 ? 'no text is kept now' : 'every kept text can be read with keys/evidence.json';
}
