import { randomUUID } from 'node:crypto';
import { type JsonListener, type JsonRequest, listenForJson, type SinkBehaviour } from './webhook-sink.ts';

/**
 * Integration events of Jira Service Management's Operations, as far as they are documented:
 * https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v1/api-group-integration-events
 * Limits: https://operations-help.atlassian.net/wiki/spaces/OPSHELP/pages/8617985 and those of the Opsgenie API.
 */
const MAX_BODY_BYTES = 1024 * 1024;
const LIMITS: Readonly<Record<string, number>> = {
  message: 130,
  alias: 512,
  description: 15_000,
  entity: 512,
  source: 100,
  note: 25_000,
};
const MAX_DETAILS_CHARS = 8_000;
const MAX_TAGS = 20;
const MAX_TAG_CHARS = 50;
const PRIORITIES: unknown[] = ['P1', 'P2', 'P3', 'P4', 'P5'];

export interface JsmAlert {
  alias: string;
  message: string;
  description: string;
  priority: string;
  /** Times it was created while it was open. */
  count: number;
  acknowledged: boolean;
  closed: boolean;
}

export interface JsmOperationsSink extends Pick<JsonListener, 'url' | 'requests' | 'close'> {
  alerts(): JsmAlert[];
  /** Bodies of accepted requests in order. */
  accepted(): unknown[];
  respondWith(behaviour: SinkBehaviour | undefined): void;
}

export async function startJsmOperationsSink(options: { apiKey: string }): Promise<JsmOperationsSink> {
  const alerts: JsmAlert[] = [];
  const accepted: unknown[] = [];
  const open = (alias: string) => alerts.find((alert) => alert.alias === alias && !alert.closed);

  function handle({ path, headers, json, tooLarge }: JsonRequest) {
    if (headers.authorization !== `GenieKey ${options.apiKey}`) {
      return { status: 401, body: { message: 'Could not authenticate' } };
    }
    const problems = tooLarge ? ['body is too large'] : problemsOf(json);
    if (problems.length > 0)
      return { status: 422, body: { message: 'Request body is not processable', problems } };
    const body = json as Record<string, string>;
    const url = new URL(path, 'http://sink');
    const action = /^\/([^/]+)\/(acknowledge|close)$/.exec(url.pathname);
    if (action === null) {
      if (url.pathname !== '/') return { status: 404 };
      if (typeof body.message !== 'string' || body.message === '') {
        return { status: 422, body: { message: 'message must not be blank' } };
      }
      const alias = body.alias ?? randomUUID();
      const same = open(alias);
      if (same) same.count += 1;
      else {
        alerts.push({
          alias,
          message: body.message,
          description: body.description ?? '',
          priority: body.priority ?? 'P3',
          count: 1,
          acknowledged: false,
          closed: false,
        });
      }
    } else {
      // Without it the identifier is the vendor's own id, which nobody here has.
      if (url.searchParams.get('identifierType') !== 'alias') return { status: 404 };
      const alert = open(decodeURIComponent(action[1] ?? ''));
      // What is not there is found out later, when nobody listens any more.
      if (alert && action[2] === 'acknowledge') alert.acknowledged = true;
      if (alert && action[2] === 'close') alert.closed = true;
    }
    accepted.push(json);
    return { status: 202, body: { result: 'Request will be processed', took: 0.1, requestId: randomUUID() } };
  }

  const listener = await listenForJson({
    maxBodyBytes: MAX_BODY_BYTES,
    handle,
    failure: (status) => ({ message: `answers ${status}` }),
  });
  return { ...listener, alerts: () => structuredClone(alerts), accepted: () => structuredClone(accepted) };
}

function problemsOf(json: unknown): string[] {
  if (typeof json !== 'object' || json === null) return ['the body is no JSON object'];
  const body = json as Record<string, unknown>;
  const problems = Object.entries(LIMITS).flatMap(([field, max]) => {
    const value = body[field];
    if (value === undefined) return [];
    return typeof value === 'string' && value.length <= max ? [] : [`${field} is no text of at most ${max}`];
  });
  if (body.priority !== undefined && !PRIORITIES.includes(body.priority)) problems.push('priority is none');
  const tags = body.tags ?? [];
  if (
    !Array.isArray(tags) ||
    tags.length > MAX_TAGS ||
    tags.some((tag) => String(tag).length > MAX_TAG_CHARS)
  ) {
    problems.push('tags are too many or too long');
  }
  const details = Object.entries((body.details ?? {}) as Record<string, unknown>).flat();
  if (details.some((part) => typeof part !== 'string') || details.join('').length > MAX_DETAILS_CHARS) {
    problems.push(`details are no texts of at most ${MAX_DETAILS_CHARS} together`);
  }
  return problems;
}
