import type { PhrasingContent, RootContent, Table } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';

/**
 * The part of Atlassian's document format that tickets use
 * (https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/).
 */
export interface AdfNode {
  type: string;
  text?: string;
  attrs?: Record<string, unknown>;
  marks?: AdfMark[];
  content?: AdfNode[];
}
export interface AdfMark {
  type: 'strong' | 'em' | 'strike' | 'code' | 'link';
  attrs?: { href: string };
}
export interface AdfDocument {
  version: 1;
  type: 'doc';
  content: AdfNode[];
}

const MAX_HEADING = 6;

/**
 * Markdown of ours as a document of Jira. Only what this function names can come out: HTML, images and references stay text, so
 * that nothing from outside becomes a mention, a macro, media or a card.
 */
export function toAdf(markdown: string): AdfNode[] {
  const { children } = fromMarkdown(markdown, {
    extensions: [gfm()],
    mdastExtensions: [gfmFromMarkdown()],
  });
  return blocks(children);
}

export function documentOf(content: AdfNode[]): AdfDocument {
  return { version: 1, type: 'doc', content: content.length === 0 ? [paragraph([])] : content };
}

export function paragraph(content: AdfNode[]): AdfNode {
  return { type: 'paragraph', content };
}

/** Text nodes must not be empty. */
export function textNode(text: string, marks: readonly AdfMark[] = []): AdfNode[] {
  const plain = text.replace(/\s*\n\s*/g, ' ').replace(/[\p{Cc}\p{Cs}]/gu, '');
  if (plain === '') return [];
  return [{ type: 'text', text: plain, ...(marks.length === 0 ? {} : { marks: marksOf(marks) }) }];
}

/** Everything that is written in a node and below it. */
export function textOf(node: AdfNode): string {
  return node.text ?? (node.content ?? []).map(textOf).join('');
}

function blocks(nodes: readonly RootContent[]): AdfNode[] {
  return nodes.flatMap((node): AdfNode[] => {
    switch (node.type) {
      case 'heading':
        return [
          {
            type: 'heading',
            attrs: { level: Math.min(node.depth, MAX_HEADING) },
            content: inline(node.children),
          },
        ];
      case 'paragraph':
        return [paragraph(inline(node.children))];
      case 'list':
        return [
          {
            type: node.ordered ? 'orderedList' : 'bulletList',
            ...(node.ordered ? { attrs: { order: node.start ?? 1 } } : {}),
            content: node.children.map((item) => ({ type: 'listItem', content: itemBlocks(item.children) })),
          },
        ];
      case 'code':
        return [{ type: 'codeBlock', content: textNode(node.value) }];
      case 'blockquote':
        return [{ type: 'blockquote', content: onlyParagraphs(node.children) }];
      case 'thematicBreak':
        return [{ type: 'rule' }];
      case 'table':
        return [tableNode(node)];
      case 'html':
        return [paragraph(textNode(node.value))];
      default:
        return [];
    }
  });
}

/** A list item begins with a paragraph and holds paragraphs and lists; whatever else is its text. */
function itemBlocks(nodes: readonly RootContent[]): AdfNode[] {
  const content = nodes.flatMap((node) => (node.type === 'list' ? blocks([node]) : onlyParagraphs([node])));
  return content[0]?.type === 'paragraph' ? content : [paragraph([]), ...content];
}

function onlyParagraphs(nodes: readonly RootContent[]): AdfNode[] {
  const content = blocks(nodes).map((node) =>
    node.type === 'paragraph' ? node : paragraph(textNode(textOf(node))),
  );
  return content.length === 0 ? [paragraph([])] : content;
}

/** Tables of facts have an empty first row in Markdown, which asks for one: it is left out. */
function tableNode({ children }: Table): AdfNode {
  const [head, ...body] = children;
  const empty = head?.children.every((cell) => cell.children.length === 0) ?? true;
  const rows = empty ? body : children;
  return {
    type: 'table',
    content: rows.map((row) => ({
      type: 'tableRow',
      content: row.children.map((cell) => ({
        type: !empty && row === head ? 'tableHeader' : 'tableCell',
        content: [paragraph(inline(cell.children))],
      })),
    })),
  };
}

function inline(nodes: readonly PhrasingContent[], marks: readonly AdfMark[] = []): AdfNode[] {
  return nodes.flatMap((node): AdfNode[] => {
    switch (node.type) {
      case 'text':
        return textNode(node.value, marks);
      case 'strong':
        return inline(node.children, [...marks, { type: 'strong' }]);
      case 'emphasis':
        return inline(node.children, [...marks, { type: 'em' }]);
      case 'delete':
        return inline(node.children, [...marks, { type: 'strike' }]);
      case 'inlineCode':
        return textNode(node.value, [...marks, { type: 'code' }]);
      case 'link':
        return /^https?:\/\//i.test(node.url)
          ? inline(node.children, [...marks, { type: 'link', attrs: { href: node.url } }])
          : inline(node.children, marks);
      case 'break':
        return [{ type: 'hardBreak' }];
      case 'html':
        return textNode(node.value, marks);
      case 'image':
        return textNode(node.alt ?? '', marks);
      default:
        return [];
    }
  });
}

/** Each kind once; code goes with links only (https://developer.atlassian.com/cloud/jira/platform/apis/document/marks/code/). */
function marksOf(marks: readonly AdfMark[]): AdfMark[] {
  const each = [...new Map(marks.map((mark) => [mark.type, mark])).values()];
  return each.some(({ type }) => type === 'code')
    ? each.filter(({ type }) => type === 'code' || type === 'link')
    : each;
}
