import { expect, it } from 'vitest';
import { sameRevision } from './same-revision.ts';

const SHA = '0123456789abcdef0123456789abcdef01234567';

it.each([
  [SHA, SHA],
  [SHA.slice(0, 7), SHA],
  [SHA.slice(0, 10).toUpperCase(), `main@sha1:${SHA}`],
  [`main@sha1:${SHA}`, SHA],
  [SHA, `${'f'.repeat(40)},${SHA}`],
  ['1.2.3', '1.2.3'],
])('takes %s and %s for one revision', (named, reported) => {
  expect(sameRevision(named, reported)).toBe(true);
});

it.each([
  ['', SHA],
  [SHA, ''],
  [SHA.slice(0, 6), SHA],
  ['main', `main@sha1:${SHA}`],
  ['f'.repeat(40), SHA],
  ['1.2', '1.2.3'],
  [':', `main@sha1:${SHA}`],
  [',', `${SHA},`],
])('does not take %j and %j for one revision', (named, reported) => {
  expect(sameRevision(named, reported)).toBe(false);
});
