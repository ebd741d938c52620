import { describe, expect, it } from 'vitest';
import type { Target } from '../../domain/target.ts';
import { setBackBy, whyNotInInventory } from './flux.ts';
import type { RawObject } from './objects.ts';

const TARGET: Target = { cluster: 'c', namespace: 'ai', kind: 'Rollout', name: 'llm' };
const METADATA = { name: 'apps', namespace: 'flux-system', uid: 'u', creationTimestamp: '' };
const WORKLOAD = { ...METADATA, name: 'llm', namespace: 'ai' };

function object(spec: Record<string, unknown>, entries: unknown = []): RawObject {
  return { metadata: METADATA, spec, status: { inventory: { entries } } };
}

describe('whyNotInInventory', () => {
  it('wants the very object in the inventory, by namespace, name, group and kind', () => {
    const has = (id: string) =>
      whyNotInInventory('Kustomization', object({}, [{ id, v: 'v1' }]), TARGET, WORKLOAD);
    expect(has('ai_llm_argoproj.io_Rollout')).toBeUndefined();
    expect(has('ai_llm_apps_Deployment')).toMatch(/lists no Rollout ai\/llm/);
    expect(whyNotInInventory('Kustomization', object({}, 'x'), TARGET, WORKLOAD)).toMatch(/lists no/);
  });

  it('does not take another cluster`s workload of the same name', () => {
    const remote = object({ kubeConfig: { secretRef: { name: 'x' } } }, [
      { id: 'ai_llm_argoproj.io_Rollout' },
    ]);
    expect(whyNotInInventory('Kustomization', remote, TARGET, WORKLOAD)).toMatch(/another cluster/);
  });

  it('knows a release by the name that Helm wrote on the workload, where there is no inventory', () => {
    const marked = (name: string, namespace: string) => ({
      ...WORKLOAD,
      annotations: { 'meta.helm.sh/release-name': name, 'meta.helm.sh/release-namespace': namespace },
    });
    const why = (spec: Record<string, unknown>, workload: typeof WORKLOAD) =>
      whyNotInInventory('HelmRelease', object(spec), TARGET, workload);
    expect(why({}, marked('apps', 'flux-system'))).toBeUndefined();
    expect(why({ targetNamespace: 'ai' }, marked('ai-apps', 'ai'))).toBeUndefined();
    expect(why({ targetNamespace: 'ai', releaseName: 'r' }, marked('r', 'ai'))).toBeUndefined();
    expect(why({ targetNamespace: 'ai' }, marked('apps', 'ai'))).toMatch(/is not the one that Helm names/);
    expect(why({}, WORKLOAD)).toMatch(/is not the one that Helm names/);
  });
});

describe('setBackBy', () => {
  const written = (manager: string, fieldsV1: object): RawObject => ({
    metadata: { ...METADATA, managedFields: [{ manager, operation: 'Apply', fieldsV1 }] },
  });

  it('is the tool that writes the field itself, and no person', () => {
    const field = { 'f:spec': { 'f:suspend': {} } };
    expect(setBackBy(written('kustomize-controller', field), 'suspend')).toBe('kustomize-controller');
    expect(setBackBy(written('flux', field), 'suspend')).toBeUndefined();
    expect(
      setBackBy(written('kustomize-controller', { 'f:spec': { 'f:path': {} } }), 'suspend'),
    ).toBeUndefined();
    expect(setBackBy({ metadata: METADATA }, 'suspend')).toBeUndefined();
  });
});
