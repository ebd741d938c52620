import type { Readable } from 'node:stream';
import axios, { isAxiosError, isCancel } from 'axios';
import { isEndpointPath } from '../../domain/endpoint-path.ts';
import type { EndpointActivities } from '../contract.ts';
import { fail, fromAxios } from '../failure.ts';
import { vendorKey } from '../paging/page-text.ts';
import { boundedJson, MAX_ANSWER_BYTES } from './answer.ts';

export interface Endpoint {
  url: string;
  /** The token itself. */
  bearerToken?: string | undefined;
  methods: readonly string[];
  /** Of the whole exchange. */
  timeoutMs: number;
}

export interface EndpointOptions {
  endpoints: Record<string, Endpoint>;
}

/**
 * Calls of configured endpoints. The host is the configuration's and nothing else: the path is checked, redirects are not
 * followed. Answers are kept only where they are small JSON; errors never hold any of them.
 */
export function createEndpointActivities(options: EndpointOptions): EndpointActivities {
  return {
    /**
     * @param input.expectStatus empty: any 2xx.
     * @returns `body` null where the answer is no JSON, or larger or deeper than is kept.
     * @throws InvalidInput for an endpoint, method or path that is not allowed, and for a status that was not expected;
     * RateLimited, Unavailable, Unauthorized, NotFound, Conflict as the endpoint answered.
     */
    async callEndpoint({ key, endpoint: name, method, path, json, expectStatus }) {
      const what = `${method} http.${name}`;
      const endpoint = Object.hasOwn(options.endpoints, name) ? options.endpoints[name] : undefined;
      if (endpoint === undefined)
        throw fail('InvalidInput', `there is no such endpoint: configure http.${name}`);
      if (!endpoint.methods.includes(method)) {
        throw fail('InvalidInput', `${what} is not allowed: add it to http.${name}.methods`);
      }
      const expected = (status: number) =>
        expectStatus.length === 0 ? status >= 200 && status < 300 : expectStatus.includes(status);
      const signal = AbortSignal.timeout(endpoint.timeoutMs);
      try {
        const { status, data } = await axios.request<Readable>({
          method,
          url: addressOf(endpoint, path, what),
          data: json === undefined ? undefined : JSON.stringify(json),
          headers: {
            Accept: 'application/json',
            // Without a body there is no type of it; axios would name one.
            'Content-Type': json === undefined ? null : 'application/json',
            ...(method === 'GET' ? {} : { 'Idempotency-Key': vendorKey(key) }),
            ...(endpoint.bearerToken !== undefined && { Authorization: `Bearer ${endpoint.bearerToken}` }),
          },
          signal,
          // A token, and what we tell, must not follow a redirect to another host.
          maxRedirects: 0,
          // As a stream: an answer that is too large is left unread, and its status still counts.
          responseType: 'stream',
          validateStatus: expected,
        });
        return { status, body: boundedJson(await readWithin(data, MAX_ANSWER_BYTES)) ?? null };
      } catch (error) {
        if (isAxiosError(error)) (error.response?.data as Readable | undefined)?.destroy?.();
        if (isCancel(error) || signal.aborted) {
          throw fail('Unavailable', `${what}: no answer within ${endpoint.timeoutMs} ms`);
        }
        const status = isAxiosError(error) ? error.response?.status : undefined;
        if (status !== undefined && status < 400) {
          const hint = status >= 300 ? ': redirects are not followed' : '';
          throw fail('InvalidInput', `${what} was answered ${status}, which the step does not expect${hint}`);
        }
        throw fromAxios(error, what);
      }
    },
  };
}

/** The endpoint's address with the path below it. The compiler has checked the path; the plan comes through Temporal. */
function addressOf(endpoint: Endpoint, path: string, what: string): string {
  if (path === '') return endpoint.url;
  if (!isEndpointPath(path)) throw fail('InvalidInput', `${what}: the path leaves the endpoint's address`);
  const url = new URL(endpoint.url);
  const [below = '', query] = path.split(/\?(.*)/s);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${below}`;
  if (query !== undefined) url.search = url.search === '' ? query : `${url.search}&${query}`;
  return url.href;
}

/** The text, or undefined where it is longer: the rest is not read. */
async function readWithin(stream: Readable, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Leaving the loop destroys the stream, and with it the connection.
    if (length > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
