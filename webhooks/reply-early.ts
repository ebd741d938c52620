import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EdgeError } from './errors.ts';

/**
 * How long the rest of a refused body is taken off the wire and thrown away. Closing at once would reset the connection,
 * and a reset makes many clients lose the answer that was already on its way.
 */
const LINGER_MS = 2_000;

/**
 * Answers before the body has been read, and then closes. The complete answer is written at once; the connection lingers
 * until the client has sent what it wanted to send, LINGER_MS at most. Nothing of the body is kept.
 */
export function replyEarly(request: FastifyRequest, reply: FastifyReply, error: EdgeError): FastifyReply {
  const body = JSON.stringify(error.toProblem());
  reply.hijack();
  const response = reply.raw;
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) response.setHeader(name, value);
  }
  response.writeHead(error.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...(error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) }),
  });
  response.write(body);

  const timer = setTimeout(finish, LINGER_MS);
  function finish(): void {
    clearTimeout(timer);
    response.end();
  }
  const source = request.raw;
  if (source.readableEnded) finish();
  else source.once('end', finish).once('close', finish).once('error', finish).resume();
  return reply;
}
