import { describe, expect, it } from 'vitest';
import { gitOpsClaims } from './claims.ts';

const SELF = { group: 'apps', kind: 'Deployment', namespace: 'ai', name: 'llm' };

function claimsOf(marks: { labels?: Record<string, string>; annotations?: Record<string, string> }) {
  return gitOpsClaims(marks, SELF);
}

function tracking(id: string) {
  return claimsOf({ annotations: { 'argocd.argoproj.io/tracking-id': id } });
}

describe('gitOpsClaims', () => {
  it('finds nothing where nothing is marked', () => {
    expect(claimsOf({})).toEqual({ claims: [], warnings: [] });
  });

  it('reads a tracking id, with and without the namespace of the application', () => {
    expect(tracking('models:apps/Deployment:ai/llm').claims).toEqual([
      { kind: 'Application', owner: 'Argo CD application models', name: 'models', weak: false },
    ]);
    expect(tracking('team-a_models:apps/Deployment:ai/llm').claims).toEqual([
      {
        kind: 'Application',
        owner: 'Argo CD application team-a_models',
        name: 'models',
        namespace: 'team-a',
        weak: false,
      },
    ]);
  });

  it.each([
    'models:apps/StatefulSet:ai/llm',
    'models:apps/Deployment:ai/other',
    'models:apps/Deployment:dev/llm',
  ])('does not count the id of another object: %s', (id) => {
    const { claims, warnings } = tracking(id);
    expect(claims).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  it.each(['../../secrets', 'UPPER', 'a b', '', '_', 'a_b_c', 'x'.repeat(300), '__proto__', 'a\u202eb'])(
    'names but never asks for what is no name: %j',
    (mark) => {
      const [claim] = tracking(mark).claims;
      expect(claim).toMatchObject({ kind: 'Application', weak: false });
      expect(claim).not.toHaveProperty('name');
      expect(claim?.owner.length).toBeLessThanOrEqual(120);
      expect(claim?.owner).not.toMatch(/[\n\u202e]/);
    },
  );

  it('takes the label that charts use as a hint only, and not beside a better one', () => {
    const labels = { 'app.kubernetes.io/instance': 'models' };
    expect(claimsOf({ labels }).claims).toMatchObject([{ name: 'models', weak: true }]);
    const annotations = { 'argocd.argoproj.io/tracking-id': 'models:apps/Deployment:ai/llm' };
    expect(claimsOf({ labels, annotations }).claims).toMatchObject([{ name: 'models', weak: false }]);
  });

  it('finds every tool that marks the workload', () => {
    const labels = {
      'kustomize.toolkit.fluxcd.io/name': 'apps',
      'kustomize.toolkit.fluxcd.io/namespace': 'flux-system',
      'helm.toolkit.fluxcd.io/name': 'llm',
      'argocd.argoproj.io/instance': 'models',
    };
    expect(claimsOf({ labels }).claims).toMatchObject([
      { kind: 'Application', name: 'models' },
      { kind: 'Kustomization', name: 'apps', namespace: 'flux-system', owner: 'Flux Kustomization apps' },
      { kind: 'HelmRelease', name: 'llm', owner: 'Flux HelmRelease llm' },
    ]);
  });
});
