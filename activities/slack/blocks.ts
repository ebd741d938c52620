import type { KnownBlock, PlainTextElement } from '@slack/web-api';
import { escapeSlackWithin, stripControl, truncate } from '../../domain/plain-text.ts';
import {
  BLOCK_OVERHEAD,
  DETAILS,
  type Detail,
  MAX_ACTIONS,
  MAX_BLOCKS,
  MAX_BUTTON_TEXT,
  MAX_BUTTON_VALUE,
  MAX_FIELDS,
  MAX_HEADER,
  MAX_MESSAGE,
  MAX_SECTION,
  MAX_URL,
} from './limits.ts';

/** What a press tells us: which button, and in its value, as JSON, what it is about. webhooks/slack/ handles them. */
export const ACTION_IDS = {
  approve: 'firebreak_approve',
  reject: 'firebreak_reject',
  acknowledge: 'firebreak_acknowledge',
  escalate: 'firebreak_escalate',
  'take-command': 'firebreak_take_command',
  'false-positive': 'firebreak_false_positive',
  stop: 'firebreak_stop',
} as const;
export interface ButtonValue {
  incidentId: string;
  step?: string;
  planHash?: string;
}

/** Text shown literally: plain_text knows no links, mentions, formatting or (with `emoji: false`) emoji. */
export function plain(text: string, length: number): PlainTextElement {
  return { type: 'plain_text', text: visible(escapeSlackWithin(text, length)), emoji: false };
}

/** Slack refuses a text of nothing, and with it the whole message. */
function visible(text: string): string {
  return text.trim() === '' ? '-' : text;
}

export function section(lines: readonly string[], length = MAX_SECTION): KnownBlock {
  return { type: 'section', text: plain(joined(lines), Math.min(length, MAX_SECTION)) };
}

/** A line for each: a line break in somebody's text makes no line that looks like ours. */
function joined(lines: readonly string[]): string {
  return lines.map(stripControl).join('\n');
}

export function fields(
  rows: readonly (readonly [name: string, value: string])[],
  length: number,
): KnownBlock {
  return {
    type: 'section',
    fields: rows.slice(0, MAX_FIELDS).map(([name, value]) => plain(joined([name, value]), length)),
  };
}

/**
 * The first of the lines in as few sections as hold them, each line literally.
 * @param room sections at most.
 * @returns the sections, and how many of the lines are in them.
 */
export function lineSections(
  lines: readonly string[],
  room: number,
): { blocks: KnownBlock[]; taken: number } {
  const texts: string[] = [];
  let taken = 0;
  for (const line of lines) {
    const text = escapeSlackWithin(stripControl(line), MAX_SECTION);
    const last = texts.at(-1);
    if (last !== undefined && last.length + 1 + text.length <= MAX_SECTION) {
      texts[texts.length - 1] = `${last}\n${text}`;
    } else if (texts.length < room) texts.push(text);
    else break;
    taken += 1;
  }
  const blocks = texts.map(
    // Escaped line by line above.
    (text): KnownBlock => ({
      type: 'section',
      text: { type: 'plain_text', text: visible(text), emoji: false },
    }),
  );
  return { blocks, taken };
}

/**
 * Text in a code block. Literal as it is: rich text has no markup in its text elements. Invisible characters go: people
 * approve what they see.
 */
export function preformatted(text: string, length: number): KnownBlock {
  const visible = text.split('\n').map(stripControl).join('\n');
  return {
    type: 'rich_text',
    elements: [
      {
        type: 'rich_text_preformatted',
        elements: [{ type: 'text', text: truncate(visible, length) || '-' }],
      },
    ],
  };
}

/** A bold line of our own words, above a section: what the eye looks for first. */
export function heading(words: string): KnownBlock {
  return {
    type: 'rich_text',
    elements: [
      {
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: truncate(stripControl(words), MAX_HEADER) || '-', style: { bold: true } },
        ],
      },
    ],
  };
}

/** A line with a bold beginning of ours; the rest is literal. */
export function strongLine(label: string, text: string, length: number): KnownBlock {
  return {
    type: 'rich_text',
    elements: [
      {
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: `${label}: `, style: { bold: true } },
          { type: 'text', text: truncate(stripControl(text), length) || '-' },
        ],
      },
    ],
  };
}

/**
 * A line that ends in a link; only http(s) and not too long, since Slack refuses the message for an address that it cannot
 * read: that is shown as text, cut to `length`.
 */
export function linkLine(label: string, href: string, length: number): KnownBlock {
  const protocol = URL.canParse(href) ? new URL(href).protocol : '';
  if ((protocol !== 'https:' && protocol !== 'http:') || href.length > MAX_URL)
    return section([`${label}: ${href}`], length);
  return {
    type: 'rich_text',
    elements: [
      {
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: `${label}: ` },
          { type: 'link', url: href },
        ],
      },
    ],
  };
}

/** A line that ends in a channel, by the id that Slack gave us. */
export function channelLine(label: string, channelId: string): KnownBlock {
  return {
    type: 'rich_text',
    elements: [
      {
        type: 'rich_text_section',
        elements: [
          { type: 'text', text: `${label}: ` },
          { type: 'channel', channel_id: channelId },
        ],
      },
    ],
  };
}

export type Button = Extract<
  Extract<KnownBlock, { type: 'actions' }>['elements'][number],
  { type: 'button' }
>;

/** Undefined where the value would not fit: a cut value would be a button that means something else. */
export function button(
  action: keyof typeof ACTION_IDS,
  label: string,
  value: ButtonValue,
  style?: 'primary' | 'danger',
): Button | undefined {
  const text = JSON.stringify(value);
  if (text.length > MAX_BUTTON_VALUE) return undefined;
  return {
    type: 'button',
    action_id: ACTION_IDS[action],
    text: plain(label, MAX_BUTTON_TEXT),
    value: text,
    ...(style ? { style } : {}),
  };
}

/** One row of buttons; none where there is no button to show: Slack refuses an empty row. */
export function actions(buttons: readonly (Button | undefined)[]): KnownBlock[] {
  const elements = buttons.filter((element) => element !== undefined).slice(0, MAX_ACTIONS);
  return elements.length === 0 ? [] : [{ type: 'actions', elements }];
}

/** The blocks with as much of the long parts as one message of Slack's holds. */
export function fitting(blocksWith: (detail: Detail) => KnownBlock[]): KnownBlock[] {
  let blocks: KnownBlock[] = [];
  for (const detail of DETAILS) {
    blocks = blocksWith(detail);
    if (blocks.length <= MAX_BLOCKS && sizeOf(blocks) <= MAX_MESSAGE) break;
  }
  return blocks.slice(0, MAX_BLOCKS);
}

/** How much of MAX_MESSAGE the blocks take: all texts in them, and what is around each. */
export function sizeOf(blocks: readonly KnownBlock[]): number {
  return blocks.reduce((total, block) => total + BLOCK_OVERHEAD + textLength(block), 0);
}

function textLength(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((total: number, one) => total + textLength(one), 0);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce((total, [key, inner]) => {
    if (typeof inner !== 'string') return total + textLength(inner);
    return key === 'text' || key === 'url' || key === 'value' ? total + inner.length : total;
  }, 0);
}
