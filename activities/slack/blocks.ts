import type { KnownBlock, PlainTextElement } from '@slack/web-api';
import { escapeSlackWithin, stripControl, truncate } from '../../domain/plain-text.ts';
import {
  BLOCK_OVERHEAD,
  MAX_ACTIONS,
  MAX_BUTTON_TEXT,
  MAX_BUTTON_VALUE,
  MAX_FIELDS,
  MAX_HEADER,
  MAX_SECTION,
  MAX_URL,
} from './limits.ts';

/**
 * The action ids and button values that webhooks/slack/ handles; a test keeps the two alike.
 */
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
  // Slack refuses empty texts, and with them the whole message.
  return { type: 'plain_text', text: escapeSlackWithin(text, length) || '-', emoji: false };
}

export function section(lines: readonly string[], length = MAX_SECTION): KnownBlock {
  return { type: 'section', text: plain(lines.join('\n'), Math.min(length, MAX_SECTION)) };
}

export function fields(
  rows: readonly (readonly [name: string, value: string])[],
  length: number,
): KnownBlock {
  return {
    type: 'section',
    fields: rows.slice(0, MAX_FIELDS).map(([name, value]) => plain(`${name}\n${value}`, length)),
  };
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
