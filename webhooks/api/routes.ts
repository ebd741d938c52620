import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { renderHarmPlot } from '../../activities/plot/harm-plot.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { IncidentState } from '../../domain/incident.ts';
import { parseSinceMs, SINCE_FORMS } from '../../domain/observe-report/since.ts';
import { OBSERVE_REPORT_KINDS, observeReport } from '../../domain/observe-report.ts';
import type { Access, AccessAction, Person } from '../access/access.ts';
import { beginDrill, type DrillDeps, planDrill } from '../drills/drills.ts';
import { EdgeError } from '../errors.ts';
import { type ActDeps, act } from '../incidents/act.ts';
import { ACTIONS, type ActionName, decisionBody } from '../incidents/actions.ts';
import { type DecideDeps, decide } from '../incidents/decide.ts';
import { fromRecords, type IncidentReader } from '../incidents/reader.ts';
import { parseUntrustedJson } from '../json.ts';
import { replyEarly } from '../reply-early.ts';
import type { PersonsRequest, RollbackDeps } from '../rollbacks/deps.ts';
import { addRollbackRoutes } from '../rollbacks/routes.ts';
import type { SampleDeps } from '../samples/reveal.ts';
import { addSampleRoutes } from '../samples/routes.ts';
import { problemsOf } from '../zod-problems.ts';
import { summarize } from './summary.ts';

/** People's requests are a few lines. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_DEPTH = 8;
const DEFAULT_LISTED = 50;
const MAX_LISTED = 200;
const DEFAULT_SINCE = '7d';
/** Incidents of one report: more are cut off, newest first, and it says so. */
const MAX_REPORTED = 500;
/** Sent by our own command line, so that the record says how somebody acted. */
const CLIENT_HEADER = 'x-firebreak-client';

/** A plot is a document of its own where it is opened as a page: its style sheet is in it, and it needs nothing else. */
const PLOT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

const STATES = [
  'triggered',
  'contained',
  'remediating',
  'verifying',
  'mitigated',
  'resolved',
  'closed',
  'needs-human',
] as const satisfies IncidentState[];

const listQuery = z.object({
  state: z.enum(STATES).optional(),
  limit: z.coerce.number().int().min(1).max(MAX_LISTED).default(DEFAULT_LISTED),
});
const reportQuery = z.object({ since: z.string().max(40).default(DEFAULT_SINCE) });
const idempotencyKey = z
  .string()
  .regex(/^[\w-]{8,64}$/, 'expected 8 to 64 letters, digits, dashes')
  .optional();

export interface ApiDeps {
  access: Access;
  reader: IncidentReader;
  records: Pick<RecordsStore, 'timeline' | 'postmortem' | 'attempts' | 'actionItems' | 'incidentsSince'>;
  act: ActDeps;
  decide: DecideDeps;
  rollbacks: RollbackDeps;
  /** Absent: kept texts cannot be revealed here. */
  samples?: SampleDeps;
  drills: DrillDeps;
  /** Epoch ms. */
  now: () => number;
}

/** The incident API below /api/v1: a bearer token for each person; the access file decides what each may do. */
export async function apiRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  const { access, reader, records, now } = deps;
  const people = new WeakMap<FastifyRequest, Person>();

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES },
    (_request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void) => {
      try {
        done(null, body.length === 0 ? undefined : parseUntrustedJson(body, MAX_DEPTH));
      } catch (error) {
        done(error as Error);
      }
    },
  );

  app.addHook('onRequest', async (request, reply) => {
    const authentication = await access.authenticateHeader(request.headers.authorization);
    if (authentication.ok) {
      people.set(request, authentication.person);
      return;
    }
    request.log.warn({ reason: authentication.reason }, 'API request refused');
    if (authentication.unavailable) {
      return replyEarly(request, reply, new EdgeError('identity_unavailable', `${authentication.reason}.`));
    }
    reply.header('www-authenticate', 'Bearer realm="firebreak"');
    return replyEarly(
      request,
      reply,
      new EdgeError('unauthenticated', 'A bearer token of a person is needed.'),
    );
  });

  const personOf = (request: FastifyRequest): Person => {
    const person = people.get(request);
    if (person === undefined) throw new EdgeError('unauthenticated', 'A bearer token of a person is needed.');
    return person;
  };
  const mayOrThrow = (request: FastifyRequest, action: AccessAction): void => {
    const permission = access.may(personOf(request), action);
    if (!permission.allowed) throw new EdgeError('forbidden', `Not allowed: ${permission.reason}.`);
  };
  const idOf = (request: FastifyRequest): string => (request.params as { id: string }).id;

  app.get('/me', async (request) => personOf(request));

  app.get('/incidents', async (request) => {
    mayOrThrow(request, 'view');
    const filter = check(listQuery, request.query, 'query');
    const { incidents, notes } = await reader.list(filter);
    return { incidents: incidents.map(summarize), notes };
  });

  app.get('/incidents/:id', async (request) => {
    mayOrThrow(request, 'view');
    const { view, source, note } = await reader.read(idOf(request));
    return { source, ...(note === undefined ? {} : { note }), incident: view };
  });

  app.get('/incidents/:id/timeline', async (request) => {
    mayOrThrow(request, 'view');
    const { view, source } = await reader.read(idOf(request));
    // The workflow may keep only the last entries; the records keep all, a moment later.
    const recorded = await records.timeline(view.incidentId).catch(() => []);
    const bySeq = new Map([...recorded, ...view.timeline].map((entry) => [entry.seq, entry]));
    const timeline = [...bySeq.values()].sort((a, b) => a.seq - b.seq);
    return { incidentId: view.incidentId, source, timeline };
  });

  app.get('/incidents/:id/postmortem', async (request, reply) => {
    mayOrThrow(request, 'view');
    const id = await reader.resolveId(idOf(request));
    const found = await fromRecords(() => records.postmortem(id));
    if (found === undefined) {
      throw new EdgeError('not_found', 'There is no postmortem of this incident yet.', {
        hint: 'It is drafted when the steps before it have ended.',
      });
    }
    if ((request.headers.accept ?? '').includes('application/json')) {
      const actionItems = await fromRecords(() => records.actionItems({ incidentId: id, limit: MAX_LISTED }));
      return { ...found, actionItems };
    }
    reply.header('x-firebreak-draft', String(found.draft));
    return reply.type('text/markdown; charset=utf-8').send(found.markdown);
  });

  app.get('/incidents/:id/harm.svg', async (request, reply) => {
    mayOrThrow(request, 'view');
    const { view } = await reader.read(idOf(request));
    const svg = await renderHarmPlot(view);
    if (svg === undefined) {
      throw new EdgeError('not_found', 'There is no plot of this incident yet.', {
        hint: 'The harm rate over time is read when a verification has ended and when the postmortem is written, where outputs were classified.',
      });
    }
    reply.header('content-security-policy', PLOT_POLICY);
    return reply.type('image/svg+xml; charset=utf-8').send(svg);
  });

  app.get('/incidents/:id/attempts', async (request) => {
    mayOrThrow(request, 'view');
    const incidentId = await reader.resolveId(idOf(request));
    return { incidentId, attempts: await fromRecords(() => records.attempts(incidentId)) };
  });

  app.get('/reports/observe', async (request) => {
    mayOrThrow(request, 'view');
    const { since } = check(reportQuery, request.query, 'query');
    const untilMs = now();
    const sinceMs = parseSinceMs(since, untilMs);
    if (sinceMs === undefined) {
      throw new EdgeError('invalid_request', 'The query is not as it should be.', {
        problems: [`since: expected ${SINCE_FORMS}, in the past and at most a year ago`],
      });
    }
    const found = await fromRecords(() =>
      records.incidentsSince({ sinceMs, mode: 'observe', kinds: OBSERVE_REPORT_KINDS, limit: MAX_REPORTED }),
    );
    return observeReport({ ...found, sinceMs, untilMs });
  });

  const personsRequest = (request: FastifyRequest): PersonsRequest => ({
    person: personOf(request),
    via: viaOf(request),
    body: request.body,
    idempotencyKey: check(idempotencyKey, request.headers['idempotency-key'], 'header Idempotency-Key'),
  });
  addRollbackRoutes(app, deps.rollbacks, personsRequest);
  app.post('/drills/plan', async (request, reply) =>
    reply.code(200).send(planDrill(deps.drills, personsRequest(request))),
  );
  app.post('/drills', async (request, reply) =>
    reply.code(200).send(await beginDrill(deps.drills, personsRequest(request))),
  );

  if (deps.samples) {
    addSampleRoutes(app, deps.samples, (request) => ({ person: personOf(request), via: viaOf(request) }));
  }

  for (const decision of ['approve', 'reject'] as const) {
    app.post(`/incidents/:id/${decision}`, async (request, reply) => {
      const body = check(decisionBody, request.body ?? {}, 'body');
      const person = personOf(request);
      return send(
        reply,
        await decide(deps.decide, {
          person,
          via: viaOf(request),
          decision,
          incident: idOf(request),
          ...body,
        }),
      );
    });
  }

  for (const action of Object.keys(ACTIONS) as ActionName[]) {
    app.post(`/incidents/:id/${action}`, async (request, reply) => {
      const key = check(idempotencyKey, request.headers['idempotency-key'], 'header Idempotency-Key');
      return send(
        reply,
        await act(deps.act, {
          person: personOf(request),
          via: viaOf(request),
          action,
          incident: idOf(request),
          body: request.body,
          idempotencyKey: key,
        }),
      );
    });
  }
}

function send(reply: FastifyReply, answer: object): FastifyReply {
  return reply.code(200).send(answer);
}

function viaOf(request: FastifyRequest): 'api' | 'cli' {
  return request.headers[CLIENT_HEADER] === 'cli' ? 'cli' : 'api';
}

function check<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new EdgeError('invalid_request', `The ${what} is not as it should be.`, {
    problems: problemsOf(result.error),
  });
}
