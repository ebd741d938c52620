/** Block Kit's limits: https://docs.slack.dev/reference/block-kit/blocks and .../block-elements/button-element */
export const MAX_BLOCKS = 50;
export const MAX_HEADER = 150;
export const MAX_SECTION = 3_000;
export const MAX_FIELDS = 10;
/** Slack allows 2000 in a field; a name or a target is not longer than this, and ten of them share the first screen. */
export const MAX_FIELD = 300;
export const MAX_BUTTON_VALUE = 2_000;

/** The diff is for a first look; the whole one is in the CLI. */
export const MAX_DIFF = 2_500;
/** Lines of changes or warnings of one plan. */
export const MAX_PLAN_LINES = 10;
/** Approvals shown with buttons: an incident waits for one, rarely two. More are counted. */
export const MAX_SHOWN_APPROVALS = 4;
/** Fallback text for notifications. */
export const MAX_FALLBACK = 500;
/** Sections of one message in the thread: with 3000 characters each more than anybody reads at once. */
export const MAX_THREAD_SECTIONS = 10;

export const REQUEST_TIMEOUT_MS = 10_000;
/** Messages of a page: Slack recommends no more than 200. */
export const PAGE_SIZE = 200;
/** Pages looked through for our own message; only what is newer than the incident is asked for. */
export const MAX_PAGES = 5;
/** How far our clock and Slack's may be apart where messages are asked for by time. */
export const CLOCK_SKEW_MS = 5 * 60_000;
