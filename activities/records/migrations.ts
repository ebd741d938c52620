import { createHash } from 'node:crypto';
import type { SqlClient, SqlSession } from './sql.ts';
import { RecordsError } from './sql.ts';

interface Migration {
  version: number;
  name: string;
  statements: readonly string[];
}

/** Numbered, never edited once released: a change of the tables is a new entry at the end. */
const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'incidents, timeline, attempts, postmortems, action items',
    statements: [
      // `view` is the last state without its timeline, which has a table of its own. `view_seq` says how new the view is;
      // `last_seq` and `head_hash` are the end of the hash chain, so that a cut-off tail is seen too.
      `create table incidents (
        ordinal bigint generated always as identity unique,
        id text primary key,
        workflow_id text not null,
        view jsonb not null,
        view_seq integer not null,
        last_seq integer,
        head_hash text not null,
        opened_at timestamptz not null,
        updated_at timestamptz not null default now()
      )`,
      'create index incidents_workflow on incidents (workflow_id, ordinal)',
      `create index incidents_state on incidents ((view ->> 'state'), ordinal)`,
      `create table timeline (
        incident_id text not null references incidents (id),
        seq integer not null check (seq >= 0),
        entry jsonb not null,
        prev_hash text not null,
        hash text not null,
        primary key (incident_id, seq)
      )`,
      // No reference to incidents: an attempt on an incident that does not exist is recorded as well.
      `create table attempts (
        ordinal bigint generated always as identity unique,
        id text primary key,
        at timestamptz not null,
        incident text not null,
        step text,
        plan_hash text,
        person text,
        decision text not null,
        verdict text not null check (verdict in ('accepted', 'denied', 'duplicate', 'invalid')),
        reason text,
        via text not null
      )`,
      'create index attempts_incident on attempts (incident, ordinal)',
      `create table postmortems (
        incident_id text primary key,
        markdown text not null,
        sha256 text not null,
        draft boolean not null,
        at timestamptz not null
      )`,
      `create table action_items (
        incident_id text not null,
        id text not null,
        position integer not null,
        lane text not null check (lane in ('control', 'assurance', 'safety-debt', 'exception')),
        due date not null,
        item jsonb not null,
        primary key (incident_id, id)
      )`,
      'create index action_items_lane on action_items (lane, due)',
    ],
  },
  {
    version: 2,
    name: 'incidents by the time they were opened, for reports',
    statements: ['create index incidents_opened on incidents (opened_at, ordinal)'],
  },
  {
    version: 3,
    name: 'encrypted texts of samples, their keys, and who did what with them',
    statements: [
      // A key without its wrapped bytes is destroyed, for good: the row says that there was one, and when it went.
      `create table evidence_keys (
        id text primary key,
        incident_id text not null,
        source text not null,
        wrapped text,
        wrapping_key_id text not null,
        created_at timestamptz not null,
        destroy_at timestamptz not null,
        destroyed_at timestamptz,
        check ((wrapped is null) = (destroyed_at is not null))
      )`,
      // One live key an incident and source: what comes later is destroyed with what came first, never after it.
      `create unique index evidence_keys_live on evidence_keys (incident_id, source) where wrapped is not null`,
      `create table evidence_texts (
        incident_id text not null,
        ref text not null,
        key_id text not null references evidence_keys (id),
        sealed text not null,
        created_at timestamptz not null,
        primary key (incident_id, ref)
      )`,
      'create index evidence_texts_key on evidence_texts (key_id)',
      `create table evidence_log (
        incident_id text not null,
        seq integer not null check (seq >= 1),
        entry jsonb not null,
        prev_hash text not null,
        hash text not null,
        primary key (incident_id, seq)
      )`,
    ],
  },
];

/** Any fixed number: two processes that start at once migrate one after the other ("fbrk" in ASCII). */
const ADVISORY_LOCK_KEY = 0x66_62_72_6b;

/**
 * Brings the tables up to date, in one transaction and under an advisory lock.
 * @throws RecordsError Refused when the database was made by a newer Firebreak, or a migration was edited.
 */
export async function migrate(client: SqlClient): Promise<void> {
  await client.transaction(async (session) => {
    await session.query('select pg_advisory_xact_lock($1::int8)::text', [ADVISORY_LOCK_KEY]);
    await session.query(`create table if not exists schema_migrations (
      version integer primary key,
      name text not null,
      sha256 text not null,
      applied_at timestamptz not null default now()
    )`);
    const applied = await appliedMigrations(session);
    for (const migration of MIGRATIONS) {
      const sha256 = createHash('sha256').update(migration.statements.join(';\n')).digest('hex');
      const known = applied.get(migration.version);
      if (known === sha256) continue;
      if (known !== undefined) {
        throw new RecordsError(
          'Refused',
          `records: migration ${migration.version} of the database is not the one of this version of Firebreak; ` +
            'run the version that made the database, or give an empty database',
        );
      }
      for (const statement of migration.statements) await session.query(statement);
      await session.query('insert into schema_migrations (version, name, sha256) values ($1, $2, $3)', [
        migration.version,
        migration.name,
        sha256,
      ]);
    }
  });
}

async function appliedMigrations(session: SqlSession): Promise<Map<number, string>> {
  const rows = await session.query<{ version: number; sha256: string }>(
    'select version, sha256 from schema_migrations order by version',
  );
  const newest = rows.at(-1)?.version ?? 0;
  if (newest > MIGRATIONS.length) {
    throw new RecordsError(
      'Refused',
      `records: the database has tables of version ${newest}, this Firebreak knows ${MIGRATIONS.length}; ` +
        'start the newer Firebreak again',
    );
  }
  return new Map(rows.map((row) => [row.version, row.sha256]));
}
