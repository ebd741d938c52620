import { describe, expect, it } from 'vitest';
import { emailKey } from './email.ts';

const same = (one: string, other: string) => emailKey(one) !== undefined && emailKey(one) === emailKey(other);

describe('two addresses', () => {
  it.each([
    ['Mara@Example.COM', 'mara@example.com'],
    // NFC: e and a combining accent, or one letter.
    ['ren\u0065\u0301@example.com', 'ren\u00e9@example.com'],
    ['mara@b\u00fccher.example', 'mara@xn--bcher-kva.example'],
    ['mara@B\u00dcCHER.example', 'mara@b\u00fccher.example'],
  ])('%s and %s are one', (one, other) => expect(same(one, other)).toBe(true));

  it.each([
    ['mara+incidents@example.com', 'mara@example.com'],
    ['m.ara@example.com', 'mara@example.com'],
    ['mara@mail.example.com', 'mara@example.com'],
    ['mara@example.com.evil.example', 'mara@example.com'],
    // Cyrillic a; Kelvin sign for k; long s for s: what looks or folds alike is not.
    ['m\u0430ra@example.com', 'mara@example.com'],
    ['mi\u212ae@example.com', 'mike@example.com'],
    ['\u017fam@example.com', 'sam@example.com'],
  ])('%s and %s are two', (one, other) => expect(same(one, other)).toBe(false));
});

describe('what is no address has no key', () => {
  it.each([
    '',
    'mara',
    '@example.com',
    'mara@',
    'a@b@example.com',
    'ma ra@example.com',
    'mara@example.com\n',
    'ma\u202era@example.com',
    `${'a'.repeat(250)}@example.com`,
  ])('%j', (text) => expect(emailKey(text)).toBeUndefined());
});
