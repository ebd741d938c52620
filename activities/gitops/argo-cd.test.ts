import { describe, expect, it } from 'vitest';
import type { Target } from '../../domain/target.ts';
import {
  argoSource,
  automatedOf,
  comparedBy,
  whyNotListed,
  whyUndoneByParent,
  whyUndoneBySet,
} from './argo-cd.ts';
import type { RawObject } from './objects.ts';

const TARGET: Target = { cluster: 'c', namespace: 'ai', kind: 'Deployment', name: 'llm' };
const METADATA = { name: 'models', namespace: 'argocd', uid: 'u', creationTimestamp: '' };
const SOURCE = { repoURL: 'https://git', path: 'prod', targetRevision: 'main' };

function app(spec: object = {}, status: object = {}): RawObject {
  const destination = { server: 'https://kubernetes.default.svc' };
  const resources = [{ group: 'apps', kind: 'Deployment', namespace: 'ai', name: 'llm', status: 'Synced' }];
  return {
    metadata: METADATA,
    spec: { source: SOURCE, destination, ...spec },
    status: {
      reconciledAt: '2026-01-01T00:00:00Z',
      resources,
      sync: { status: 'Synced', revision: 'abc', comparedTo: { source: SOURCE, destination } },
      ...status,
    },
  };
}

describe('automatedOf', () => {
  it.each([
    [{ automated: {} }, true],
    [{ automated: { enabled: true } }, true],
    [{ automated: { enabled: false, selfHeal: true } }, false],
    [{ automated: null }, false],
    [{ automated: [] }, false],
    [{}, false],
  ])('%j syncs by itself: %s', (syncPolicy, yes) => {
    expect(automatedOf(app({ syncPolicy })) !== undefined).toBe(yes);
  });
});

describe('whyNotListed', () => {
  it('wants the workload itself, in this cluster', () => {
    expect(whyNotListed(app(), TARGET)).toBeUndefined();
    expect(whyNotListed(app({ destination: { name: 'in-cluster' } }), TARGET)).toBeUndefined();
    expect(whyNotListed(app({ destination: { server: 'https://10.0.0.1' } }), TARGET)).toMatch(
      /another cluster/,
    );
    expect(whyNotListed(app({ destination: undefined }), TARGET)).toMatch(/another cluster/);
    expect(whyNotListed(app(), { ...TARGET, kind: 'StatefulSet' })).toMatch(/lists no StatefulSet/);
    expect(whyNotListed(app(), { ...TARGET, namespace: 'dev' })).toMatch(/lists no Deployment dev/);
    expect(whyNotListed(app({}, { resources: 'x' }), TARGET)).toMatch(/lists no/);
  });
});

describe('comparedBy', () => {
  it('says what was compared, and when', () => {
    expect(comparedBy(app(), TARGET)).toEqual({
      status: 'Synced',
      revision: 'abc',
      atMs: Date.parse('2026-01-01T00:00:00Z'),
    });
    expect(comparedBy({ metadata: METADATA }, TARGET)).toMatchObject({ status: 'unknown', atMs: Number.NaN });
  });

  it.each([
    [{ group: 'apps', kind: 'Deployment', jsonPointers: ['/spec/template/spec/containers/0/image'] }, true],
    [{ kind: '*', group: '*', jsonPointers: ['/spec'] }, true],
    [{ kind: 'Deployment', jqPathExpressions: ['.spec.replicas'] }, true],
    [{ kind: 'Deployment', managedFieldsManagers: ['x'] }, true],
    [{ kind: 'Deployment', group: 'apps', jsonPointers: ['/spec/replicas'] }, false],
    [{ kind: 'Deployment', group: 'apps', name: 'other', jsonPointers: ['/spec/template'] }, false],
    [{ kind: 'ConfigMap', jsonPointers: ['/spec/template'] }, false],
  ])('with %j it is blind: %s', (rule, blind) => {
    expect(comparedBy(app({ ignoreDifferences: [rule] }), TARGET).blind !== undefined).toBe(blind);
  });

  it('is blind to a source that it has not compared with', () => {
    expect(comparedBy(app({ source: { ...SOURCE, targetRevision: 'dev' } }), TARGET).blind).toMatch(/source/);
    expect(comparedBy(app({ source: undefined, sources: [SOURCE, SOURCE] }), TARGET).blind).toMatch(/source/);
  });
});

describe('what would undo a suspension', () => {
  const set = (spec: object): RawObject => ({ metadata: METADATA, spec: spec as Record<string, unknown> });
  const preservedFields = { annotations: ['firebreak.dev/suspended'] };

  it.each([
    [{}, /ignoreApplicationDifferences.*preservedFields/],
    [{ preservedFields }, /ignoreApplicationDifferences/],
    [{ ignoreApplicationDifferences: [{ jsonPointers: ['/spec/syncPolicy'] }] }, /preservedFields/],
    [
      { preservedFields, ignoreApplicationDifferences: [{ name: 'b', jsonPointers: ['/spec/syncPolicy'] }] },
      /needs/,
    ],
    [{ preservedFields, syncPolicy: { applicationsSync: 'create-only' } }, /needs/],
  ])('an ApplicationSet with %j would', (spec, why) => {
    expect(whyUndoneBySet(set(spec), 'models')).toMatch(why);
  });

  it.each([
    { preservedFields, ignoreApplicationDifferences: [{ jsonPointers: ['/spec/syncPolicy'] }] },
    {
      preservedFields,
      ignoreApplicationDifferences: [{ name: 'models', jqPathExpressions: ['.spec.syncPolicy.automated'] }],
    },
    {
      ignoreApplicationDifferences: [
        { jsonPointers: ['/spec/syncPolicy/automated', '/metadata/annotations'] },
      ],
    },
  ])('an ApplicationSet with %j would not', (spec) => {
    expect(whyUndoneBySet(set(spec), 'models')).toBeUndefined();
  });

  it('a parent that syncs by itself would, unless it ignores and respects', () => {
    const child = { namespace: 'argocd', name: 'models' };
    const ignoreDifferences = [
      { group: '*', kind: 'Application', jsonPointers: ['/spec/syncPolicy/automated'] },
    ];
    const syncPolicy = { automated: {} };
    expect(whyUndoneByParent(app(), child)).toBeUndefined();
    expect(whyUndoneByParent(app({ syncPolicy }), child)).toMatch(/RespectIgnoreDifferences/);
    expect(whyUndoneByParent(app({ syncPolicy, ignoreDifferences }), child)).toMatch(/Respect/);
    const respects = { ...syncPolicy, syncOptions: ['RespectIgnoreDifferences=true'] };
    expect(whyUndoneByParent(app({ syncPolicy: respects, ignoreDifferences }), child)).toBeUndefined();
    expect(
      whyUndoneByParent(app({ syncPolicy: respects, ignoreDifferences }), { ...child, name: 'x' }),
    ).toBeUndefined();
  });
});

it('cuts what sources say to one line', () => {
  const hostile = { repoURL: `https://git\n\u202e${'x'.repeat(500)}`, path: 7 };
  const source = argoSource(app({ source: hostile }));
  expect(source.repository).not.toMatch(/[\n\u202e]/);
  expect(source.repository?.length).toBeLessThanOrEqual(200);
  expect(source).not.toHaveProperty('path');
});
