import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { escapeMarkdown } from '../../domain/plain-text.ts';
import { type AdfNode, documentOf, textOf, toAdf } from './adf.ts';
import { fitted } from './fit.ts';
import { replacePanel, statusPanel } from './status-panel.ts';

const { $schema: _, ...schema } = JSON.parse(
  readFileSync(new URL('../../test/vendors/jira/adf.schema.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;
const valid = new Ajv({ strict: false, logger: false }).compile(schema);

function typesIn(nodes: readonly AdfNode[]): string[] {
  return nodes.flatMap((node) => [
    node.type,
    ...(node.marks ?? []).map((mark) => mark.type),
    ...typesIn(node.content ?? []),
  ]);
}

describe('a document made of Markdown', () => {
  it('has what tickets are written with', () => {
    const content = toAdf(
      [
        '# Title',
        'A **bold** and *slanted* [link](https://a.example/x) with `code`.',
        '- one\n- two\n  - three',
        '1. first',
        '| | |\n|---|---|\n| a | b |',
        '| h | i |\n|---|---|\n| c | d |',
        '> quoted',
        '```\ncode\n```',
        '---',
      ].join('\n\n'),
    );
    expect(valid(documentOf(content)), JSON.stringify(valid.errors?.slice(0, 3))).toBe(true);
    expect(content.map(({ type }) => type)).toEqual([
      'heading',
      'paragraph',
      'bulletList',
      'orderedList',
      'table',
      'table',
      'blockquote',
      'codeBlock',
      'rule',
    ]);
    expect(content[4]?.content).toHaveLength(1);
    expect(typesIn([content[5] as AdfNode])).toContain('tableHeader');
    expect(typesIn(content)).toEqual(expect.arrayContaining(['strong', 'em', 'link', 'code']));
  });

  it.each([
    '<adf>{"type":"mention","attrs":{"id":"1"}}</adf>',
    '<script>alert(1)</script>',
    '![tracked](https://evil.example/pixel.png)',
    '[x](javascript:alert(1))',
    '[x]: https://evil.example\n\n[x]',
    '- [ ] task',
    'text[^1]\n\n[^1]: note',
  ])('takes %j for text', (markdown) => {
    const document = documentOf(toAdf(markdown));
    expect(valid(document)).toBe(true);
    expect(typesIn(document.content)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/mention|media|Card|extension|taskItem/)]),
    );
    expect(JSON.stringify(document)).not.toMatch(/"href":"(?!https?:)/);
  });

  it('shows what was escaped as it was written', () => {
    const text = 'a *b* <i>c</i> [d](e) | # f & g_h `i` ~j~';
    expect(textOf({ type: 'doc', content: toAdf(`| x | ${escapeMarkdown(text)} |\n|---|---|`) })).toBe(
      `x${text}`,
    );
  });
});

describe('a document that is too long', () => {
  it('loses its end by rows, stays valid, and keeps note and last line', () => {
    const rows = Array.from({ length: 2_000 }, (_row, at) => `| ${at} | value |`);
    const line = (text: string): AdfNode => ({ type: 'paragraph', content: [{ type: 'text', text }] });
    const cut = fitted(toAdf(['| a | b |', '|---|---|', ...rows].join('\n')), [line('cut')], [line('last')]);
    expect(JSON.stringify(cut).length).toBeLessThanOrEqual(32_767);
    expect(JSON.stringify(cut).length).toBeGreaterThan(32_000);
    expect(valid(cut)).toBe(true);
    expect(cut.content.map(({ type }) => type)).toEqual(['table', 'paragraph', 'paragraph']);
    expect(cut.content.slice(1).map(textOf)).toEqual(['cut', 'last']);
  });

  it('is left as it is where it fits', () => {
    const content = toAdf('short');
    expect(fitted(content, toAdf('cut'))).toEqual(documentOf(content));
  });
});

describe('the section that Firebreak keeps up to date', () => {
  it('is replaced where it stands, and left where people took it out or copied it', () => {
    const mine = toAdf('mine');
    const standing = [...mine, statusPanel('- State: triggered'), ...mine];
    const replaced = replacePanel(standing, '- State: closed');
    expect(replaced?.map(textOf).join()).toContain('State: closed');
    expect(replaced).toHaveLength(3);
    expect(valid(documentOf(replaced ?? []))).toBe(true);
    expect(replacePanel(standing, '- State: triggered')).toBeUndefined();
    expect(replacePanel(mine, '- State: closed')).toBeUndefined();
    expect(replacePanel([...standing, ...standing], '- State: closed')).toBeUndefined();
  });
});
