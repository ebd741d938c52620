import type { FastifyInstance, FastifyRequest } from 'fastify';
import { declareRollback } from './declare.ts';
import type { PersonsRequest, RollbackDeps } from './deps.ts';
import { setFrozen } from './freeze.ts';
import { inquire } from './inquire.ts';

/**
 * Rollbacks and freezes that people ask for, below /api/v1. Who asks is known by then.
 * @param requestOf reads person, client and idempotency key of a request.
 */
export function addRollbackRoutes(
  app: FastifyInstance,
  deps: RollbackDeps,
  requestOf: (request: FastifyRequest) => PersonsRequest,
): void {
  // A plan is asked for by POST: what it is about does not fit into a path, and belongs into no log.
  app.post('/rollbacks/plan', async (request, reply) =>
    reply.code(200).send(await inquire(deps, requestOf(request))),
  );
  app.post('/rollbacks', async (request, reply) =>
    reply.code(200).send(await declareRollback(deps, requestOf(request))),
  );
  for (const action of ['freeze', 'unfreeze'] as const) {
    app.post(`/targets/${action}`, async (request, reply) =>
      reply.code(200).send(await setFrozen(deps, action, requestOf(request))),
    );
  }
}
