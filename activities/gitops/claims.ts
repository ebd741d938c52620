import type { GitOpsKind } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import type { RawMetadata } from '../kubernetes/raw-objects.ts';
import { oneLine } from '../kubernetes/revisions.ts';
import { isObjectName } from './objects.ts';

/** As long as two names of objects. */
const MAX_OWNER_CHARS = 120;

/** What the marks of a workload say about the tool that writes it from Git: a claim, until the tool's object agrees. */
export interface GitOpsClaim {
  kind: GitOpsKind;
  /** For people: `Argo CD application models`. One line, whatever the mark holds. */
  owner: string;
  /** Absent where the mark is no name of an object: it is never asked for then. */
  name?: string;
  /** Absent where the mark does not say: the namespaces of the configuration are looked at. */
  namespace?: string;
  /** The mark is used by others as well (`app.kubernetes.io/instance`): it means nothing until the tool agrees. */
  weak: boolean;
}

/** API groups by which the tools name a workload. */
export const GROUP_OF: Record<Target['kind'], string> = {
  Deployment: 'apps',
  StatefulSet: 'apps',
  Rollout: 'argoproj.io',
};

/** https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/ */
const TRACKING_ID = 'argocd.argoproj.io/tracking-id';
const INSTANCE_KEYS = ['argocd.argoproj.io/instance', 'app.kubernetes.io/instance'];

/** `<application>:<group>/<kind>:<namespace>/<name>` */
const TRACKING_ID_FORM = /^([^:]*):([^:/]*)\/([^:/]*):([^:/]*)\/([^:/]*)$/;

type Marked = Pick<RawMetadata, 'labels' | 'annotations'>;

/**
 * Tools that claim to write an object from Git, each object of theirs once, best evidence first.
 * @param self the object that carries the marks, as a tracking id names it.
 */
export function gitOpsClaims(
  { labels = {}, annotations = {} }: Marked,
  self: { group: string; kind: string; namespace: string; name: string },
): { claims: GitOpsClaim[]; warnings: string[] } {
  const claims: GitOpsClaim[] = [];
  const warnings: string[] = [];
  const add = (claim: GitOpsClaim): void => {
    const same = (other: GitOpsClaim) =>
      other.kind === claim.kind && (other.name === claim.name || claim.weak) && other.owner !== '';
    if (!claims.some(same)) claims.push(claim);
  };
  const mark = (key: string): string | undefined => annotations[key] ?? labels[key];

  const trackingId = mark(TRACKING_ID);
  if (trackingId !== undefined) {
    const parts = TRACKING_ID_FORM.exec(trackingId);
    const [, application = trackingId, group, kind, namespace, name] = parts ?? [];
    const isSelf =
      group === self.group && kind === self.kind && namespace === self.namespace && name === self.name;
    if (parts === null || isSelf) add(argoClaim(application, false));
    // Argo CD leaves such objects alone: copies of what it manages carry the original's id.
    else
      warnings.push(
        `The tracking id of Argo CD names another object (${line(trackingId)}): it does not count`,
      );
  }
  for (const key of INSTANCE_KEYS) {
    const value = mark(key);
    if (value !== undefined) add(argoClaim(value, key.startsWith('app.')));
  }
  for (const [group, kind] of FLUX_GROUPS) {
    // https://fluxcd.io/flux/components/kustomize/kustomizations/#garbage-collection
    const name = mark(`${group}/name`);
    if (name === undefined) continue;
    const namespace = mark(`${group}/namespace`);
    add({
      kind,
      owner: line(`Flux ${kind} ${name}`),
      ...(isObjectName(name) ? { name } : {}),
      ...(isObjectName(namespace) ? { namespace } : {}),
      weak: false,
    });
  }
  return { claims, warnings };
}

const FLUX_GROUPS: [string, GitOpsKind][] = [
  ['kustomize.toolkit.fluxcd.io', 'Kustomization'],
  ['helm.toolkit.fluxcd.io', 'HelmRelease'],
];

/** Applications outside Argo CD's own namespace are tracked as `<namespace>_<name>`. */
function argoClaim(application: string, weak: boolean): GitOpsClaim {
  const split = application.indexOf('_');
  const namespace = split < 0 ? undefined : application.slice(0, split);
  const name = application.slice(split + 1);
  const known = isObjectName(name) && (namespace === undefined || isObjectName(namespace));
  return {
    kind: 'Application',
    owner: line(`Argo CD application ${application}`),
    ...(known ? { name } : {}),
    ...(known && namespace !== undefined ? { namespace } : {}),
    weak,
  };
}

function line(text: string): string {
  return oneLine(text, MAX_OWNER_CHARS) ?? '';
}
