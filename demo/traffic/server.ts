import Fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { HarmfulSamples } from './harmful-samples.ts';
import type { TrafficMetrics } from './metrics.ts';
import type { ModelTraffic, TrafficWorld } from './model-traffic.ts';
import { trafficChangeSchema } from './options.ts';

const DEFAULT_SAMPLES = 50;
const MAX_SAMPLES = 500;

/** Epoch milliseconds or RFC 3339, as callers have it at hand. */
const instant = z
  .union([z.string().regex(/^\d{1,16}$/), z.iso.datetime({ offset: true })])
  .transform((text) => (/^\d+$/.test(text) ? Number(text) : Date.parse(text)));

const samplesQuery = z.strictObject({
  namespace: z.string().optional(),
  deployment: z.string().optional(),
  from: instant.optional(),
  to: instant.optional(),
  limit: z.coerce.number().int().min(1).max(MAX_SAMPLES).default(DEFAULT_SAMPLES),
  /** Only harmful outputs are kept. */
  harmful: z.literal('true').optional(),
});

export interface TrafficServerParts {
  traffic: ModelTraffic;
  metrics: TrafficMetrics;
  samples: HarmfulSamples;
  world: TrafficWorld;
}

/**
 * `GET /metrics` for Prometheus, `GET /samples` for reviewers of harmful outputs, `GET /state` and `POST /control` for
 * whoever directs the demo. It has no access control and is for loopback only.
 */
export function trafficServer({ traffic, metrics, samples, world }: TrafficServerParts): FastifyInstance {
  const server = Fastify();
  server.setErrorHandler((error, _request, reply) => {
    if (error instanceof z.ZodError) return reply.code(400).send({ error: z.prettifyError(error) });
    return reply.send(error);
  });

  server.get('/metrics', async (_request, reply) => {
    reply.header('content-type', metrics.registry.contentType);
    return metrics.registry.metrics();
  });

  server.get('/samples', async (request) => {
    const { namespace, deployment, from, to, limit } = samplesQuery.parse(request.query);
    if (namespace !== undefined && namespace !== traffic.settings.namespace) return { items: [] };
    return { items: samples.find({ deployment, fromMs: from, toMs: to, limit }) };
  });

  server.post('/control', async (request) => {
    traffic.change(trafficChangeSchema.parse(request.body));
    return stateOf(traffic, world);
  });

  server.get('/state', async () => stateOf(traffic, world));
  return server;
}

function stateOf(traffic: ModelTraffic, world: TrafficWorld) {
  const { namespace, deployments, rps, images, classifying, halfOpenTraffic, classifierVersion } =
    traffic.settings;
  const breakers = deployments.map(({ name }) => [name, world.breakers.of(name) ?? null]);
  return {
    namespace,
    deployments,
    rps,
    images,
    classifying,
    halfOpenTraffic,
    classifierVersion,
    breakers: Object.fromEntries(breakers),
    pods: world.pods.current(),
  };
}
