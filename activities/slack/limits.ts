/** Block Kit's limits: https://docs.slack.dev/reference/block-kit/blocks and .../block-elements/button-element */
export const MAX_BLOCKS = 50;
export const MAX_HEADER = 150;
export const MAX_SECTION = 3_000;
export const MAX_FIELDS = 10;
/** Slack allows 2000 in a field; a name or a target is not longer than this, and ten of them share the first screen. */
export const MAX_FIELD = 300;
export const MAX_BUTTON_VALUE = 2_000;
export const MAX_BUTTON_TEXT = 75;
/** Slack takes 3000; addresses of tickets and messages have some 100. */
export const MAX_URL = 1_000;
/** Elements of one actions block. */
export const MAX_ACTIONS = 25;

/**
 * Characters of all texts of a message together, and what is reckoned for each block besides. Slack refuses more than
 * about 13,200 with `msg_blocks_too_long`, and some messages from 11,300 on: the limit is not documented
 * (https://github.com/slackapi/bolt-js/issues/2509, https://github.com/slackapi/bolt-js/issues/2867).
 */
export const MAX_MESSAGE = 10_000;
export const BLOCK_OVERHEAD = 60;

/** Approvals shown with buttons: an incident waits for one, rarely two. More are counted. */
const SHOWN_APPROVALS = 4;

/** What a message shows of the long parts: the first that fits into MAX_MESSAGE is taken. */
export interface Detail {
  /** Characters of a plan's diff; 0: where to read it. The diff is for a first look; the whole one is in the CLI. */
  diff: number;
  /** Lines of changes or warnings of one plan. */
  planLines: number;
  /** Characters of one line that somebody else may have written. */
  line: number;
  /** Characters of a block of lines. */
  section: number;
  /** Characters of a field. */
  field: number;
  /** Plans with buttons. */
  approvals: number;
}
export const DETAILS: readonly [Detail, ...Detail[]] = [
  {
    diff: 2_500,
    planLines: 10,
    line: 600,
    section: MAX_SECTION,
    field: MAX_FIELD,
    approvals: SHOWN_APPROVALS,
  },
  { diff: 1_000, planLines: 6, line: 300, section: 1_500, field: 200, approvals: SHOWN_APPROVALS },
  { diff: 0, planLines: 3, line: 150, section: 600, field: 120, approvals: SHOWN_APPROVALS },
  { diff: 0, planLines: 2, line: 100, section: 400, field: 80, approvals: 1 },
];

/** Fallback text for notifications. */
export const MAX_FALLBACK = 500;
/** Sections of one message in the thread: as many as MAX_MESSAGE has room for. What is left comes in the next message. */
export const MAX_THREAD_SECTIONS = 3;

export const REQUEST_TIMEOUT_MS = 10_000;
/** No call begins later than this after its attempt began: with its timeout it ends before Temporal gives the attempt up. */
export const ATTEMPT_MS = 45_000;
/** Messages of a page: Slack recommends no more than 200. */
export const PAGE_SIZE = 200;
/** Pages looked through for our own message; only what is newer than the incident is asked for. */
export const MAX_PAGES = 5;
/** How far our clock and Slack's may be apart where messages are asked for by time. */
export const CLOCK_SKEW_MS = 5 * 60_000;

/**
 * One message a second and channel; chat.update is Tier 3, 50 a minute and workspace, whatever the channel
 * (https://docs.slack.dev/apis/web-api/rate-limits, https://docs.slack.dev/reference/methods/chat.update).
 */
export const POST_EVERY_MS = 1_000;
export const UPDATE_EVERY_MS = 1_200;
/** An attempt waits this long for its turn; else it gives up its place in the worker and comes again. */
export const MAX_TURN_WAIT_MS = 2_500;

/** Names of channels: https://docs.slack.dev/reference/methods/conversations.create#naming */
export const MAX_CHANNEL_NAME = 80;
/** https://docs.slack.dev/reference/methods/conversations.setTopic and .setPurpose: `too_long` beyond. */
export const MAX_TOPIC = 250;
/** Users of one invitation; the documentation says 100 in one place and 1000 in another. */
export const MAX_INVITED = 100;
/** After an incident channel could not be made for a reason that people mend. */
export const ROOM_REFUSED_RETRY_MS = 10 * 60_000;
/** After it could not be made for a reason that passes. */
export const ROOM_RETRY_MS = 30_000;

/** Slack takes 300 (https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object). */
export const MAX_CONFIRM_TEXT = 300;
