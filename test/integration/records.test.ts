/** One table of tests over both backends of the records: what one does, the other does. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createRecordActivities } from '../../activities/records/activities.ts';
import { openRecords } from '../../activities/records/open.ts';
import type { DecisionAttempt, RecordsStore } from '../../activities/records/store.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { createDatabase, runSql } from '../setup/database.ts';
import { entries, entry, viewOf } from './records-fixture.ts';

interface Backend {
  open(): Promise<RecordsStore>;
  /** Changes rows behind the store's back. */
  tamper(sql: string): Promise<void>;
  remove(): Promise<void>;
}

async function embedded(): Promise<Backend> {
  const dir = await mkdtemp(join(tmpdir(), 'firebreak-records-'));
  return {
    open: () => openRecords({ dir }),
    async tamper(sql) {
      const { PGlite } = await import('@electric-sql/pglite');
      const db = await PGlite.create({ dataDir: join(dir, 'pgdata') });
      await db.exec(sql);
      await db.close();
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

async function server(adminUrl: string): Promise<Backend> {
  const database = `firebreak_${randomBytes(6).toString('hex')}`;
  const url = await createDatabase(adminUrl, database);
  return {
    open: () => openRecords({ postgresUrl: url, dir: '/nowhere' }),
    tamper: (sql) => runSql(url, sql),
    remove: () => runSql(adminUrl, `drop database ${database} with (force)`),
  };
}

const postgresUrl = inject('postgresUrl' as never) as string | undefined;
const backends: [string, (() => Promise<Backend>) | undefined][] = [
  ['PGlite', embedded],
  [
    postgresUrl === undefined ? 'PostgreSQL (skipped: no postgresUrl was provided)' : 'PostgreSQL',
    postgresUrl === undefined ? undefined : () => server(postgresUrl),
  ],
];

for (const [name, makeBackend] of backends) {
  describe.skipIf(makeBackend === undefined)(`records in ${name}`, () => {
    let backend: Backend;
    let store: RecordsStore;
    let lastIncident = 0;

    const newId = () => {
      lastIncident += 1;
      return `inc-${String(lastIncident).padStart(12, '0')}-0000000a`;
    };
    const open = async (view: IncidentView) => {
      await store.openIncident({ incidentId: view.incidentId, workflowId: view.workflowId, view });
      return view.incidentId;
    };
    /** What can be done to the tables only while the store is closed (PGlite has one session). */
    const whileClosed = async (sql: string) => {
      await store.close();
      await backend.tamper(sql);
      store = await backend.open();
    };

    beforeAll(async () => {
      if (makeBackend === undefined) return;
      backend = await makeBackend();
      store = await backend.open();
    });
    afterAll(async () => {
      await store?.close();
      await backend?.remove();
    });

    it('gives back an incident as it was appended, and keeps it across a restart', async () => {
      const timeline = entries(1, 3);
      const view = viewOf(newId(), timeline, { lastHarmRate: 0.1 + 0.2, humanNeeded: ['why'] });
      await open(view);
      expect(await store.append(timeline, view)).toEqual({ lastSeq: 3 });
      await store.close();
      store = await backend.open();
      expect(await store.getIncident(view.incidentId)).toEqual(view);
      expect(await store.timeline(view.incidentId)).toEqual(timeline);
      expect(await store.getIncident('inc-none')).toBeUndefined();
    });

    it('takes the same entries again, and refuses other content under a known number', async () => {
      const view = viewOf(newId(), entries(1, 2));
      await store.append(view.timeline, view);
      const before = await store.verifyChain(view.incidentId);
      expect(await store.append(entries(1, 2), view)).toEqual({ lastSeq: 2 });
      expect(await store.append([entry(2)], view)).toEqual({ lastSeq: 2 });
      expect(await store.verifyChain(view.incidentId)).toEqual(before);
      const changed = entry(2, { text: 'something else' });
      await expect(store.append([changed, entry(3)], viewOf(view.incidentId))).rejects.toMatchObject({
        type: 'InvalidInput',
        message: expect.stringContaining('entry 2'),
      });
      expect(await store.timeline(view.incidentId)).toEqual(entries(1, 2));
    });

    it('takes overlapping and unordered batches', async () => {
      const view = viewOf(newId());
      await store.append(entries(1, 3).reverse(), view);
      expect(await store.append(entries(2, 6), view)).toEqual({ lastSeq: 6 });
      expect(await store.timeline(view.incidentId)).toEqual(entries(1, 6));
    });

    it('fills a gap from the view, and asks for a retry where it cannot', async () => {
      const incidentId = newId();
      await store.append(entries(1, 2), viewOf(incidentId));
      await expect(store.append([entry(5)], viewOf(incidentId))).rejects.toMatchObject({ type: 'Conflict' });
      expect(await store.append([entry(5)], viewOf(incidentId, entries(1, 7)))).toEqual({ lastSeq: 5 });
      expect(await store.timeline(incidentId)).toEqual(entries(1, 5));
      await expect(store.append([entry(2)], viewOf(newId()))).rejects.toMatchObject({ type: 'Conflict' });
    });

    it('moves a view forward only', async () => {
      const incidentId = newId();
      await store.append(entries(1, 4), viewOf(incidentId, entries(1, 4), { state: 'mitigated' }));
      await store.append(entries(1, 2), viewOf(incidentId, entries(1, 2), { state: 'contained' }));
      expect((await store.getIncident(incidentId))?.state).toBe('mitigated');
      await store.append([], viewOf(incidentId, entries(1, 4), { state: 'resolved' }));
      expect((await store.getIncident(incidentId))?.state).toBe('resolved');
    });

    it('keeps text that PostgreSQL cannot hold as it is, instead of failing for ever', async () => {
      const incidentId = newId();
      const odd = entry(1, {
        text: 'nul \u0000 half \ud800 quote \' \\ "',
        data: { 'k\u0000': ['\udc00', 1e-7, 1e21, -0] },
      });
      await store.append([odd], viewOf(incidentId, [odd], { title: 'a\u0000b' }));
      expect(await store.append([odd], viewOf(incidentId, [odd]))).toEqual({ lastSeq: 1 });
      expect(await store.verifyChain(incidentId)).toMatchObject({ ok: true, entries: 1 });
      expect((await store.timeline(incidentId))[0]).toMatchObject({
        text: 'nul \ufffd half \ufffd quote \' \\ "',
        data: { 'k\ufffd': ['\ufffd', 1e-7, 1e21, 0] },
      });
    });

    it('takes appends from many sides at once, each entry once', async () => {
      const view = viewOf(newId(), entries(1, 30));
      await open(view);
      await Promise.all(
        Array.from({ length: 10 }, (_, index) => store.append(entries(1, 3 * (index + 1)), view)),
      );
      expect(await store.timeline(view.incidentId)).toEqual(entries(1, 30));
      expect(await store.verifyChain(view.incidentId)).toMatchObject({ ok: true, entries: 30 });
    });

    it('takes a thousand entries at once', async () => {
      const view = viewOf(newId());
      expect(await store.append(entries(0, 999), view)).toEqual({ lastSeq: 999 });
      expect(await store.verifyChain(view.incidentId)).toMatchObject({ ok: true, entries: 1_000 });
    });

    it('names the incident before, of the same workflow, and the same one when asked again', async () => {
      const workflowId = 'incident-aaaaaaaaaaaa';
      const [first, second, third] = ['inc-aaaaaaaaaaaa-1', 'inc-aaaaaaaaaaaa-2', 'inc-aaaaaaaaaaaa-3'].map(
        (id) => viewOf(id, [], { workflowId }),
      ) as [IncidentView, IncidentView, IncidentView];
      const opened = (view: IncidentView) =>
        store.openIncident({ incidentId: view.incidentId, workflowId, view });
      expect(await opened(first)).toEqual({});
      expect(await opened(second)).toEqual({ predecessorId: first.incidentId });
      expect(await opened(third)).toEqual({ predecessorId: second.incidentId });
      expect(await opened(second)).toEqual({ predecessorId: first.incidentId });
      expect(await opened(first)).toEqual({});
      await expect(
        store.openIncident({ incidentId: 'inc-other', workflowId, view: first }),
      ).rejects.toMatchObject({ type: 'InvalidInput' });
    });

    it('lists the newest first, by state, without timelines, as many as asked for', async () => {
      const views = ['needs-human', 'needs-human', 'closed'].map((state) =>
        viewOf(newId(), entries(1, 2), { state: state as IncidentView['state'] }),
      );
      for (const view of views) await store.append(view.timeline, view);
      const ids = (list: IncidentView[]) => list.map(({ incidentId }) => incidentId);
      const newest = views.map(({ incidentId }) => incidentId).reverse();
      expect(ids(await store.listIncidents({ limit: 3 }))).toEqual(newest);
      expect(ids(await store.listIncidents({ limit: 1, state: 'needs-human' }))).toEqual([newest[1]]);
      expect((await store.listIncidents({ limit: 1 }))[0]?.timeline).toEqual([]);
      expect(await store.listIncidents({ limit: 9, state: 'verifying' })).toEqual([]);
    });

    it('records every attempt in order, once an id, also on incidents that do not exist', async () => {
      const attempt: DecisionAttempt = {
        id: 'a1',
        atMs: 1_700_000_000_123,
        incident: 'inc-unknown',
        step: 'rollback',
        planHash: 'ff',
        person: 'alice',
        decision: 'approve',
        verdict: 'accepted',
        via: 'slack',
      };
      const denied: DecisionAttempt = {
        id: 'a0',
        atMs: 1_700_000_000_001,
        incident: 'inc-unknown',
        decision: 'abort',
        verdict: 'denied',
        reason: 'mallory\u0000',
        via: 'api',
      };
      for (const one of [attempt, denied, { ...attempt, reason: 'again' }]) await store.recordAttempt(one);
      expect(await store.attempts('inc-unknown')).toEqual([attempt, { ...denied, reason: 'mallory\ufffd' }]);
      expect(await store.attempts('inc-none')).toEqual([]);
      await expect(
        store.recordAttempt({ ...attempt, id: 'a2', verdict: 'maybe' as 'denied' }),
      ).rejects.toMatchObject({
        type: 'InvalidInput',
      });
    });

    it('replaces a draft postmortem and its action items by the final one, and never the other way', async () => {
      const view = viewOf(newId(), entries(1, 2), {
        breaker: { state: 'open', share: 0, reason: 'harm', fallback: 'fb' },
      });
      const { openRecord, appendRecord, writePostmortem } = createRecordActivities(store);
      const { incidentId, workflowId } = view;
      await openRecord({ incidentId, workflowId, view });
      await appendRecord({ incidentId, view, entries: view.timeline });
      const atMs = Date.UTC(2026, 2, 1, 13);
      const draft = await writePostmortem({ view, draft: true, atMs });
      expect(await writePostmortem({ view, draft: true, atMs })).toEqual(draft);
      const closed = { ...view, breaker: { state: 'closed' as const, share: 1, reason: 'verified' } };
      const final = await writePostmortem({ view: closed, draft: false, atMs: atMs + 1 });
      expect(final.actionItems.length).toBe(draft.actionItems.length - 1);
      await writePostmortem({ view, draft: true, atMs: atMs + 2 });
      const stored = await store.postmortem(incidentId);
      expect(stored).toMatchObject({ incidentId, draft: false, sha256: final.sha256, atMs: atMs + 1 });
      expect(stored?.markdown).toContain('entry 2');
      const items = await store.actionItems({ incidentId, limit: 50 });
      expect(items).toEqual(final.actionItems.map((item) => ({ ...item, incidentId })));
      const debts = await store.actionItems({ lane: 'safety-debt', limit: 50 });
      expect(debts.length).toBeGreaterThan(0);
      expect(debts.every(({ lane, expires }) => lane === 'safety-debt' && expires !== undefined)).toBe(true);
      expect(await store.postmortem('inc-none')).toBeUndefined();
    });

    it('crosses to workflows as failures with a type, retryable or not', async () => {
      const { appendRecord } = createRecordActivities(store);
      const incidentId = newId();
      const early = appendRecord({ incidentId, view: viewOf(incidentId), entries: [entry(9)] });
      await expect(early).rejects.toBeInstanceOf(ApplicationFailure);
      await expect(early).rejects.toMatchObject({ type: 'Conflict', nonRetryable: false });
      const other = appendRecord({ incidentId, view: viewOf(newId()), entries: [entry(1)] });
      await expect(other).rejects.toMatchObject({ type: 'InvalidInput', nonRetryable: true });
    });

    it.each<[string, string, number, RegExp]>([
      [
        'changed',
        `update timeline set entry = jsonb_set(entry, '{actor}', '"mallory"') where incident_id = '$id' and seq = 2`,
        2,
        /was changed/,
      ],
      ['removed in the middle', `delete from timeline where incident_id = '$id' and seq = 2`, 3, /missing/],
      ['removed at the end', `delete from timeline where incident_id = '$id' and seq = 4`, 4, /does not end/],
      ['removed altogether', `delete from timeline where incident_id = '$id'`, 4, /does not end/],
    ])('notices an entry that was %s', async (_how, sql, seq, problem) => {
      const view = viewOf(newId(), entries(1, 4));
      await store.append(view.timeline, view);
      expect(await store.verifyChain(view.incidentId)).toMatchObject({ ok: true, entries: 4 });
      await whileClosed(sql.replace('$id', view.incidentId));
      expect(await store.verifyChain(view.incidentId)).toMatchObject({
        ok: false,
        seq,
        problem: expect.stringMatching(problem),
      });
    });

    it('notices a chain that was moved to another incident', async () => {
      const [one, other] = [
        viewOf(newId(), entries(1, 2)),
        viewOf(newId(), [entry(1, { text: 'other' }), entry(2)]),
      ];
      for (const view of [one, other]) await store.append(view.timeline, view);
      await whileClosed(`
        delete from timeline where incident_id = '${other.incidentId}';
        insert into timeline select '${other.incidentId}', seq, entry, prev_hash, hash from timeline where incident_id = '${one.incidentId}';
        update incidents set head_hash = (select head_hash from incidents where id = '${one.incidentId}') where id = '${other.incidentId}'`);
      expect(await store.verifyChain(other.incidentId)).toMatchObject({ ok: false, seq: 1 });
    });

    it('gives the incidents of a time and a mode, newest first, with the entries that are asked for', async () => {
      const dayMs = 86_400_000;
      const startMs = Date.UTC(2031, 0, 1);
      const kinds = ['would-have', 'note'] as const;
      const open2031 = async (day: number, change: Partial<IncidentView> = {}) => {
        const timeline = [entry(1, { kind: 'would-have' }), entry(2, { kind: 'step' }), entry(3)];
        const view = viewOf(newId(), timeline, {
          mode: 'observe',
          milestones: { triggered: startMs + day * dayMs },
          ...change,
        });
        await store.append(timeline, view);
        return view.incidentId;
      };
      const ids = [await open2031(0), await open2031(2), await open2031(1)];
      await open2031(1, { mode: 'approve' });
      await open2031(-1);
      const since = (limit: number, sinceMs = startMs) =>
        store.incidentsSince({ sinceMs, mode: 'observe', kinds, limit });

      const all = await since(10);
      expect(all.incidents.map(({ incidentId }) => incidentId)).toEqual([ids[1], ids[2], ids[0]]);
      expect(all.truncated).toBe(false);
      expect(all.incidents[0]?.timeline.map(({ seq }) => seq)).toEqual([1, 3]);
      const newest = await since(2);
      expect(newest.incidents.map(({ incidentId }) => incidentId)).toEqual([ids[1], ids[2]]);
      expect(newest.truncated).toBe(true);
      expect(await since(3)).toMatchObject({ truncated: false });
      expect(await since(10, startMs + 3 * dayMs)).toEqual({ incidents: [], truncated: false });
    });

    it('gives a report the first notes of very many, and every other kind all the same', async () => {
      const timeline = [...entries(1, 300), entry(301, { kind: 'evidence' })];
      const triggered = Date.UTC(2032, 0, 1);
      const view = viewOf(newId(), timeline, { mode: 'observe', milestones: { triggered } });
      await store.append(timeline, view);
      const { incidents } = await store.incidentsSince({
        sinceMs: triggered,
        mode: 'observe',
        kinds: ['note', 'evidence'],
        limit: 1,
      });
      const seqs = incidents[0]?.timeline.map(({ seq }) => seq) ?? [];
      expect(seqs).toHaveLength(201);
      expect(seqs.at(-1)).toBe(301);
      expect(seqs.at(-2)).toBe(200);
    });

    it('knows no chain of an unknown incident', async () => {
      await expect(store.verifyChain('inc-none')).rejects.toMatchObject({ type: 'NotFound' });
    });

    it('refuses a database of a newer version, and one whose migrations are not its own', async () => {
      await store.close();
      await backend.tamper(
        `insert into schema_migrations (version, name, sha256) values (99, 'later', '00')`,
      );
      await expect(backend.open()).rejects.toMatchObject({
        type: 'Refused',
        message: expect.stringContaining('99'),
      });
      await backend.tamper('delete from schema_migrations where version = 99');
      await backend.tamper(`update schema_migrations set sha256 = 'x' || sha256`);
      await expect(backend.open()).rejects.toMatchObject({ type: 'Refused' });
      await backend.tamper('update schema_migrations set sha256 = substr(sha256, 2)');
      store = await backend.open();
      await store.ping();
    });

    it('answers Unavailable once it is closed, and closes twice without harm', async () => {
      const closed = store;
      await closed.close();
      await closed.close();
      await expect(closed.ping()).rejects.toMatchObject({ type: 'Unavailable' });
      store = await backend.open();
    });
  });
}

describe.skipIf(postgresUrl === undefined)('records in PostgreSQL', () => {
  it('are migrated once by processes that start at the same moment', async () => {
    const backend = await server(postgresUrl ?? '');
    const stores = await Promise.all(Array.from({ length: 4 }, () => backend.open()));
    await Promise.all(stores.map((store) => store.ping()));
    await Promise.all(stores.map((store) => store.close()));
    await backend.remove();
  });
});

describe('a PostgreSQL that cannot be used', () => {
  it('is told without its password', async () => {
    const dir = '/nowhere';
    const refused = openRecords({ postgresUrl: 'postgresql://firebreak:hunter2@127.0.0.1:1/records', dir });
    await expect(refused).rejects.toMatchObject({
      type: 'Unavailable',
      message: expect.not.stringContaining('hunter2'),
    });
    const malformed = openRecords({ postgresUrl: 'hunter2@somewhere', dir });
    await expect(malformed).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.not.stringContaining('hunter2'),
    });
  });
});
