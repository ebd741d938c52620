import { readFile } from 'node:fs/promises';
import { ApiextensionsV1Api, loadYaml, type V1CustomResourceDefinition } from '@kubernetes/client-node';
import { kubernetesStatus } from '../../activities/failure.ts';
import { type CrdSet, crdFiles } from '../../demo/parts/crds.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { connectKube } from '../../demo/world/kube-client.ts';

export type { CrdSet } from '../../demo/parts/crds.ts';

/** The API serves a definition a second after it was created; two dozen with their schemas keep a busy machine busy. */
const SERVED_WITHIN_MS = 120_000;
const HELM_RELEASES = new URL('../fixtures/crds/helmreleases.yaml', import.meta.url);

/**
 * Has the definitions of these sets in the cluster, and waits until their objects can be listed. Definitions that are
 * there already stay as they are, so that files of tests may ask for the same ones at the same time.
 */
export async function installCrds(kubeconfigPath: string, sets: readonly CrdSet[]): Promise<void> {
  const { config, objects } = connectKube(kubeconfigPath);
  const extensions = config.makeApiClient(ApiextensionsV1Api);
  const files = (await Promise.all(sets.map((set) => crdFiles(set)))).flat();
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  // Its own module cannot be had everywhere: a definition of ours has the fields that are read here.
  if (sets.includes('flux')) texts.push(await readFile(HELM_RELEASES, 'utf8'));
  const definitions = texts.map((text) => loadYaml<V1CustomResourceDefinition>(text));
  for (const body of definitions) {
    try {
      await extensions.createCustomResourceDefinition({ body });
    } catch (error) {
      if (kubernetesStatus(error) !== 409) throw error;
    }
  }
  // One after the other, and by lists of their objects: definitions are large, and Established comes too early.
  for (const { metadata, spec } of definitions) {
    const version = spec.versions.find(({ served }) => served)?.name ?? '';
    const at = { group: spec.group, version, plural: spec.names.plural, limit: 1 };
    await pollUntil(`${metadata?.name} being served`, SERVED_WITHIN_MS, async () => {
      await objects.listClusterCustomObject(at);
      return true;
    });
  }
}
