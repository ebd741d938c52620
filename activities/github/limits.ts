/**
 * GitHub's limits (https://docs.github.com/en/rest/issues/issues#create-an-issue answers 422 beyond them) and ours.
 */
export const MAX_TITLE = 256;
export const MAX_BODY = 65_536;
/** Left free below a body when an issue is opened: the section that is kept up to date grows. */
export const SECTION_ROOM = 4_096;
export const MAX_LABEL = 50;
/** Labels of one issue. */
export const MAX_LABELS = 100;
/** GitHub's largest page. */
export const PAGE_SIZE = 100;
/** Issues with the label of one incident: its ticket and its action items, and what people labelled so. */
export const MAX_ISSUE_PAGES = 3;
/** Comments come oldest first only; a ticket with more than a thousand is not read to the end. */
export const MAX_COMMENT_PAGES = 10;
