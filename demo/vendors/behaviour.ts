import type { FastifyReply } from 'fastify';

/** How a sink treats what it is sent. */
export type SinkBehaviour =
  | { kind: 'accept' }
  /** 429, with Retry-After where seconds are given. */
  | { kind: 'rate-limit'; retryAfterSeconds?: number }
  /** Answers this status without taking anything. */
  | { kind: 'fail'; status: number }
  /** Takes it, then never answers: what a client sees whose connection breaks after the vendor has accepted. */
  | { kind: 'accept-silently' };

/** Answers in the vendor's place where the behaviour says so. @returns true when the request is not to be taken. */
export function refuse(behaviour: SinkBehaviour, reply: FastifyReply): boolean {
  if (behaviour.kind === 'rate-limit') {
    if (behaviour.retryAfterSeconds !== undefined) reply.header('retry-after', behaviour.retryAfterSeconds);
    reply.code(429).send('');
    return true;
  }
  if (behaviour.kind === 'fail') {
    reply.code(behaviour.status).send('');
    return true;
  }
  return false;
}
