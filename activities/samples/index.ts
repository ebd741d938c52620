import axios, { isCancel } from 'axios';
import type { z } from 'zod';
import type { SampleActivities } from '../contract.ts';
import { fail, fromAxios } from '../failure.ts';
import { countCategories, type KeptSample, sampleAnswer, withoutText } from './sample-answer.ts';

export interface SampleSource {
  url: string;
  bearerToken?: string;
}

export interface SampleOptions {
  sources: Record<string, SampleSource>;
  /** Of the whole exchange. */
  timeoutMs?: number;
}

/** Content stores search; workflows give an attempt 60 s. */
const DEFAULT_TIMEOUT_MS = 30_000;
/** 50 outputs of 100,000 characters; what is larger would only be hashed and dropped. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Above what runbooks may ask for (50): a bound of the summary's size whatever calls this. */
const MAX_SAMPLES = 200;

/**
 * Recent harmful outputs of a target, as evidence without the outputs: their text is hashed, measured and dropped here,
 * and never returned, logged or part of an error.
 */
export function createSampleActivities(options: SampleOptions): SampleActivities {
  return {
    /**
     * @throws InvalidInput for an unknown source or an answer without the documented shape; RateLimited, Unavailable,
     * Unauthorized, NotFound as the source answered.
     */
    async collectSamples({ source: name, target, fromMs, toMs, limit }) {
      const source = Object.hasOwn(options.sources, name) ? options.sources[name] : undefined;
      if (source === undefined)
        throw fail('InvalidInput', `there is no source of samples: configure samples.${name}`);
      const wanted = Math.max(1, Math.min(MAX_SAMPLES, Math.floor(limit)));
      const url = new URL(source.url);
      const query = {
        namespace: target.namespace,
        deployment: target.name,
        from: new Date(fromMs).toISOString(),
        to: new Date(toMs).toISOString(),
        limit: String(wanted),
        harmful: 'true',
      };
      for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);

      const what = `samples.${name}`;
      const body = await get(url.href, source.bearerToken, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, what);
      const kept = parse(body, what)
        // A source that ignores the window would put older outputs on this incident's account.
        .filter(({ atMs }) => atMs >= fromMs && atMs <= toMs)
        .sort((a, b) => b.atMs - a.atMs);
      const samples = [...new Map(kept.toReversed().map((sample) => [sample.id, sample])).values()]
        .toReversed()
        .slice(0, wanted);
      return {
        count: samples.length,
        from: name,
        byCategory: countCategories(samples),
        items: samples.map(({ atMs, ...sample }) => sample),
      };
    },
  };
}

async function get(url: string, token: string | undefined, timeoutMs: number, what: string): Promise<string> {
  try {
    const { data } = await axios.get<string>(url, {
      headers: {
        Accept: 'application/json',
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      },
      signal: AbortSignal.timeout(timeoutMs),
      // A token must not follow a redirect to another host.
      maxRedirects: 0,
      maxContentLength: MAX_ANSWER_BYTES,
      responseType: 'text',
      transformResponse: (body) => body,
    });
    return data;
  } catch (error) {
    if (isCancel(error)) throw fail('Unavailable', `${what}: no answer within ${timeoutMs} ms`);
    throw fromAxios(error, what);
  }
}

function parse(body: string, what: string): KeptSample[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    // The parser's own message quotes the text.
    throw fail('InvalidInput', `${what}: the answer is no JSON`);
  }
  const answer = sampleAnswer.safeParse(json);
  if (!answer.success)
    throw fail('InvalidInput', `${what}: ${wrongPlace(answer.error)}; see docs/samples.md`);
  return answer.data.items.map(withoutText);
}

/** Where the shape is wrong: of our own schema's names and positions only, as values are model output. */
function wrongPlace(error: z.ZodError): string {
  const [issue] = error.issues;
  const path = issue?.path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('');
  const where = path ? path.replace(/^\./, '') : 'the answer';
  return `${where} is not as documented${issue?.code === 'custom' ? ` (${issue.message} is needed)` : ''}`;
}
