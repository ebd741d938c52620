import type { FastifyInstance } from 'fastify';

/** Starts on loopback; port 0 is one that is free. @returns the base URL. */
export async function listenOnLoopback(server: FastifyInstance, port: number): Promise<string> {
  return server.listen({ host: '127.0.0.1', port });
}
