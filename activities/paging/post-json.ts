import axios, { isCancel } from 'axios';
import { fail, fromAxios } from '../failure.ts';

/** Vendors answer a page in a few hundred bytes; more is something else that answers. */
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface JsonPost {
  /** The call in words, without secrets. */
  what: string;
  url: string;
  /** JSON text: what was measured against a limit is what is sent. */
  body: string;
  headers?: Record<string, string>;
  timeoutMs: number;
}

/**
 * One POST without redirects (a key must not follow one to another host).
 * @returns status (2xx) and the parsed answer, or its text where it is no JSON.
 * @throws ApplicationFailure: RateLimited with the vendor's delay, Unavailable (5xx, no answer), others not retryable.
 */
export async function postJson(post: JsonPost): Promise<{ status: number; data: unknown }> {
  try {
    const { status, data } = await axios.post(post.url, post.body, {
      headers: { ...post.headers, 'Content-Type': 'application/json' },
      // Of the whole exchange: axios' own timeout starts again with every byte that drips in.
      signal: AbortSignal.timeout(post.timeoutMs),
      maxRedirects: 0,
      maxContentLength: MAX_ANSWER_BYTES,
    });
    return { status, data };
  } catch (error) {
    if (isCancel(error)) {
      throw fail('Unavailable', `${post.what}: no answer within ${post.timeoutMs} ms`);
    }
    throw fromAxios(error, post.what);
  }
}
