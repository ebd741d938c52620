import axios, { type AxiosRequestConfig, isCancel } from 'axios';
import { fail, fromAxios } from '../../failure.ts';

/** 50 outputs of 100,000 characters; what is larger would only be hashed and dropped. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/**
 * One GET of JSON. Redirects are not followed: credentials must not go to another host.
 * @throws the failure of the table; no body, header or address is part of it.
 */
export async function getJson(
  url: string,
  options: {
    headers: Record<string, string>;
    timeoutMs: number;
    what: string;
    auth?: AxiosRequestConfig['auth'];
  },
): Promise<unknown> {
  const { timeoutMs, what } = options;
  let body: string;
  try {
    const { data } = await axios.get<string>(url, {
      headers: { Accept: 'application/json', ...options.headers },
      ...(options.auth && { auth: options.auth }),
      signal: AbortSignal.timeout(timeoutMs),
      maxRedirects: 0,
      maxContentLength: MAX_ANSWER_BYTES,
      responseType: 'text',
      transformResponse: (text) => text,
    });
    body = data;
  } catch (error) {
    if (isCancel(error)) throw fail('Unavailable', `${what}: no answer within ${timeoutMs} ms`);
    throw fromAxios(error, what);
  }
  try {
    return JSON.parse(body);
  } catch {
    // The parser's own message quotes the text.
    throw fail('InvalidInput', `${what}: the answer is no JSON`);
  }
}

export function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}
