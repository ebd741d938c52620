/**
 * GitHub's limits (https://docs.github.com/en/rest/issues/issues#create-an-issue answers 422 beyond them) and ours.
 */
export const MAX_TITLE = 256;
export const MAX_BODY = 65_536;
export const MAX_LABEL = 50;
/** Labels of one issue. */
export const MAX_LABELS = 100;
/** GitHub's largest page. */
export const PAGE_SIZE = 100;
/** A retry looks for an issue that is minutes or hours old: 300 incidents opened since then are out of reach. */
export const MAX_ISSUE_PAGES = 3;
/** Comments come oldest first only; a ticket with more than a thousand is not read to the end. */
export const MAX_COMMENT_PAGES = 10;
/**
 * For all calls of one activity together, below its start-to-close timeout (60 s): an attempt that Temporal has given up
 * must not create a second ticket beside the next attempt's.
 */
export const ACTIVITY_DEADLINE_MS = 45_000;
