import { describe, expect, it } from 'vitest';
import type { RawTemplate } from './raw-objects.ts';
import { diffTemplates, referencesOf, templateHash, withoutHashLabel } from './template.ts';

function template(changes: Partial<NonNullable<RawTemplate['spec']>> = {}): RawTemplate {
  return {
    metadata: { labels: { app: 'llm' } },
    spec: { containers: [{ name: 'model', image: 'llm:v1' }], ...changes },
  };
}

describe('templateHash', () => {
  it('is the same for a Deployment`s template and its ReplicaSet`s, in whatever order the fields come', () => {
    const replicaSets: RawTemplate = {
      spec: { containers: [{ image: 'llm:v1', name: 'model' }] },
      metadata: { creationTimestamp: null, labels: { 'pod-template-hash': '6d5f', app: 'llm' } },
    };
    expect(templateHash(replicaSets)).toBe(templateHash(template()));
    expect(withoutHashLabel(replicaSets).metadata?.labels).toEqual({ app: 'llm' });
    expect(replicaSets.metadata?.labels).toHaveProperty('pod-template-hash');
  });

  it('differs where anything differs, order of containers included', () => {
    const [a, b] = [{ name: 'a' }, { name: 'b' }];
    const hashes = [
      template(),
      template({ containers: [a, b] }),
      template({ containers: [b, a] }),
      template({ hostNetwork: true }),
    ];
    expect(new Set(hashes.map(templateHash)).size).toBe(4);
  });
});

describe('diffTemplates', () => {
  it('shows what differs, masks literal environment values, and keeps references', () => {
    const env = (value: string) => [
      { name: 'TOKEN', value },
      { name: 'SAME', value: 'also secret' },
      { name: 'REF', valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } },
    ];
    const from = template({ containers: [{ name: 'model', image: 'llm:v2', env: env('s3cret-a') }] });
    const to = template({ containers: [{ name: 'model', image: 'llm:v1', env: env('s3cret-b') }] });
    const diff = diffTemplates({ name: 'revision 2', template: from }, { name: 'revision 1', template: to });
    expect(diff).toMatch(/^--- revision 2\n\+\+\+ revision 1\n/);
    expect(diff).toContain('-      image: llm:v2');
    expect(diff).toContain('+          value: (masked, changed)');
    expect(diff).not.toMatch(/s3cret|also secret/);
    expect(diffTemplates({ name: 'a', template: from }, { name: 'b', template: from })).not.toContain('@@');
  });

  it('masks init containers, and values that only one side has', () => {
    const from = template();
    const to = template({ initContainers: [{ name: 'fetch', env: [{ name: 'KEY', value: 'topsecret' }] }] });
    const diff = diffTemplates({ name: 'a', template: from }, { name: 'b', template: to });
    expect(diff).toContain('(masked)');
    expect(diff).not.toContain('topsecret');
  });
});

describe('referencesOf', () => {
  it('finds everything that an undo leaves as it is', () => {
    const found = referencesOf(
      template({
        containers: [
          {
            name: 'model',
            envFrom: [{ configMapRef: { name: 'c1' } }, { secretRef: { name: 's1' } }],
            env: [
              { name: 'A', valueFrom: { configMapKeyRef: { name: 'c2', key: 'x' } } },
              { name: 'B', valueFrom: { secretKeyRef: { name: 's2', key: 'x' } } },
              { name: 'C', valueFrom: { fieldRef: { fieldPath: 'x' } } },
            ],
          },
        ],
        volumes: [
          { name: 'v1', configMap: { name: 'c3' } },
          { name: 'v2', secret: { secretName: 's3' } },
          { name: 'v3', projected: { sources: [{ configMap: { name: 'c4' } }, { secret: { name: 's4' } }] } },
          { name: 'weights', persistentVolumeClaim: { claimName: 'w' } },
          { name: 'scratch', emptyDir: {} },
        ],
      }),
    );
    expect(found).toEqual({
      configMaps: ['c1', 'c2', 'c3', 'c4'],
      secrets: ['s1', 's2', 's3', 's4'],
      volumes: ['weights (persistentVolumeClaim)'],
    });
  });
});
