import { describe, expect, it } from 'vitest';
import { WORKLOAD_KINDS } from './target.ts';
import { isNamespaceName, parseTargetReference } from './target-reference.ts';

describe('parseTargetReference', () => {
  it.each(['deployment/llm-api', 'Deployment/llm-api', 'deploy/llm-api', 'deployments.apps/llm-api'])(
    'takes %s as kubectl does',
    (text) => {
      expect(parseTargetReference(text)).toEqual({ kind: 'Deployment', name: 'llm-api' });
    },
  );

  it('knows every kind of workload', () => {
    const kinds = ['deploy/a', 'sts/a', 'ro/a'].map((text) => parseTargetReference(text)?.kind);
    expect(kinds).toEqual([...WORKLOAD_KINDS]);
  });

  it.each([
    'llm-api',
    'deployment/',
    'deployment/a/b',
    'pod/llm-api',
    'constructor/llm-api',
    'deployment/LLM',
    'deployment/../secrets',
    'deployment/a..b',
    'deployment/\u001b[2J',
    'deployment/a?dryRun=All',
    `deployment/${'a'.repeat(254)}`,
  ])('does not take %j', (text) => {
    expect(parseTargetReference(text)).toBeUndefined();
  });
});

describe('isNamespaceName', () => {
  it('is an RFC 1123 label', () => {
    expect(isNamespaceName('models-1')).toBe(true);
    for (const text of ['', '-a', 'a.b', 'a/b', 'A', 'a'.repeat(64)])
      expect(isNamespaceName(text)).toBe(false);
  });
});
