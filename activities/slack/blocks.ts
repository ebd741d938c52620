import type { KnownBlock, PlainTextElement } from '@slack/web-api';
import { escapeSlackWithin, truncate } from '../../domain/plain-text.ts';
import { MAX_BUTTON_VALUE, MAX_FIELD, MAX_FIELDS, MAX_SECTION } from './limits.ts';

/**
 * The action ids and button values that webhooks/slack/ handles; a test keeps the two alike.
 */
export const ACTION_IDS = {
  approve: 'firebreak_approve',
  reject: 'firebreak_reject',
  acknowledge: 'firebreak_acknowledge',
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

export function section(lines: readonly string[]): KnownBlock {
  return { type: 'section', text: plain(lines.join('\n'), MAX_SECTION) };
}

export function fields(rows: readonly (readonly [name: string, value: string])[]): KnownBlock {
  return {
    type: 'section',
    fields: rows.slice(0, MAX_FIELDS).map(([name, value]) => plain(`${name}\n${value}`, MAX_FIELD)),
  };
}

/** Text in a code block. Literal as it is: rich text has no markup in its text elements. */
export function preformatted(text: string, length: number): KnownBlock {
  return {
    type: 'rich_text',
    elements: [
      { type: 'rich_text_preformatted', elements: [{ type: 'text', text: truncate(text, length) || '-' }] },
    ],
  };
}

/** A line that ends in a link; only http(s), since Slack refuses the message for an address that it cannot read. */
export function linkLine(label: string, href: string): KnownBlock {
  const protocol = URL.canParse(href) ? new URL(href).protocol : '';
  if (protocol !== 'https:' && protocol !== 'http:') return section([`${label}: ${href}`]);
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

type Button = Extract<Extract<KnownBlock, { type: 'actions' }>['elements'][number], { type: 'button' }>;

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
    text: plain(label, 75),
    value: text,
    ...(style ? { style } : {}),
  };
}
