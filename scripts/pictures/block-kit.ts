/** Block Kit drawn about as Slack's desktop shows it. It knows the blocks that Firebreak sends, and refuses others. */
import type { KnownBlock, ModalView } from '@slack/web-api';
import type { RenderedMessage } from '../../activities/slack/render.ts';
import { column, type Element, row, text } from './element.ts';

const INK = '#1d1c1d';
const FAINT = '#616061';
const LINK = '#1264a3';
const LINE = '#dddddd';
const GREEN = '#007a5a';
const RED = '#c01343';
export const SLACK_WIDTH = 720;
export const FORM_WIDTH = 520;
/** Slack's default size of a text area. */
const TEXT_AREA_HEIGHT = 72;

/** Messages as they stand in a channel or thread, one below the other. */
export function slackMessages(
  messages: readonly { at: string; message: Pick<RenderedMessage, 'blocks'>; onlyYou?: boolean }[],
): Element {
  return column(
    {
      width: SLACK_WIDTH,
      padding: 20,
      gap: 20,
      backgroundColor: '#ffffff',
      color: INK,
      fontFamily: 'Lato, DejaVu Sans Mono',
      fontSize: 15,
      lineHeight: 1.46,
    },
    messages.map(({ at, message, onlyYou }) => messageOf(at, message, onlyYou)),
  );
}

function messageOf(at: string, { blocks }: Pick<RenderedMessage, 'blocks'>, onlyYou = false): Element {
  return row({ gap: 10 }, [
    text('F', {
      width: 36,
      height: 36,
      borderRadius: 6,
      backgroundColor: '#7a1f1f',
      color: '#ffffff',
      fontSize: 20,
      fontWeight: 700,
      display: 'flex',
      alignItems: 'center',
      justifyContent: 'center',
      flexShrink: 0,
    }),
    column({ flexGrow: 1, flexShrink: 1, flexBasis: 0, gap: 8 }, [
      ...(onlyYou ? [text('Only visible to you', { fontSize: 12, color: FAINT })] : []),
      row({ gap: 6, alignItems: 'center' }, [
        text('Firebreak', { fontWeight: 700 }),
        text('APP', {
          fontSize: 10,
          backgroundColor: '#e8e8e8',
          color: FAINT,
          padding: '0 3px',
          borderRadius: 2,
        }),
        text(at, { fontSize: 12, color: FAINT }),
      ]),
      ...blocks.map(blockOf),
    ]),
  ]);
}

function blockOf(block: KnownBlock): Element {
  switch (block.type) {
    case 'header':
      return text(shown(block.text.text), { fontSize: 18, fontWeight: 700 });
    case 'divider':
      return row({ height: 1, backgroundColor: LINE, marginTop: 4, marginBottom: 4 }, []);
    case 'section':
      return block.fields === undefined
        ? text(shown(block.text?.text ?? ''))
        : row(
            { flexWrap: 'wrap', rowGap: 8 },
            block.fields.map((field) => text(shown(field.text), { width: '50%', paddingRight: 12 })),
          );
    case 'context':
      return row(
        { gap: 8 },
        block.elements.map((element) =>
          text('text' in element ? shown(element.text) : '', { fontSize: 13, color: FAINT }),
        ),
      );
    case 'actions':
      return row(
        { gap: 8, flexWrap: 'wrap', marginTop: 2 },
        block.elements.map((element) => buttonOf(element)),
      );
    case 'rich_text':
      return column({}, block.elements.map(richOf));
    case 'input':
      return column({ gap: 6 }, [
        text(`${shown(block.label.text)}${block.optional ? ' (optional)' : ''}`, { fontWeight: 700 }),
        row({ height: TEXT_AREA_HEIGHT, border: '1px solid #8d8d8e', borderRadius: 4 }, []),
      ]);
    default:
      throw new Error(`no picture of a block ${block.type}: teach scripts/pictures/block-kit.ts`);
  }
}

/** A form as it opens above a channel. */
export function slackForm({ title, blocks, submit, close }: ModalView): Element {
  const button = (content: string, style: Element['props']['style']) =>
    text(content, { fontWeight: 700, padding: '6px 14px', borderRadius: 4, ...style });
  return column(
    {
      width: FORM_WIDTH,
      padding: 24,
      gap: 18,
      backgroundColor: '#ffffff',
      color: INK,
      fontFamily: 'Lato, DejaVu Sans Mono',
      fontSize: 15,
      lineHeight: 1.46,
    },
    [
      text(shown(title.text), { fontSize: 22, fontWeight: 700 }),
      ...(blocks as KnownBlock[]).map(blockOf),
      row({ gap: 10, justifyContent: 'flex-end' }, [
        button(shown(close?.text ?? 'Cancel'), { border: '1px solid #bbbabb' }),
        button(shown(submit?.text ?? 'Submit'), { backgroundColor: GREEN, color: '#ffffff' }),
      ]),
    ],
  );
}

type ActionElement = Extract<KnownBlock, { type: 'actions' }>['elements'][number];

function buttonOf(element: ActionElement): Element {
  if (element.type !== 'button') throw new Error(`no picture of ${element.type}`);
  const color = element.style === 'primary' ? GREEN : element.style === 'danger' ? RED : undefined;
  const filled = element.style === 'primary';
  return text(shown(element.text.text), {
    fontSize: 13,
    fontWeight: 700,
    padding: '5px 12px',
    borderRadius: 4,
    border: `1px solid ${color ?? '#bbbabb'}`,
    color: filled ? '#ffffff' : (color ?? INK),
    backgroundColor: filled ? GREEN : '#ffffff',
  });
}

type RichElement = Extract<KnownBlock, { type: 'rich_text' }>['elements'][number];

function richOf(element: RichElement): Element {
  if (element.type === 'rich_text_preformatted') {
    return text(element.elements.map((one) => ('text' in one ? one.text : '')).join(''), {
      fontFamily: 'DejaVu Sans Mono',
      fontSize: 12,
      backgroundColor: '#f8f8f8',
      border: `1px solid ${LINE}`,
      borderRadius: 4,
      padding: 8,
    });
  }
  if (element.type !== 'rich_text_section') throw new Error(`no picture of ${element.type}`);
  const words = element.elements.flatMap((one) => {
    const [content, style] =
      one.type === 'text'
        ? [one.text, one.style?.bold ? { fontWeight: 700 } : {}]
        : one.type === 'link'
          ? [one.text ?? one.url, { color: LINK }]
          : one.type === 'channel'
            ? [`#${ROOM_SHOWN}`, { color: LINK, backgroundColor: '#e8f5fa', borderRadius: 3 }]
            : [undefined, {}];
    if (content === undefined) throw new Error(`no picture of ${one.type}`);
    // Word by word, so that a line breaks where Slack's does.
    return (content.match(/\S+\s*|\s+/g) ?? []).map((word) => text(word, style));
  });
  return row({ flexWrap: 'wrap' }, words);
}

/** Slack shows the channel's name for its id. */
export const ROOM_SHOWN = 'inc-llm-api-0a1b2c3d';

/** As Slack unescapes it. */
function shown(escaped: string): string {
  return escaped.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}
