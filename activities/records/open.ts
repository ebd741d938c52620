import { openPglite } from './pglite.ts';
import { openPostgres } from './postgres.ts';
import type { RecordsStore } from './store.ts';

/** Opens the records: PostgreSQL where a URL is given, else embedded in the folder `dir`. */
export function openRecords(options: { postgresUrl?: string; dir: string }): Promise<RecordsStore> {
  return options.postgresUrl === undefined ? openPglite(options.dir) : openPostgres(options.postgresUrl);
}
