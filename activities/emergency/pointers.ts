import type { V1ConfigMap } from '@kubernetes/client-node';
import { BREAKER_CONFIG_MAP } from '../../domain/breaker.ts';
import { EMERGENCIES_ANNOTATION, parsePointers, writePointers } from '../../domain/emergency.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { fail } from '../failure.ts';
import type { ClusterClients } from '../kubernetes/cluster-clients.ts';
import { readConfigMap, writeConfigMap } from '../traffic/breaker-config-map.ts';

type Pointer = Pick<Target, 'kind' | 'name'>;

/** Every lost race means that another writer got through: this many in a row is no race any more. */
const MAX_ATTEMPTS = 10;

export async function readPointers(clients: ClusterClients, namespace: string): Promise<Pointer[]> {
  return pointersOf(await readConfigMap(clients, namespace));
}

/** Points to the workload, so that its records are found. @throws as the API answers; Conflict. */
export async function addPointer(clients: ClusterClients, target: Target): Promise<void> {
  await change(clients, target, (pointers) => [...without(pointers, target), target]);
}

/** No record of the workload waits any more. @throws as the API answers; Conflict. */
export async function removePointer(clients: ClusterClients, target: Target): Promise<void> {
  await change(clients, target, (pointers) => without(pointers, target));
}

async function change(
  clients: ClusterClients,
  target: Target,
  changed: (pointers: Pointer[]) => Pointer[],
): Promise<void> {
  const { namespace } = target;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const configMap = await readConfigMap(clients, namespace);
    const before = pointersOf(configMap);
    const value = writePointers(changed(before));
    if (value === writePointers(before)) return;
    const { metadata } = configMap ?? {};
    // Its entries stay as they are: without one, nothing is diverted.
    const body: V1ConfigMap = {
      ...configMap,
      metadata: {
        ...metadata,
        name: BREAKER_CONFIG_MAP,
        namespace,
        labels: { ...metadata?.labels, 'app.kubernetes.io/managed-by': 'firebreak' },
        annotations: { ...metadata?.annotations, [EMERGENCIES_ANNOTATION]: value },
      },
    };
    if ((await writeConfigMap(clients, namespace, body)) !== undefined) return;
  }
  throw fail(
    'Conflict',
    `${targetKey(target)}: other writers changed ConfigMap ${namespace}/${BREAKER_CONFIG_MAP} ${MAX_ATTEMPTS} times in a row`,
  );
}

function pointersOf(configMap: V1ConfigMap | undefined): Pointer[] {
  return parsePointers(configMap?.metadata?.annotations?.[EMERGENCIES_ANNOTATION]);
}

function without(pointers: readonly Pointer[], { kind, name }: Pointer): Pointer[] {
  return pointers.filter((one) => one.kind !== kind || one.name !== name);
}
