/** What the drawing library takes: elements as React makes them, as plain JSON. */
export interface Element {
  type: 'div' | 'span' | 'img';
  props: {
    style: Record<string, string | number>;
    children?: Child | Child[];
    src?: string;
    width?: number;
    height?: number;
  };
}
type Child = Element | string;

export interface Picture {
  /** File name under docs/pictures, without its ending. */
  name: string;
  /** For those who do not see it. */
  alt: string;
  width: number;
  element: Element;
}

/** A box; its children stand below one another. */
export function column(style: Element['props']['style'], children: Child[]): Element {
  return box({ flexDirection: 'column', ...style }, children);
}

/** A box; its children stand beside one another. */
export function row(style: Element['props']['style'], children: Child[]): Element {
  return box({ flexDirection: 'row', ...style }, children);
}

/** Text as it is, with its line breaks and spaces. */
export function text(content: string, style: Element['props']['style'] = {}): Element {
  return {
    type: 'div',
    props: { style: { whiteSpace: 'pre-wrap', boxSizing: 'border-box', ...style }, children: content },
  };
}

function box(style: Element['props']['style'], children: Child[]): Element {
  return { type: 'div', props: { style: { display: 'flex', boxSizing: 'border-box', ...style }, children } };
}
