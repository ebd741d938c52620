import type { FastifyInstance } from 'fastify';

/** The answers of this server are data for programs and people's tools; nothing of them is a page, cached or framed. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;
/** One year, as hstspreload.org recommends at least. */
const HSTS = 'max-age=31536000';

/** Has to be registered before anything that may answer. */
export function addSecurityHeaders(app: FastifyInstance, options: { https: boolean }): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
    if (options.https) reply.header('strict-transport-security', HSTS);
  });
}
