/**
 * Every error that an edge answers with, listed once: HTTP status and what the person or program can do about it.
 * The code is the stable part: clients decide by it, never by the message.
 */
const EDGE_ERRORS = {
  // --- the request itself
  unauthenticated: {
    status: 401,
    hint: 'Send the credentials that the configuration names for this endpoint.',
  },
  forbidden: { status: 403, hint: 'The access file decides who may do this; ask whoever keeps it.' },
  invalid_request: { status: 400, hint: 'Correct the fields that are named and send it again.' },
  invalid_json: { status: 400, hint: 'Send one complete JSON document, UTF-8, without __proto__ keys.' },
  payload_too_large: { status: 413, hint: 'Send less in one request; Alertmanager: set max_alerts.' },
  unsupported_media_type: { status: 415, hint: 'Send application/json without content encoding.' },
  no_such_route: { status: 404, hint: 'See docs for the routes of this server.' },
  // --- the incident
  not_found: { status: 404, hint: 'List the incidents that there are: firebreak incident list' },
  ambiguous_id: { status: 409, hint: 'Give more characters of the incident id.' },
  incident_ended: { status: 409, hint: 'The incident is over; its record can still be read.' },
  nothing_waiting: { status: 409, hint: 'Look at the incident again: firebreak incident show ID' },
  plan_changed: { status: 409, hint: 'Read the plan that waits now, then decide with its hash.' },
  refused: { status: 409, hint: 'Look at the incident again: firebreak incident show ID' },
  // --- what stands behind
  overloaded: { status: 503, hint: 'Send it again after the time in Retry-After.' },
  cluster_unavailable: { status: 503, hint: 'See whether the worker of that cluster runs, then try again.' },
  identity_unavailable: {
    status: 503,
    hint: 'Try again in a moment, or use an API token of the access file: those need nobody else.',
  },
  temporal_unavailable: { status: 503, hint: 'Try again in a moment; /readyz says what is missing.' },
  records_unavailable: { status: 503, hint: 'Nothing was sent. Send it again; see /readyz.' },
  outcome_unknown: {
    status: 503,
    hint: 'Send the same request again: it is recorded once, however often it arrives.',
  },
  internal: {
    status: 500,
    hint: 'This is a fault of Firebreak; its log has the details under the request id.',
  },
} as const satisfies Record<string, { status: number; hint: string }>;

export type EdgeErrorCode = keyof typeof EDGE_ERRORS;

/** What every error answer looks like. */
export interface Problem {
  error: { code: EdgeErrorCode; message: string; hint: string; problems?: string[] };
}

/** Messages never carry secrets, values of the request, or text of alerts, models and people. */
export class EdgeError extends Error {
  readonly code: EdgeErrorCode;
  readonly hint: string;
  readonly problems: string[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: EdgeErrorCode,
    message: string,
    more: { hint?: string; problems?: string[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'EdgeError';
    this.code = code;
    this.hint = more.hint ?? EDGE_ERRORS[code].hint;
    this.problems = more.problems;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }

  get status(): number {
    return EDGE_ERRORS[this.code].status;
  }

  toProblem(): Problem {
    const { code, message, hint, problems } = this;
    return { error: { code, message, hint, ...(problems ? { problems } : {}) } };
  }
}

/** Fastify's own refusals, in our words; undefined for everything that is a fault of ours. */
export function edgeErrorOf(error: unknown): EdgeError | undefined {
  if (error instanceof EdgeError) return error;
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new EdgeError('payload_too_large', 'The body is larger than this endpoint takes.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new EdgeError('unsupported_media_type', 'The content type is not one that this endpoint takes.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new EdgeError('invalid_request', 'The body is not as long as Content-Length says.');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new EdgeError('invalid_json', 'The body is not a complete JSON document.');
    default:
      if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
        return new EdgeError('invalid_request', 'The request could not be read.');
      }
      return undefined;
  }
}
