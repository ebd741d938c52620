import type { ActionItem, IncidentView, TimelineEntry, TimelineKind } from '../../domain/incident.ts';
import { createEvidenceStore } from '../evidence/sql-store.ts';
import { chainHash, genesisHash, sha256, storable, storableText } from './chain.ts';
import type { SqlClient, SqlSession } from './sql.ts';
import { RecordsError } from './sql.ts';
import type { ChainVerdict, DecisionAttempt, IncidentActionItem, Postmortem, RecordsStore } from './store.ts';

/** Timestamps as epoch milliseconds: both drivers give a float8 as a number (an int8 would be text in one of them). */
const MS = (column: string) => `round(extract(epoch from ${column}) * 1000)::float8`;

/** A list is one page for a person; more would be a report, which reads the tables. */
const MAX_LIST = 1_000;

/** Entries of one kind of one incident in a report: what hundreds of notes say, nobody reads in a table. */
const MAX_REPORT_ENTRIES = 200;

/** Timelines count from 0 or 1; a first entry beyond that means that earlier ones are still on their way. */
const HIGHEST_FIRST_SEQ = 1;

interface ChainEnd {
  lastSeq: number | undefined;
  headHash: string;
}

/** The store over tables that `migrate` has brought up to date. Same SQL for PostgreSQL and PGlite. */
export function createRecordsStore(client: SqlClient): RecordsStore {
  return {
    async openIncident({ incidentId, workflowId, view }) {
      if (view.incidentId !== incidentId || view.workflowId !== workflowId) {
        throw new RecordsError(
          'InvalidInput',
          `records: the view of ${view.incidentId} (${view.workflowId}) was given to open ${incidentId} (${workflowId})`,
        );
      }
      return client.transaction(async (session) => {
        await ensureIncident(session, view);
        const [predecessor] = await session.query<{ id: string }>(
          `select before.id from incidents before join incidents this on before.workflow_id = this.workflow_id
           where this.id = $1 and before.ordinal < this.ordinal order by before.ordinal desc limit 1`,
          [incidentId],
        );
        return predecessor === undefined ? {} : { predecessorId: predecessor.id };
      });
    },

    async append(entries, view) {
      return client.transaction(async (session) => {
        await ensureIncident(session, view);
        const [row] = await session.query<{ last_seq: number | null; head_hash: string }>(
          'select last_seq, head_hash from incidents where id = $1 for update',
          [view.incidentId],
        );
        if (row === undefined) throw new RecordsError('NotFound', `records: no incident ${view.incidentId}`);
        const before: ChainEnd = { lastSeq: row.last_seq ?? undefined, headHash: row.head_hash };
        await refuseChanged(session, view.incidentId, entries, before);
        const end = await extendChain(session, view, entries, before);
        await moveViewForward(session, view, entries, end);
        return { lastSeq: end.lastSeq ?? 0 };
      });
    },

    async recordAttempt(attempt) {
      await client.query(
        `insert into attempts (id, at, incident, step, plan_hash, person, decision, verdict, reason, via)
         values ($1, $2::timestamptz, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (id) do nothing`,
        [
          storableText(attempt.id),
          isoTime(attempt.atMs),
          storableText(attempt.incident),
          textOrNull(attempt.step),
          textOrNull(attempt.planHash),
          textOrNull(attempt.person),
          storableText(attempt.decision),
          attempt.verdict,
          textOrNull(attempt.reason),
          storableText(attempt.via),
        ],
      );
    },

    async writePostmortem({ incidentId, markdown, draft, atMs, actionItems }) {
      const text = storableText(markdown);
      const hash = sha256(text);
      await client.transaction(async (session) => {
        const written = await session.query(
          `insert into postmortems (incident_id, markdown, sha256, draft, at)
           values ($1, $2, $3, $4, $5::timestamptz)
           on conflict (incident_id) do update
             set markdown = excluded.markdown, sha256 = excluded.sha256, draft = excluded.draft, at = excluded.at
             where (postmortems.draft or not excluded.draft) and postmortems.at <= excluded.at
           returning incident_id`,
          [incidentId, text, hash, draft, isoTime(atMs)],
        );
        if (written.length > 0) await replaceActionItems(session, incidentId, actionItems);
      });
      return { sha256: hash };
    },

    async postmortem(incidentId) {
      const [row] = await client.query<Omit<Postmortem, 'incidentId'> & { atMs: number }>(
        `select markdown, sha256, draft, ${MS('at')} as "atMs" from postmortems where incident_id = $1`,
        [incidentId],
      );
      return row === undefined ? undefined : { incidentId, ...row };
    },

    async getIncident(incidentId) {
      const [row] = await client.query<{ view: IncidentView }>('select view from incidents where id = $1', [
        incidentId,
      ]);
      return row === undefined
        ? undefined
        : { ...row.view, timeline: await readTimeline(client, incidentId) };
    },

    async listIncidents({ limit, state }) {
      const rows = await client.query<{ view: IncidentView }>(
        `select view from incidents where $1::text is null or view ->> 'state' = $1::text
         order by ordinal desc limit $2::int4`,
        [state ?? null, listLimit(limit)],
      );
      return rows.map((row) => row.view);
    },

    timeline: (incidentId) => readTimeline(client, incidentId),

    evidence: createEvidenceStore(client),

    async incidentsSince({ sinceMs, mode, kinds, limit }) {
      const wanted = listLimit(limit);
      const rows = await client.query<{ view: IncidentView }>(
        `select view from incidents where opened_at >= $1::timestamptz and view ->> 'mode' = $2::text and view -> 'drill' is null
         order by opened_at desc, ordinal desc limit $3::int4`,
        [isoTime(sinceMs), mode, wanted + 1],
      );
      const views = rows.slice(0, wanted).map((row) => row.view);
      const timelines = await readTimelinesOf(
        client,
        views.map((view) => view.incidentId),
        kinds,
      );
      const incidents = views.map((view) => ({ ...view, timeline: timelines.get(view.incidentId) ?? [] }));
      return { incidents, truncated: rows.length > wanted };
    },

    async actionItems({ incidentId, lane, limit }) {
      const rows = await client.query<{ incident_id: string; item: ActionItem }>(
        `select incident_id, item from action_items
         where ($1::text is null or incident_id = $1::text) and ($2::text is null or lane = $2::text)
         order by case when $1::text is null then due end, incident_id, position limit $3::int4`,
        [incidentId ?? null, lane ?? null, listLimit(limit)],
      );
      return rows.map((row): IncidentActionItem => ({ ...row.item, incidentId: row.incident_id }));
    },

    async attempts(incidentId) {
      const rows = await client.query(
        `select id, ${MS('at')} as "atMs", incident, step, plan_hash as "planHash", person, decision, verdict, reason, via
         from attempts where incident = $1 order by ordinal`,
        [incidentId],
      );
      return rows.map(
        (row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)) as unknown,
      ) as DecisionAttempt[];
    },

    verifyChain: (incidentId) => verifyChain(client, incidentId),

    async ping() {
      await client.query('select 1 from schema_migrations limit 1');
    },

    close: () => client.close(),
  };
}

/** The row of an incident, also when its first entries arrive before it was opened. */
async function ensureIncident(session: SqlSession, view: IncidentView): Promise<void> {
  await session.query(
    `insert into incidents (id, workflow_id, view, view_seq, head_hash, opened_at)
     values ($1, $2, ($3::text)::jsonb, $4, $5, coalesce($6::timestamptz, now())) on conflict (id) do nothing`,
    [
      view.incidentId,
      view.workflowId,
      viewText(view),
      lastSeqOf(view.timeline) ?? 0,
      genesisHash(view.incidentId),
      view.milestones.triggered === undefined ? null : isoTime(view.milestones.triggered),
    ],
  );
}

/** @throws RecordsError InvalidInput when an entry that is recorded already has other content now. */
async function refuseChanged(
  session: SqlSession,
  incidentId: string,
  entries: readonly TimelineEntry[],
  { lastSeq }: ChainEnd,
): Promise<void> {
  const known = entries.filter((entry) => lastSeq !== undefined && entry.seq <= lastSeq);
  const firstSeq = known.reduce((least, entry) => Math.min(least, entry.seq), Number.MAX_SAFE_INTEGER);
  if (known.length === 0) return;
  const rows = await session.query<{ seq: number; prev_hash: string; hash: string }>(
    'select seq, prev_hash, hash from timeline where incident_id = $1 and seq >= $2::int4',
    [incidentId, firstSeq],
  );
  const stored = new Map(rows.map((row) => [row.seq, row]));
  for (const entry of known) {
    const row = stored.get(entry.seq);
    if (row !== undefined && chainHash(row.prev_hash, storable(entry)) === row.hash) continue;
    throw new RecordsError(
      'InvalidInput',
      `records: entry ${entry.seq} of ${incidentId} ${row === undefined ? 'comes before the recorded timeline' : 'is recorded with other content'}; ` +
        'the timeline is append-only',
    );
  }
}

/** Writes what is new, without a gap. */
async function extendChain(
  session: SqlSession,
  view: IncidentView,
  entries: readonly TimelineEntry[],
  before: ChainEnd,
): Promise<ChainEnd> {
  const newest = lastSeqOf(entries);
  if (newest === undefined) return before;
  const bySeq = new Map<number, TimelineEntry>();
  for (const entry of [...view.timeline, ...entries]) {
    if (entry.seq > (before.lastSeq ?? -1) && entry.seq <= newest) bySeq.set(entry.seq, entry);
  }
  let { lastSeq, headHash } = before;
  const rows: { seq: number; entry: unknown; prev: string; hash: string }[] = [];
  for (const entry of [...bySeq.values()].sort((a, b) => a.seq - b.seq)) {
    if (lastSeq === undefined ? entry.seq > HIGHEST_FIRST_SEQ : entry.seq !== lastSeq + 1) {
      throw new RecordsError(
        'Conflict',
        `records: entry ${entry.seq} of ${view.incidentId} came before entry ${(lastSeq ?? 0) + 1}; trying again will help ` +
          'once that one is written',
      );
    }
    const stored = storable(entry);
    const hash = chainHash(headHash, stored);
    rows.push({ seq: entry.seq, entry: stored, prev: headHash, hash });
    lastSeq = entry.seq;
    headHash = hash;
  }
  if (rows.length > 0) {
    await session.query(
      `insert into timeline (incident_id, seq, entry, prev_hash, hash)
       select $1, (row ->> 'seq')::int4, row -> 'entry', row ->> 'prev', row ->> 'hash'
       from jsonb_array_elements(($2::text)::jsonb) as row`,
      [view.incidentId, JSON.stringify(rows)],
    );
  }
  return { lastSeq, headHash };
}

async function moveViewForward(
  session: SqlSession,
  view: IncidentView,
  entries: readonly TimelineEntry[],
  end: ChainEnd,
): Promise<void> {
  const viewSeq = Math.max(lastSeqOf(view.timeline) ?? 0, lastSeqOf(entries) ?? 0);
  await session.query('update incidents set last_seq = $2::int4, head_hash = $3 where id = $1', [
    view.incidentId,
    end.lastSeq ?? null,
    end.headHash,
  ]);
  await session.query(
    `update incidents set view = ($2::text)::jsonb, view_seq = $3::int4, updated_at = now()
     where id = $1 and view_seq <= $3::int4`,
    [view.incidentId, viewText(view), viewSeq],
  );
}

async function replaceActionItems(
  session: SqlSession,
  incidentId: string,
  items: readonly ActionItem[],
): Promise<void> {
  await session.query('delete from action_items where incident_id = $1', [incidentId]);
  await session.query(
    `insert into action_items (incident_id, id, position, lane, due, item)
     select $1, row.item ->> 'id', row.position, row.item ->> 'lane', (row.item ->> 'due')::date, row.item
     from jsonb_array_elements(($2::text)::jsonb) with ordinality as row (item, position)`,
    [incidentId, JSON.stringify(storable(items))],
  );
}

async function readTimeline(session: SqlSession, incidentId: string): Promise<TimelineEntry[]> {
  const rows = await session.query<{ entry: TimelineEntry }>(
    'select entry from timeline where incident_id = $1 order by seq',
    [incidentId],
  );
  return rows.map((row) => row.entry);
}

/** The first entries of each of these kinds, by incident, in order: many notes push no other kind out. */
async function readTimelinesOf(
  session: SqlSession,
  incidentIds: readonly string[],
  kinds: readonly TimelineKind[],
): Promise<Map<string, TimelineEntry[]>> {
  const rows = await session.query<{ incident_id: string; entry: TimelineEntry }>(
    `select incident_id, entry from (
       select incident_id, seq, entry,
         row_number() over (partition by incident_id, entry ->> 'kind' order by seq) as place
       from timeline
       where incident_id in (select jsonb_array_elements_text(($1::text)::jsonb))
         and entry ->> 'kind' in (select jsonb_array_elements_text(($2::text)::jsonb))
     ) as wanted where place <= $3::int4 order by incident_id, seq`,
    [JSON.stringify(incidentIds), JSON.stringify(kinds), MAX_REPORT_ENTRIES],
  );
  const timelines = new Map<string, TimelineEntry[]>();
  for (const { incident_id, entry } of rows) {
    const entries = timelines.get(incident_id) ?? [];
    entries.push(entry);
    timelines.set(incident_id, entries);
  }
  return timelines;
}

/** One statement reads chain and end together: an append between two reads would look like tampering. */
async function verifyChain(session: SqlSession, incidentId: string): Promise<ChainVerdict> {
  const rows = await session.query<{
    last_seq: number | null;
    head_hash: string;
    seq: number | null;
    entry: TimelineEntry | null;
    prev_hash: string | null;
    hash: string | null;
  }>(
    `select i.last_seq, i.head_hash, t.seq, t.entry, t.prev_hash, t.hash
     from incidents i left join timeline t on t.incident_id = i.id where i.id = $1 order by t.seq`,
    [incidentId],
  );
  const first = rows[0];
  if (first === undefined) throw new RecordsError('NotFound', `records: no incident ${incidentId}`);
  let expected: ChainEnd = { lastSeq: undefined, headHash: genesisHash(incidentId) };
  let entries = 0;
  for (const { seq, entry, prev_hash, hash } of rows) {
    if (seq === null) break;
    const broken = (problem: string): ChainVerdict => ({ ok: false, seq, problem });
    if (expected.lastSeq !== undefined && seq !== expected.lastSeq + 1) {
      return broken(`the entries between ${expected.lastSeq} and ${seq} are missing`);
    }
    if (prev_hash !== expected.headHash) return broken(`entry ${seq} does not follow the entry before it`);
    if (entry?.seq !== seq || chainHash(prev_hash, entry) !== hash) return broken(`entry ${seq} was changed`);
    expected = { lastSeq: seq, headHash: hash };
    entries += 1;
  }
  if (first.head_hash !== expected.headHash || (first.last_seq ?? undefined) !== expected.lastSeq) {
    const seq = first.last_seq ?? 0;
    return {
      ok: false,
      seq,
      problem: `the timeline does not end with entry ${seq}, as it did when it was written`,
    };
  }
  return { ok: true, entries, headHash: expected.headHash };
}

function viewText(view: IncidentView): string {
  return JSON.stringify(storable({ ...view, timeline: [] }));
}

function lastSeqOf(entries: readonly TimelineEntry[]): number | undefined {
  return entries.reduce<number | undefined>(
    (last, { seq }) => (last === undefined || seq > last ? seq : last),
    undefined,
  );
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined ? null : storableText(text);
}

function isoTime(atMs: number): string {
  const time = new Date(atMs);
  if (Number.isNaN(time.getTime()))
    throw new RecordsError('InvalidInput', `records: ${atMs} is no time in ms`);
  return time.toISOString();
}

function listLimit(limit: number): number {
  return Math.max(1, Math.min(MAX_LIST, Math.floor(limit)));
}
