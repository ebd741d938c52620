import { chainHash, sha256, storable } from '../records/chain.ts';
import { RecordsError, type SqlClient, type SqlSession } from '../records/sql.ts';
import type { EvidenceEntry, EvidenceStore, KeptText, WrappedKey } from './store.ts';

const MS = (column: string) => `round(extract(epoch from ${column}) * 1000)::float8`;

/** The columns of a key, as `WrappedKey`. */
const KEY = `id as "keyId", incident_id as "incidentId", source, wrapped, wrapping_key_id as "wrappingKeyId",
  ${MS('destroy_at')} as "destroyAtMs"`;

/** The sweep cleans files again for keys destroyed this recently: a process may have died between the two. Two sweeps' time. */
const CLEAN_AGAIN_MS = 2 * 24 * 3_600_000;
/** SQLSTATE insufficient_privilege: the role may not do it, and never will. */
const NOT_ALLOWED = '42501';

/** The tables of migration 3. Same SQL for PostgreSQL and PGlite. */
export function createEvidenceStore(client: SqlClient): EvidenceStore {
  const destroy = ({ incidentId, keyId, atMs }: { incidentId: string; keyId: string; atMs: number }) =>
    client.transaction(async (session) => {
      await lock(session, incidentId);
      const [key] = await session.query<{ source: string }>(
        `update evidence_keys set wrapped = null, destroyed_at = $3::timestamptz
         where id = $1 and incident_id = $2 and wrapped is not null returning source`,
        [keyId, incidentId, iso(atMs)],
      );
      if (!key) return { texts: 0 };
      const gone = await session.query('delete from evidence_texts where key_id = $1 returning ref', [keyId]);
      await append(session, incidentId, {
        atMs,
        action: 'destroyed',
        actor: 'firebreak',
        source: key.source,
        keyId,
        texts: gone.length,
      });
      return { texts: gone.length };
    });

  return {
    async openKey(fresh) {
      return client.transaction(async (session) => {
        await lock(session, fresh.incidentId);
        const [live] = await session.query<WrappedKey & Record<string, unknown>>(
          `select ${KEY} from evidence_keys where incident_id = $1 and source = $2 and wrapped is not null`,
          [fresh.incidentId, fresh.source],
        );
        if (live) return live;
        await session.query(
          `insert into evidence_keys (id, incident_id, source, wrapped, wrapping_key_id, created_at, destroy_at)
           values ($1, $2, $3, $4, $5, $6::timestamptz, $7::timestamptz)`,
          [
            fresh.keyId,
            fresh.incidentId,
            fresh.source,
            fresh.wrapped,
            fresh.wrappingKeyId,
            iso(fresh.createdAtMs),
            iso(fresh.destroyAtMs),
          ],
        );
        const { createdAtMs: _createdAtMs, ...key } = fresh;
        return key;
      });
    },

    async keep({ key, texts, atMs }) {
      return client.transaction(async (session) => {
        await lock(session, key.incidentId);
        const [live] = await session.query(
          'select id from evidence_keys where id = $1 and wrapped is not null and destroy_at > $2::timestamptz',
          [key.keyId, iso(atMs)],
        );
        if (!live) return [];
        let added = 0;
        for (const { ref, sealed } of texts) {
          const rows = await session.query(
            `insert into evidence_texts (incident_id, ref, key_id, sealed, created_at)
             values ($1, $2, $3, $4, $5::timestamptz) on conflict (incident_id, ref) do nothing returning ref`,
            [key.incidentId, ref, key.keyId, sealed, iso(atMs)],
          );
          added += rows.length;
        }
        if (added > 0) {
          await append(session, key.incidentId, {
            atMs,
            action: 'kept',
            actor: 'firebreak',
            source: key.source,
            keyId: key.keyId,
            texts: added,
          });
        }
        return texts.map(({ ref }) => ref);
      });
    },

    async list(incidentId, nowMs) {
      return client.query<KeptText & Record<string, unknown>>(
        `select t.ref, k.source, ${MS('t.created_at')} as "keptAtMs", ${MS('k.destroy_at')} as "destroyAtMs"
         from evidence_texts t join evidence_keys k on k.id = t.key_id
         where t.incident_id = $1 and k.wrapped is not null and k.destroy_at > $2::timestamptz
         order by t.created_at, t.ref`,
        [incidentId, iso(nowMs)],
      );
    },

    async take({ incidentId, ref, person, reason, via, atMs, open }) {
      return client.transaction(async (session) => {
        await lock(session, incidentId);
        const [row] = await session.query<WrappedKey & { sealed: string } & Record<string, unknown>>(
          `select ${KEY.replace('incident_id', 'k.incident_id')}, t.sealed
           from evidence_texts t join evidence_keys k on k.id = t.key_id
           where t.incident_id = $1 and t.ref = $2`,
          [incidentId, ref],
        );
        // The date counts, also where the timer that destroys is late.
        if (!row || row.wrapped === null || row.destroyAtMs <= atMs)
          return { found: false, gone: row !== undefined };
        const { sealed, ...key } = row;
        const text = open(key, sealed);
        const entry = await append(session, incidentId, {
          atMs,
          action: 'revealed',
          actor: person,
          source: key.source,
          keyId: key.keyId,
          ref,
          reason,
          via,
        });
        return { found: true, key, text, entry };
      });
    },

    async destroy(input) {
      const gone = await destroy(input);
      await cleanFiles(client);
      return gone;
    },

    async destroyOverdue(atMs) {
      const overdue = await client.query<{ incidentId: string; keyId: string; lateMs: number }>(
        `select id as "keyId", incident_id as "incidentId", $2::float8 - ${MS('destroy_at')} as "lateMs"
         from evidence_keys where wrapped is not null and destroy_at <= $1::timestamptz order by destroy_at`,
        [iso(atMs), atMs],
      );
      for (const { incidentId, keyId } of overdue) await destroy({ incidentId, keyId, atMs });
      const recent = await client.query(
        'select id from evidence_keys where destroyed_at > $1::timestamptz limit 1',
        [iso(atMs - CLEAN_AGAIN_MS)],
      );
      if (recent.length > 0) await cleanFiles(client);
      return overdue;
    },

    async wrappingKeyIds(atMs) {
      const rows = await client.query<{ id: string }>(
        `select distinct wrapping_key_id as id from evidence_keys
         where wrapped is not null and destroy_at > $1::timestamptz order by 1`,
        [iso(atMs)],
      );
      return rows.map(({ id }) => id);
    },

    log: (incidentId) => readLog(client, incidentId).then((rows) => rows.map(({ entry }) => entry)),

    async verifyLog(incidentId) {
      const rows = await readLog(client, incidentId);
      let prevHash = genesis(incidentId);
      for (const [index, { entry, prev_hash, hash }] of rows.entries()) {
        const expected = chainHash(prevHash, entry);
        if (entry.seq !== index + 1 || prev_hash !== prevHash || hash !== expected) {
          return { ok: false, entries: rows.length };
        }
        prevHash = hash;
      }
      return { ok: true, entries: rows.length };
    },
  };
}

/**
 * Takes destroyed keys out of the database's files: an updated row stays in its table's pages until the table is written anew
 * (https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-SPACE-RECOVERY), and in the write-ahead log until
 * its segment is removed. The sealed texts need no such care: without the key they are noise. Of a server's log, replicas and
 * archive this process is not the master: docs/samples.md says what to do about them.
 */
async function cleanFiles(client: SqlClient): Promise<void> {
  await client.query('vacuum (full) evidence_keys');
  if (!client.embedded) {
    // Lets segments of the log go sooner; takes the role pg_checkpoint (PostgreSQL 15).
    await client.query('checkpoint').catch((error: unknown) => {
      if (!(error instanceof RecordsError) || !error.message.includes(NOT_ALLOWED)) throw error;
    });
    return;
  }
  // A segment is else kept under another name, with what was in it, to be written over some day.
  await client.query('set wal_recycle = off');
  await client.query('select pg_switch_wal()::text');
  await client.query('checkpoint');
}

/** Bound to the incident, so that a chain cannot be moved to another one. */
function genesis(incidentId: string): string {
  return sha256(`firebreak-evidence-log-v1\n${incidentId}`);
}

/** One at a time for an incident: entries of its log are numbered. */
async function lock(session: SqlSession, incidentId: string): Promise<void> {
  await session.query('select pg_advisory_xact_lock(hashtextextended($1, 3))::text', [incidentId]);
}

async function append(
  session: SqlSession,
  incidentId: string,
  said: Omit<EvidenceEntry, 'seq'>,
): Promise<EvidenceEntry> {
  const [last] = await session.query<{ seq: number; hash: string }>(
    'select seq, hash from evidence_log where incident_id = $1 order by seq desc limit 1',
    [incidentId],
  );
  const prevHash = last?.hash ?? genesis(incidentId);
  const entry = storable({ seq: (last?.seq ?? 0) + 1, ...said }) as EvidenceEntry;
  await session.query(
    `insert into evidence_log (incident_id, seq, entry, prev_hash, hash)
     values ($1, $2::int4, ($3::text)::jsonb, $4, $5)`,
    [incidentId, entry.seq, JSON.stringify(entry), prevHash, chainHash(prevHash, entry)],
  );
  return entry;
}

interface LogRow {
  [column: string]: unknown;
  entry: EvidenceEntry;
  prev_hash: string;
  hash: string;
}

function readLog(session: SqlSession, incidentId: string): Promise<LogRow[]> {
  return session.query<LogRow>(
    'select entry, prev_hash, hash from evidence_log where incident_id = $1 order by seq',
    [incidentId],
  );
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}
