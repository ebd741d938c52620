import axios from 'axios';
import { z } from 'zod';
import { fail, fromAxios } from '../../failure.ts';
import type { Detector } from './redact.ts';
import type { SpanType } from './spans.ts';

export interface PresidioOptions {
  /** Base URL of a Presidio analyzer. */
  url: string;
  language: string;
  bearerToken?: string | undefined;
}

const TIMEOUT_MS = 10_000;
/** Presidio's own default is 0: what it is less sure of than this is mostly a number. */
const SCORE_THRESHOLD = 0.35;
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Its entities (https://microsoft.github.io/presidio/supported_entities/); any other one is an id of somebody. */
const TYPES: Readonly<Record<string, SpanType>> = {
  PERSON: 'NAME',
  LOCATION: 'ADDRESS',
  EMAIL_ADDRESS: 'EMAIL',
  PHONE_NUMBER: 'PHONE',
  IP_ADDRESS: 'IP',
  IBAN_CODE: 'IBAN',
  CREDIT_CARD: 'CARD',
  CRYPTO: 'SECRET',
};
/** Neither says who somebody is, and without them a text can be judged. */
const LEFT = new Set(['DATE_TIME', 'NRP', 'URL']);

const answerShape = z.array(
  z.object({
    entity_type: z.string(),
    start: z.int().nonnegative(),
    end: z.int().nonnegative(),
    score: z.number(),
  }),
);

/**
 * Asks a Microsoft Presidio analyzer beside the detectors here: `POST /analyze`
 * (https://microsoft.github.io/presidio/api-docs/api-docs.html). Its offsets count code points.
 * @throws the failure of the table: a text that could not be analysed is not kept.
 */
export function createPresidio({ url, language, bearerToken }: PresidioOptions): Detector {
  const address = `${url.replace(/\/+$/, '')}/analyze`;
  return async (text) => {
    let data: unknown;
    try {
      ({ data } = await axios.post<unknown>(
        address,
        { text, language, score_threshold: SCORE_THRESHOLD },
        {
          headers: bearerToken === undefined ? {} : { Authorization: `Bearer ${bearerToken}` },
          timeout: TIMEOUT_MS,
          maxRedirects: 0,
          maxContentLength: MAX_ANSWER_BYTES,
        },
      ));
    } catch (error) {
      throw fromAxios(error, 'Presidio analyze');
    }
    const answer = answerShape.safeParse(data);
    if (!answer.success) throw fail('InvalidInput', 'Presidio analyze did not answer as documented');
    const units = unitOffsets(text);
    return answer.data.flatMap(({ entity_type, start, end }) => {
      const from = units[start];
      const until = units[end];
      if (LEFT.has(entity_type) || from === undefined || until === undefined || until <= from) return [];
      return [{ start: from, end: until, type: TYPES[entity_type] ?? ('NATIONAL_ID' as const) }];
    });
  };
}

/** Where each code point starts, in UTF-16 units, and the end. */
function unitOffsets(text: string): number[] {
  const offsets: number[] = [];
  let at = 0;
  for (const character of text) {
    offsets.push(at);
    at += character.length;
  }
  return [...offsets, at];
}
