import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import proto from '@temporalio/proto';

const {
  PollWorkflowTaskQueueResponse,
  RespondWorkflowTaskCompletedRequest,
  RespondWorkflowTaskFailedRequest,
} = proto.temporal.api.workflowservice.v1;

const SERVICE = '/temporal.api.workflowservice.v1.WorkflowService/';
/** Each ends an activity. */
const ACTIVITY_ENDS = new Set(
  ['Completed', 'Failed', 'Canceled'].map((end) => `${SERVICE}RespondActivityTask${end}`),
);
const TASK_ENDS = new Map<string, { decode(message: Uint8Array): { taskToken: Uint8Array } }>([
  [`${SERVICE}RespondWorkflowTaskCompleted`, RespondWorkflowTaskCompletedRequest],
  [`${SERVICE}RespondWorkflowTaskFailed`, RespondWorkflowTaskFailedRequest],
]);
const TASK_POLL = `${SERVICE}PollWorkflowTaskQueue`;
/** Of Temporal's default workflow task timeout: a task whose worker went away is nobody's any more. */
const TASK_TIMEOUT_MS = 10_000;
/** Of a gRPC message: a byte that says whether it is compressed, and its length. */
const FRAME_HEADER_BYTES = 5;

export interface Turns {
  /** For workers, in place of the server's. */
  address: string;
  close(): Promise<void>;
}

/**
 * Stands between workers and a time-skipping server, and holds the end of an activity while a workflow task is under way. The
 * task may cancel that activity, and this server then fails the task for good ("ACTIVITY_UNKNOWN") and schedules it never
 * again; real ones drop the cancellation of what has ended meanwhile.
 * @param server gives the host and port of the server, once it is known.
 */
export async function startTurns(server: () => string): Promise<Turns> {
  const underWay = new Map<string, NodeJS.Timeout>();
  const held: (() => void)[] = [];
  const end = (token: string) => {
    clearTimeout(underWay.get(token));
    underWay.delete(token);
    if (underWay.size === 0) for (const release of held.splice(0)) release();
  };
  const begin = (token: string) => {
    underWay.set(
      token,
      setTimeout(() => end(token), TASK_TIMEOUT_MS),
    );
  };

  const sessions = new Set<http2.Http2Session>();
  const proxy = http2.createServer();
  proxy.on('session', (down) => {
    const up = http2.connect(`http://${server()}`);
    for (const session of [down, up]) {
      sessions.add(session);
      session.on('error', () => undefined).on('close', () => sessions.delete(session));
    }
    down.on('close', () => up.destroy());
    up.on('close', () => down.destroy());
    down.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      void forward(up, stream, headers).catch(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    });
  });

  async function forward(
    up: http2.ClientHttp2Session,
    stream: http2.ServerHttp2Stream,
    headers: http2.IncomingHttpHeaders,
  ): Promise<void> {
    const path = String(headers[':path']);
    const sent = await buffer(stream);
    if (ACTIVITY_ENDS.has(path) && underWay.size > 0) {
      await new Promise<void>((release) => held.push(release));
    }
    // Answers come as they are, to be read here.
    const { 'grpc-accept-encoding': _, ...asked } = headers;
    const request = up.request(asked);
    request.on('error', () => undefined);
    stream.on('close', () => request.close(http2.constants.NGHTTP2_CANCEL));
    request.end(sent);
    let trailers: http2.IncomingHttpHeaders = {};
    request.on('trailers', (last) => {
      trailers = last;
    });
    const [answer] = (await once(request, 'response')) as [http2.IncomingHttpHeaders];
    const got = await buffer(request);
    const ended = TASK_ENDS.get(path)?.decode(message(sent)).taskToken;
    if (ended !== undefined) end(hex(ended));
    if (stream.destroyed) return;
    if (got.length === 0) {
      stream.respond(answer, { endStream: true });
      return;
    }
    if (path === TASK_POLL) {
      const task = PollWorkflowTaskQueueResponse.decode(message(got));
      // A query changes nothing, and is answered in another way.
      if (task.taskToken.length > 0 && !task.query) begin(hex(task.taskToken));
    }
    stream.respond(answer, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(got);
  }

  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async close() {
      for (const timer of underWay.values()) clearTimeout(timer);
      for (const session of sessions) session.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

function message(body: Buffer): Buffer {
  const content = body.subarray(FRAME_HEADER_BYTES);
  return body[0] === 1 ? gunzipSync(content) : content;
}

function hex(token: Uint8Array): string {
  return Buffer.from(token).toString('hex');
}
