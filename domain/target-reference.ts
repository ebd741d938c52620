import type { Target } from './target.ts';

/** How people write kinds, as kubectl takes them: any case, singular, plural, short, with or without the group. */
const KINDS: Readonly<Record<string, Target['kind']>> = {
  deployment: 'Deployment',
  deployments: 'Deployment',
  deploy: 'Deployment',
  'deployment.apps': 'Deployment',
  'deployments.apps': 'Deployment',
  statefulset: 'StatefulSet',
  statefulsets: 'StatefulSet',
  sts: 'StatefulSet',
  'statefulset.apps': 'StatefulSet',
  'statefulsets.apps': 'StatefulSet',
  rollout: 'Rollout',
  rollouts: 'Rollout',
  ro: 'Rollout',
  'rollout.argoproj.io': 'Rollout',
  'rollouts.argoproj.io': 'Rollout',
};

/** What people write after a command; for messages. */
export const TARGET_FORM = 'KIND/NAME, such as deployment/llm-api';

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME_LENGTH = 253;
/** Namespaces are RFC 1123 labels. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** @returns undefined where the text names no workload of a kind that is acted on. */
export function parseTargetReference(text: string): Pick<Target, 'kind' | 'name'> | undefined {
  const [kindText = '', name = '', ...rest] = text.split('/');
  const lower = kindText.toLowerCase();
  const kind = Object.hasOwn(KINDS, lower) ? KINDS[lower] : undefined;
  if (kind === undefined || rest.length > 0 || !isObjectName(name)) return undefined;
  return { kind, name };
}

/** Whether Kubernetes takes this as the name of a workload. */
export function isObjectName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && OBJECT_NAME.test(text);
}

/** Whether Kubernetes takes this as the name of a namespace. */
export function isNamespaceName(text: string): boolean {
  return NAMESPACE.test(text);
}
