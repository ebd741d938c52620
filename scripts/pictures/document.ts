/** Documents of tickets drawn about as ticket systems show them. It knows the nodes that Firebreak sends, and refuses others. */
import type { AdfMark, AdfNode } from '../../activities/jira/adf.ts';
import { column, type Element, row, text } from './element.ts';

const LINE = '#d0d7de';
const LINK = '#0969da';
const FAINT = '#59636e';
const MONO = 'DejaVu Sans Mono';
const HEADINGS = [22, 18, 16, 15, 14, 14];
type Style = Record<string, string | number>;

/** One box a ticket or comment: who, and what. */
export function card(head: string, content: readonly AdfNode[]): Element {
  return column({ border: `1px solid ${LINE}`, borderRadius: 6, backgroundColor: '#ffffff' }, [
    text(head, {
      padding: '8px 14px',
      backgroundColor: '#f6f8fa',
      borderBottom: `1px solid ${LINE}`,
      color: FAINT,
      fontSize: 13,
    }),
    column({ padding: 14, gap: 10 }, content.map(blockOf)),
  ]);
}

function blockOf(node: AdfNode): Element {
  const content = node.content ?? [];
  switch (node.type) {
    case 'paragraph':
      return row({ flexWrap: 'wrap' }, content.flatMap(inline));
    case 'heading':
      return row(
        { flexWrap: 'wrap', fontWeight: 700, fontSize: HEADINGS[Number(node.attrs?.level ?? 1) - 1] ?? 14 },
        content.flatMap(inline),
      );
    case 'bulletList':
    case 'orderedList':
      return column(
        { gap: 2 },
        content.map((item, index) =>
          row({ gap: 8 }, [
            text(node.type === 'bulletList' ? '•' : `${index + 1}.`, { width: 16, flexShrink: 0 }),
            column({ flexGrow: 1, flexShrink: 1, flexBasis: 0 }, (item.content ?? []).map(blockOf)),
          ]),
        ),
      );
    case 'panel':
      return column(
        { backgroundColor: '#e9f2ff', borderRadius: 4, padding: 12, gap: 8 },
        content.map(blockOf),
      );
    case 'table':
      return tableOf(content);
    case 'codeBlock':
      return text(content.map((one) => one.text ?? '').join(''), {
        fontFamily: MONO,
        fontSize: 12,
        backgroundColor: '#f6f8fa',
        padding: 8,
      });
    case 'rule':
      return row({ height: 1, backgroundColor: LINE }, []);
    default:
      throw new Error(`no picture of a node ${node.type}: teach scripts/pictures/document.ts`);
  }
}

/** Columns of one width each, as wide as their longest text needs; the last one takes what is left. */
function tableOf(rows: readonly AdfNode[]): Element {
  const cells = rows.map((one) => one.content ?? []);
  const widths = (cells[0] ?? []).map((_, at) => Math.max(...cells.map((one) => lengthOf(one[at]) * 7 + 26)));
  return column(
    { borderTop: `1px solid ${LINE}`, borderLeft: `1px solid ${LINE}` },
    cells.map((one) =>
      row(
        {},
        one.map((cell, at) =>
          column(
            {
              padding: '5px 10px',
              borderRight: `1px solid ${LINE}`,
              borderBottom: `1px solid ${LINE}`,
              ...(at === one.length - 1
                ? { flexGrow: 1, flexShrink: 1, flexBasis: 0 }
                : { width: widths[at] ?? 100, flexShrink: 0 }),
              ...(cell.type === 'tableHeader' ? { fontWeight: 700, backgroundColor: '#f6f8fa' } : {}),
            },
            (cell.content ?? []).map(blockOf),
          ),
        ),
      ),
    ),
  );
}

function lengthOf(node: AdfNode | undefined): number {
  if (node === undefined) return 0;
  return (node.text ?? '').length + (node.content ?? []).reduce((sum, one) => sum + lengthOf(one), 0);
}

/** Word by word, so that a line breaks where a browser's does. */
function inline(node: AdfNode): Element[] {
  if (node.type === 'hardBreak') return [row({ width: '100%' }, [])];
  if (node.type !== 'text') throw new Error(`no picture of ${node.type} within a line`);
  const style = Object.assign({}, ...(node.marks ?? []).map(styleOf)) as Style;
  return (node.text?.match(/\S+\s*|\s+/g) ?? []).map((word) => text(word, style));
}

function styleOf({ type }: AdfMark): Style {
  switch (type) {
    case 'strong':
      return { fontWeight: 700 };
    case 'code':
      return { fontFamily: MONO, fontSize: 12, backgroundColor: '#eff1f3' };
    case 'link':
      return { color: LINK };
    default:
      return {};
  }
}
