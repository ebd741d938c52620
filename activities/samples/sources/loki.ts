import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { fail } from '../../failure.ts';
import { sha256Of } from '../sample-answer.ts';
import { bearer, getJson } from './http.ts';
import { bindLogQl } from './log-ql.ts';
import type { LokiSource, SampleFields, SourceQuestion, SourceRows } from './types.ts';

/** Loki refuses more in one query (limits_config.max_entries_limit_per_query, 5000 by default). */
const MAX_ENTRIES = 5_000;
const NS_PER_MS = 1_000_000n;

const DEFAULT_FIELDS: SampleFields = {
  id: 'id',
  requestId: 'request_id',
  at: '',
  categories: 'categories',
  text: 'text',
  sha256: 'sha256',
  length: 'length',
};

/**
 * Answer of GET /loki/api/v1/query_range for a log query:
 * https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time.
 * An entry's third element holds structured metadata where the tenant has it.
 */
const lokiAnswer = z.object({
  data: z.object({
    resultType: z.literal('streams'),
    result: z.array(
      z.object({
        stream: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.string().regex(/^\d{1,19}$/), z.string()]).rest(z.unknown())),
      }),
    ),
  }),
});

/**
 * Newest entries of a LogQL query. Lines are JSON objects; a field that is not in the line is looked for in the labels,
 * where `| json` puts it. Lines that are no JSON object are left out, and counted.
 */
export async function readLoki(source: LokiSource, question: SourceQuestion): Promise<SourceRows> {
  const url = new URL(`${source.url.replace(/\/+$/, '')}/loki/api/v1/query_range`);
  const parameters = {
    query: bindLogQl(source.query, question.target),
    // Nanoseconds since the epoch; `end` itself is not part of the range.
    start: String(BigInt(Math.floor(question.fromMs)) * NS_PER_MS),
    end: String(BigInt(Math.floor(question.toMs) + 1) * NS_PER_MS),
    limit: String(Math.min(MAX_ENTRIES, question.candidates)),
    direction: 'backward',
  };
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  const answer = await getJson(url.href, {
    headers: {
      ...bearer(source.bearerToken),
      ...(source.tenant !== undefined && { 'X-Scope-OrgID': source.tenant }),
    },
    ...(source.basic && { auth: source.basic }),
    timeoutMs: question.timeoutMs,
    what: question.what,
  }).catch((error: unknown) => {
    // 400 is a query that Loki cannot parse or will not run; its own words quote the query.
    if (error instanceof ApplicationFailure && error.message.endsWith('was answered 400'))
      throw fail('InvalidInput', `${error.message}: check ${question.what}.query`);
    throw error;
  });
  const parsed = lokiAnswer.safeParse(answer);
  if (!parsed.success) {
    throw fail(
      'InvalidInput',
      `${question.what}: Loki did not answer with log streams; it has to be a log query, not a metric query: check ${question.what}.query`,
    );
  }
  const fields = { ...DEFAULT_FIELDS, ...source.fields };
  const rows = parsed.data.data.result.flatMap(({ stream, values }) =>
    values.map(([ns, line]) => rowOf(ns, line, stream, fields)),
  );
  return { rows, ownShape: false };
}

/** A line in the shape of an item; undefined for one that is no JSON object. */
function rowOf(
  ns: string,
  line: string,
  labels: Record<string, string>,
  fields: SampleFields,
): Record<string, unknown> | undefined {
  const json = objectOf(line);
  if (json === undefined) return undefined;
  const read = (path: string): unknown => {
    if (path === '') return undefined;
    // Loki's own json stage calls a.b a_b.
    return at(json, path) ?? own(labels, path) ?? own(labels, path.replaceAll('.', '_'));
  };
  const stamp = read(fields.at);
  return {
    // A line without an id is named by its moment and content: the same line is the same sample.
    id: textOf(read(fields.id)) ?? `sha256:${sha256Of(`${ns}\n${line}`)}`,
    requestId: textOf(read(fields.requestId)),
    at: stamp ?? new Date(Number(BigInt(ns) / NS_PER_MS)).toISOString(),
    categories: categoriesOf(read(fields.categories)),
    text: read(fields.text),
    sha256: read(fields.sha256),
    length: numberOf(read(fields.length)),
  };
}

function objectOf(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function at(json: unknown, path: string): unknown {
  let value = json;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value ?? undefined;
}

function own(labels: Record<string, string>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

function textOf(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value;
}

function numberOf(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
}

/** A list, or a text with commas; none is an output that the classifier gave no name. */
export function categoriesOf(value: unknown): unknown {
  if (value === undefined || value === null || value === '') return [];
  return typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value;
}
