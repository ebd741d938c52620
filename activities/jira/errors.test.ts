import { AxiosError, AxiosHeaders } from 'axios';
import { describe, expect, it } from 'vitest';
import { fromCreation, fromJira, refusedFields } from './errors.ts';

const NOW_MS = Date.UTC(2026, 2, 1, 10);

function answered(status: number, headers: Record<string, string> = {}, data: unknown = {}): AxiosError {
  const config = { headers: new AxiosHeaders() };
  return new AxiosError('s3cret', 'ERR_BAD_REQUEST', config, undefined, {
    status,
    statusText: '',
    headers,
    config,
    data,
  });
}

describe('a rate limit', () => {
  it.each([
    [{ 'retry-after': '5', 'x-ratelimit-reset': '2026-03-01T10:09:00Z' }, 5_000],
    [{ 'x-ratelimit-reset': '2026-03-01T10:02Z' }, 120_000],
    [{ 'x-ratelimit-reset': '2027-03-01T10:02Z' }, undefined],
    [{ 'x-ratelimit-reset': 'soon' }, undefined],
    [{}, undefined],
  ])('is waited for as %j says', (headers, delayMs) => {
    const failure = fromJira(answered(429, headers), 'Jira search', 'the search', NOW_MS);
    expect(failure).toMatchObject({ type: 'RateLimited', nonRetryable: false });
    expect(failure.nextRetryDelay).toBe(delayMs);
  });
});

describe('a creation', () => {
  it.each([
    ['ECONNREFUSED', undefined],
    ['ENOTFOUND', undefined],
    ['ECONNRESET', 60_000],
    ['ETIMEDOUT', 60_000],
  ])('that ended with %s is tried again after %s', (code, delayMs) => {
    const failure = fromCreation(new AxiosError('x', code), 'Jira create issue', 'project OPS');
    expect(failure.type).toBe('Unavailable');
    expect(failure.nextRetryDelay).toBe(delayMs);
  });

  it('waits longer where Jira asks for it', () => {
    const failure = fromCreation(answered(503, { 'retry-after': '90' }), 'Jira create issue', 'project OPS');
    expect(failure.nextRetryDelay).toBe(90_000);
  });
});

it('reads names of fields from an answer, and nothing that could be anything else', () => {
  const errors = { duedate: 'x', customfield_10010: 'x', 'a"><script>': 'x', [`a${'b'.repeat(80)}`]: 'x' };
  expect(refusedFields(answered(400, {}, { errors }))).toEqual(['duedate', 'customfield_10010']);
  for (const data of [undefined, null, 'text', {}, { errors: null }]) {
    expect(refusedFields(answered(400, {}, data))).toEqual([]);
  }
  expect(refusedFields(new Error('x'))).toEqual([]);
});
