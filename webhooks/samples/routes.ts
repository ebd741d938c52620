import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Person } from '../access/access.ts';
import { wellFormed } from '../alertmanager/bound.ts';
import { EdgeError } from '../errors.ts';
import { problemsOf } from '../zod-problems.ts';
import { listSamples, reveal, type SampleDeps } from './reveal.ts';

/** A reason is read in a log, not a document. */
const MAX_REASON = 500;
/** A word is no reason: whoever reads the log later has only this. */
const MIN_REASON = 8;

const revealBody = z.strictObject({
  reason: z
    .string()
    .transform(wellFormed)
    .pipe(z.string().trim().min(MIN_REASON, 'say why, in a few words').max(MAX_REASON)),
});

/** Kept texts of samples, below /api/v1. Who asks is known by then. */
export function addSampleRoutes(
  app: FastifyInstance,
  deps: SampleDeps,
  requestOf: (request: FastifyRequest) => { person: Person; via: 'api' | 'cli' },
): void {
  app.get('/incidents/:id/samples', async (request) => {
    const { person } = requestOf(request);
    const permission = deps.access.may(person, 'view');
    if (!permission.allowed) throw new EdgeError('forbidden', `Not allowed: ${permission.reason}.`);
    return listSamples(deps, (request.params as { id: string }).id);
  });

  app.post('/incidents/:id/samples/:sample/reveal', async (request, reply) => {
    const body = revealBody.safeParse(request.body ?? {});
    if (!body.success) {
      throw new EdgeError('invalid_request', 'The body is not as it should be.', {
        problems: problemsOf(body.error),
      });
    }
    const { id, sample } = request.params as { id: string; sample: string };
    const revealed = await reveal(deps, {
      ...requestOf(request),
      incident: id,
      sample,
      reason: body.data.reason,
    });
    // No cache of a browser or proxy keeps what is destroyed later.
    reply.header('cache-control', 'no-store');
    return reply.code(200).send(revealed);
  });
}
