/** Any JSON of the API: what is asserted on is compared as it is. */
export type Json = Record<string, unknown> & {
  metadata: {
    name: string;
    uid: string;
    generation?: number;
    creationTimestamp: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: object[];
    deletionTimestamp?: string;
  };
};

export function numberOf(revision: Json): number {
  if (typeof revision.revision === 'number') return revision.revision;
  return Number(revision.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
}

export function controllerUid({ ownerReferences = [] }: Json['metadata']): string | undefined {
  const references = ownerReferences as { uid: string; controller?: boolean }[];
  return references.find(({ controller }) => controller)?.uid;
}
