import { CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import { describe, expect, inject, it } from 'vitest';
import { type CrdSet, installCrds } from './crds.ts';
import '../setup/provided.ts';

const SETS: CrdSet[] = ['gateway-api', 'argo-rollouts', 'argo-cd', 'flux', 'kserve', 'lws', 'keda'];

describe('installCrds', () => {
  it('has every set served, also when several ask at once and again', async () => {
    const { kubeconfigPath } = inject('stack').kube;
    await Promise.all([installCrds(kubeconfigPath, SETS), installCrds(kubeconfigPath, SETS)]);
    await installCrds(kubeconfigPath, SETS);
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(kubeconfigPath);
    const objects = kubeConfig.makeApiClient(CustomObjectsApi);
    const at = { group: 'gateway.networking.k8s.io', version: 'v1', plural: 'httproutes' };
    expect((await objects.listClusterCustomObject(at)).items).toEqual([]);
  });
});
