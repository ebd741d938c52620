import type { GitOpsSource } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { RawMetadata } from '../kubernetes/raw-objects.ts';
import { oneLine } from '../kubernetes/revisions.ts';
import { withoutAbsent } from './argo-cd.ts';
import { GROUP_OF } from './claims.ts';
import { at, listAt, type RawObject, textAt, withoutUser, writerOf } from './objects.ts';

/**
 * Flux' Kustomization and HelmRelease, read as objects.
 * https://fluxcd.io/flux/components/kustomize/kustomizations/, https://fluxcd.io/flux/components/helm/helmreleases/
 */

const MAX_SOURCE_CHARS = 200;

/** Tools that apply manifests. People (kubectl, the flux command) are not in it: what they set nobody sets again. */
const APPLIERS = [
  'kustomize-controller',
  'helm-controller',
  'argocd-controller',
  'argocd-application-controller',
  'argocd-applicationset-controller',
];

export function isSuspended(object: RawObject): boolean {
  return at(object.spec, 'suspend') === true;
}

/**
 * Which tool would set the field back: one whose manifest has it. Server-side apply leaves fields alone that no manifest
 * has (https://fluxcd.io/flux/faq/#why-are-kubectl-edits-rolled-back-by-flux), and reverts those that one has: seen in
 * https://github.com/fluxcd/flux2/issues/3462.
 */
export function setBackBy(object: RawObject, ...field: string[]): string | undefined {
  return writerOf(object.metadata, ['spec', ...field], APPLIERS);
}

/** Why a Flux object does not manage this workload by its own account; undefined where it does. */
export function whyNotInInventory(
  kind: 'Kustomization' | 'HelmRelease',
  object: RawObject,
  target: Target,
  workload: RawMetadata,
): string | undefined {
  if (at(object.spec, 'kubeConfig') !== undefined) {
    return 'it deploys to another cluster than its own, by its kubeConfig';
  }
  const entries = listAt(object.status, 'inventory', 'entries');
  if (kind === 'Kustomization' || entries.length > 0) {
    const id = `${target.namespace}_${target.name}_${GROUP_OF[target.kind]}_${target.kind}`;
    return entries.some((entry) => textAt(entry, 'id') === id)
      ? undefined
      : `its inventory lists no ${target.kind} ${target.namespace}/${target.name}`;
  }
  // Older helm-controllers keep no inventory: the release that Helm wrote on the workload has to be this one's.
  const { name, namespace } = object.metadata;
  const releaseNamespace = textAt(object.spec, 'targetNamespace') ?? namespace;
  const prefix = textAt(object.spec, 'targetNamespace');
  const releaseName =
    textAt(object.spec, 'releaseName') ?? (prefix === undefined ? name : `${prefix}-${name}`);
  const { annotations = {} } = workload;
  const same =
    annotations['meta.helm.sh/release-name'] === releaseName &&
    annotations['meta.helm.sh/release-namespace'] === releaseNamespace;
  return same
    ? undefined
    : `its release ${releaseNamespace}/${releaseName} is not the one that Helm names on the workload`;
}

/** Where a Kustomization's source is: `spec.sourceRef`, in its own namespace unless said otherwise. */
export function sourceRefOf(kustomization: RawObject): { kind: string; namespace: string; name: string } {
  return {
    kind: textAt(kustomization.spec, 'sourceRef', 'kind') ?? '',
    namespace: textAt(kustomization.spec, 'sourceRef', 'namespace') ?? kustomization.metadata.namespace,
    name: textAt(kustomization.spec, 'sourceRef', 'name') ?? '',
  };
}

export function kustomizationSource(kustomization: RawObject, source: RawObject | undefined): GitOpsSource {
  const ref = sourceRefOf(kustomization);
  const follows = ['commit', 'name', 'semver', 'tag', 'branch', 'digest']
    .map((key) => textAt(source?.spec, 'ref', key))
    .find((text) => text !== undefined);
  return withoutAbsent({
    repository: line(withoutUser(textAt(source?.spec, 'url')) ?? `${ref.kind} ${ref.namespace}/${ref.name}`),
    path: line(textAt(kustomization.spec, 'path')),
    follows: line(follows),
    revision: line(textAt(kustomization.status, 'lastAppliedRevision')),
  });
}

/** What a source has now, fetched whether or not anything applies it: `main@sha1:<commit>`. */
export function artifactRevision(source: RawObject | undefined): string | undefined {
  return line(textAt(source?.status, 'artifact', 'revision'));
}

/** @param parent the Kustomization that writes the HelmRelease: what it last applied is the revision in Git. */
export function releaseSource(release: RawObject, parent: RawObject | undefined): GitOpsSource {
  return withoutAbsent({
    repository: line(
      textAt(release.spec, 'chart', 'spec', 'sourceRef', 'name') ?? textAt(release.spec, 'chartRef', 'name'),
    ),
    path: line(textAt(release.spec, 'chart', 'spec', 'chart')),
    follows: line(textAt(release.spec, 'chart', 'spec', 'version')),
    revision: line(textAt(parent?.status, 'lastAppliedRevision')),
  });
}

function line(text: string | undefined): string | undefined {
  return oneLine(text, MAX_SOURCE_CHARS);
}
