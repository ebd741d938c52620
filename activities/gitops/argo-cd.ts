import type { GitOpsSource } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import { oneLine } from '../kubernetes/revisions.ts';
import { GROUP_OF } from './claims.ts';
import { SUSPENDED_ANNOTATION } from './mark.ts';
import { at, listAt, type RawObject, textAt, withoutUser } from './objects.ts';

/**
 * Argo CD's Application and ApplicationSet, read as objects.
 * https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml
 */

const MAX_SOURCE_CHARS = 200;

/** `spec.syncPolicy.automated`, where Argo CD syncs by itself; undefined where it does not. */
export function automatedOf(application: RawObject): Record<string, unknown> | undefined {
  const automated = at(application.spec, 'syncPolicy', 'automated');
  if (typeof automated !== 'object' || automated === null || Array.isArray(automated)) return undefined;
  // https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/: only an explicit false turns it off.
  if (at(automated, 'enabled') === false) return undefined;
  return automated as Record<string, unknown>;
}

export function argoSource(application: RawObject): GitOpsSource {
  const sources = sourcesOf(application);
  const texts = (key: string) =>
    oneLine(
      sources
        .map((source) => textAt(source, key))
        .filter(Boolean)
        .join(', '),
      MAX_SOURCE_CHARS,
    );
  return withoutAbsent({
    repository: withoutUser(texts('repoURL')),
    path: texts('path') ?? texts('chart'),
    follows: texts('targetRevision'),
    revision: argoRevision(application),
  });
}

/** Everything that this application manages beside the workload: it does not sync meanwhile either. */
export function otherResources(application: RawObject): number {
  return Math.max(0, listAt(application.status, 'resources').length - 1);
}

/** What Argo CD last compared the cluster with: commit ids, one for each source. */
export function argoRevision(application: RawObject): string | undefined {
  const several = listAt(application.status, 'sync', 'revisions').filter((it) => typeof it === 'string');
  const text = several.length > 0 ? several.join(',') : textAt(application.status, 'sync', 'revision');
  return oneLine(text, MAX_SOURCE_CHARS);
}

/** Why an application does not manage this workload by its own account; undefined where it does. */
export function whyNotListed(application: RawObject, target: Target): string | undefined {
  const server = textAt(application.spec, 'destination', 'server');
  const name = textAt(application.spec, 'destination', 'name');
  // Argo CD's names for the cluster that it runs in; any other may be another cluster with a workload of this name.
  const here = server === 'https://kubernetes.default.svc' || (server === undefined && name === 'in-cluster');
  if (!here) return 'it deploys to another cluster than its own, by its destination';
  return resourceOf(application, target) === undefined
    ? `its status lists no ${target.kind} ${target.namespace}/${target.name}`
    : undefined;
}

/** What Argo CD says of the workload: Synced or OutOfSync with `argoRevision`. */
function resourceOf(application: RawObject, target: Target): unknown {
  return listAt(application.status, 'resources').find(
    (resource) =>
      textAt(resource, 'group') === GROUP_OF[target.kind] &&
      textAt(resource, 'kind') === target.kind &&
      textAt(resource, 'namespace') === target.namespace &&
      textAt(resource, 'name') === target.name,
  );
}

/**
 * Why an ApplicationSet would undo a suspension of its application, and lose the mark; undefined where it is told not to.
 * `applicationsSync: create-only` would do as well, but the controller's own --policy overrides it, unseen.
 * https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Controlling-Resource-Modification/
 */
export function whyUndoneBySet(set: RawObject, application: string): string | undefined {
  const ignored = listAt(set.spec, 'ignoreApplicationDifferences')
    .filter((rule) => [undefined, application].includes(textAt(rule, 'name')))
    .flatMap((rule) => [
      ...listAt(rule, 'jsonPointers'),
      ...listAt(rule, 'jqPathExpressions').map((path) => String(path).replaceAll('.', '/')),
    ]);
  const keepsPolicy = ['/spec/syncPolicy', '/spec/syncPolicy/automated'].some((it) => ignored.includes(it));
  const keepsMark =
    listAt(set.spec, 'preservedFields', 'annotations').includes(SUSPENDED_ANNOTATION) ||
    ignored.includes('/metadata/annotations');
  const missing = [
    ...(keepsPolicy ? [] : ['`ignoreApplicationDifferences: [{ jsonPointers: [/spec/syncPolicy] }]`']),
    ...(keepsMark ? [] : [`\`preservedFields: { annotations: [${SUSPENDED_ANNOTATION}] }\``]),
  ];
  return missing.length === 0 ? undefined : `it needs ${missing.join(' and ')}`;
}

/**
 * Why a parent application (the app-of-apps pattern) would undo a suspension of its child; undefined where it would not.
 * https://argo-cd.readthedocs.io/en/stable/operator-manual/cluster-bootstrapping/#ignoring-differences-in-child-applications
 */
export function whyUndoneByParent(
  parent: RawObject,
  child: { namespace: string; name: string },
): string | undefined {
  if (automatedOf(parent) === undefined) return undefined;
  const ignores = listAt(parent.spec, 'ignoreDifferences').some(
    (rule) =>
      [undefined, '*', 'argoproj.io'].includes(textAt(rule, 'group')) &&
      ['*', 'Application'].includes(textAt(rule, 'kind') ?? '') &&
      [undefined, child.name].includes(textAt(rule, 'name')) &&
      [undefined, child.namespace].includes(textAt(rule, 'namespace')) &&
      listAt(rule, 'jsonPointers').some(
        (it) => it === '/spec/syncPolicy/automated' || it === '/spec/syncPolicy',
      ),
  );
  const respects = listAt(parent.spec, 'syncPolicy', 'syncOptions').includes('RespectIgnoreDifferences=true');
  if (ignores && respects) return undefined;
  return (
    'it needs `ignoreDifferences` for Applications with the JSON pointer `/spec/syncPolicy/automated`, and the sync ' +
    'option `RespectIgnoreDifferences=true`'
  );
}

export interface Compared {
  status: 'Synced' | 'OutOfSync' | 'unknown';
  revision?: string;
  /** Epoch ms of the comparison; NaN where it is not told. */
  atMs: number;
  /** Why the comparison says nothing about templates; absent where it does. */
  blind?: string;
}

/** What Argo CD's last comparison says about the workload. It goes on comparing while it does not sync. */
export function comparedBy(application: RawObject, target: Target): Compared {
  const resource = resourceOf(application, target);
  const status = textAt(resource, 'status');
  const blind = blindness(application, target);
  return withoutAbsent({
    status: status === 'Synced' || status === 'OutOfSync' ? status : ('unknown' as const),
    revision: argoRevision(application),
    atMs: Date.parse(textAt(application.status, 'reconciledAt') ?? ''),
    blind,
  });
}

/** Settings that hide differences of the template from the comparison, or a comparison of other sources than today's. */
function blindness(application: RawObject, target: Target): string | undefined {
  const rules = [
    ...listAt(application.spec, 'ignoreDifferences'),
    ...listAt(application.status, 'sync', 'comparedTo', 'ignoreDifferences'),
  ];
  const hidden = rules.some(
    (rule) =>
      [undefined, '*', GROUP_OF[target.kind]].includes(textAt(rule, 'group')) &&
      ['*', target.kind].includes(textAt(rule, 'kind') ?? '') &&
      [undefined, target.name].includes(textAt(rule, 'name')) &&
      [undefined, target.namespace].includes(textAt(rule, 'namespace')) &&
      // What a jq expression or a manager stands for cannot be told from here.
      (listAt(rule, 'jqPathExpressions').length > 0 ||
        listAt(rule, 'managedFieldsManagers').length > 0 ||
        listAt(rule, 'jsonPointers').some(touchesTemplate)),
  );
  if (hidden) return `its ignoreDifferences may hide the template of ${target.kind} ${target.name}`;
  const compared = at(application.status, 'sync', 'comparedTo');
  const sources = JSON.stringify(identities(sourcesOf(application)));
  const comparedSources = JSON.stringify(identities(sourcesOf({ ...application, spec: compared as never })));
  return sources === comparedSources ? undefined : 'it has not compared with its present source yet';
}

function touchesTemplate(pointer: unknown): boolean {
  const path = String(pointer);
  return path === '' || path === '/' || path === '/spec' || path.startsWith('/spec/template');
}

function sourcesOf(application: Pick<RawObject, 'spec'>): unknown[] {
  const several = listAt(application.spec, 'sources');
  const one = at(application.spec, 'source');
  return several.length > 0 ? several : one === undefined ? [] : [one];
}

function identities(sources: unknown[]): (string | undefined)[][] {
  return sources.map((source) =>
    ['repoURL', 'path', 'chart', 'targetRevision'].map((key) => textAt(source, key)),
  );
}

/** Keys whose value is undefined are left out: plans are compared and hashed as JSON. */
export function withoutAbsent<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, it]) => it !== undefined)) as T;
}
