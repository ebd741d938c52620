/**
 * The one table of failure types that cross a boundary (activity -> workflow -> edge -> person).
 * Adapters decide which one applies, with a link to the vendor's rule.
 */
export const FAILURES = {
  /** The input can never succeed. */
  InvalidInput: { retryable: false },
  /** Credentials or a signature were refused. */
  Unauthorized: { retryable: false },
  /** The thing acted on does not exist. */
  NotFound: { retryable: false },
  /** The world changed since the plan was made (drift): a fresh plan and approval are needed. */
  PreconditionFailed: { retryable: false },
  /** Policy says no: namespace not allowed, paused, owned by a controller, known bad, observe mode. */
  Refused: { retryable: false },
  /** 429: retried after the vendor's delay (`nextRetryDelay`). */
  RateLimited: { retryable: true },
  /** Timeout, connection refused, 5xx. */
  Unavailable: { retryable: true },
  /** Two writers met (409): read again, try again. */
  Conflict: { retryable: true },
} as const;

export type FailureType = keyof typeof FAILURES;

/** Types that no retry policy retries. */
export const NON_RETRYABLE_FAILURES: FailureType[] = (Object.keys(FAILURES) as FailureType[]).filter(
  (type) => !FAILURES[type].retryable,
);
