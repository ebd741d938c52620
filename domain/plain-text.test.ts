import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeMarkdown, escapeSlack, escapeSlackWithin, stripControl, truncate } from './plain-text.ts';

describe('stripControl', () => {
  it.each([
    ['a\nb\r\nc\td', 'a b c d'],
    ['a\u2028b\u2029c\u0085d', 'a b c d'],
    ['safe\u202egnp.exe', 'safegnp.exe'],
    ['zero\u200bwidth\ufeff', 'zerowidth'],
    ['\u001b[31mred', '[31mred'],
    ['lone \ud800 surrogate', 'lone  surrogate'],
    ['déjà vu 模型 🔥', 'déjà vu 模型 🔥'],
  ])('makes %j into %j', (text, plain) => {
    expect(stripControl(text)).toBe(plain);
  });
});

describe('truncate', () => {
  it('keeps what fits, marks a cut and never leaves half a character', () => {
    expect(truncate('abcd', 4)).toBe('abcd');
    expect(truncate('abcde', 4)).toBe('abc…');
    expect(truncate('abc', 0)).toBe('');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, length) => {
        const cut = truncate(text, length);
        expect(cut.length).toBeLessThanOrEqual(length);
        expect(cut.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('escapeMarkdown', () => {
  it.each([
    ['# heading', '\\# heading'],
    ['[x](http://e)', '\\[x\\]\\(http\\:\u200b//e\\)'],
    ['<script>alert(1)</script>', '&lt;script\\>alert\\(1\\)&lt;/script\\>'],
    ['<!-- firebreak:incident=x -->', '&lt;\\!\\-\\- firebreak\\:incident\\=x \\-\\-\\>'],
    ['&lt;b&gt;', '&amp;lt;b&amp;gt;'],
    ['| a | b |', '\\| a \\| b \\|'],
    ['**bold** _it_ `code` ~~no~~', '\\*\\*bold\\*\\* \\_it\\_ \\`code\\` \\~\\~no\\~\\~'],
    ['1. item', '1\\. item'],
    ['www.example.com', 'www\u200b\\.example\\.com'],
    ['two\n# lines', 'two \\# lines'],
  ])('escapes %j', (text, escaped) => {
    expect(escapeMarkdown(text)).toBe(escaped);
  });

  it('breaks what GitHub recognises after rendering: mentions, issue references, emoji', () => {
    expect(escapeMarkdown('@channel')).toBe('@\u200bchannel');
    expect(escapeMarkdown('a@b.example')).toBe('a@\u200bb\\.example');
    expect(escapeMarkdown('fixes #12')).toBe('fixes \\#\u200b12');
    expect(escapeMarkdown('GH-12')).toBe('GH\\-\u200b12');
    expect(escapeMarkdown(':fire:')).toBe('\\:\u200bfire\\:');
  });

  it('leaves no character that could start markup unescaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const rest = escapeMarkdown(text)
          .replace(/\\[\\`*_{}[\]()#+\-.!|>~=:^$]/g, '')
          .replace(/&(amp|lt);/g, '')
          .replaceAll('@\u200b', '');
        expect(rest).not.toMatch(/[\\`*_{}[\]()#|<>~@&\n\r]/);
      }),
    );
  });
});

describe('escapeSlack', () => {
  it.each([
    ['<!channel>', '&lt;!channel&gt;'],
    ['<@U123>', '&lt;@U123&gt;'],
    ['<http://e|click>', '&lt;http://e|click&gt;'],
    ['a & b', 'a &amp; b'],
    ['&lt;!here&gt;', '&amp;lt;!here&amp;gt;'],
  ])('escapes %j', (text, escaped) => {
    expect(escapeSlack(text)).toBe(escaped);
  });
});

describe('escapeSlackWithin', () => {
  it('keeps line breaks', () => {
    expect(escapeSlackWithin('a < b\nc', 100)).toBe('a &lt; b\nc');
  });

  it('fits the limit and never cuts an entity', () => {
    expect(escapeSlackWithin('<<<<<<', 10)).toMatch(/^(&lt;)+…$/);
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('<', '>', '&', 'a', '\n', '🔥') }),
        fc.nat(40),
        (text, length) => {
          const escaped = escapeSlackWithin(text, length);
          expect(escaped.length).toBeLessThanOrEqual(length);
          expect(escaped.replace(/&(amp|lt|gt);/g, '')).not.toMatch(/[&<>]/);
        },
      ),
    );
  });
});
