/** Jira's limits, and ours. */

/** "Summary can't exceed 255 characters" (https://github.com/tenable/integration-jira-cloud/issues/322); we stay below. */
export const MAX_SUMMARY = 255;
/**
 * Of a description or a comment (https://jira.atlassian.com/browse/JRACLOUD-68949). What of a document counts is not
 * documented, so all of its JSON does.
 */
export const MAX_DOCUMENT = 32_767;
/**
 * Left free below a description when a ticket is opened: the section that is kept up to date grows with what is waited for and
 * asked of people, and Jira adds ids to the nodes that it gives back.
 */
export const SECTION_ROOM = 8_192;
/** Of one label; labels have no spaces. */
export const MAX_LABEL = 255;
/** Ours: a ticket with more is not readable. */
export const MAX_LABELS = 100;
/** Largest page of comments (https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/). */
export const COMMENT_PAGE = 100;
/** Newest first; a retry looks for a comment that is minutes or hours old. */
export const MAX_COMMENT_PAGES = 5;
/**
 * The search index follows "within seconds", minutes in rare cases
 * (https://developer.atlassian.com/cloud/jira/platform/search-and-reconcile). An issue that may have been created without an
 * answer is looked for no sooner than this, so that it is found and not created again.
 */
export const SEARCH_LAG_MS = 60_000;
/** Answers are lists of a few issues; a comment can hold 32,767 characters. */
export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
