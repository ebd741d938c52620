import type { Installation } from '../installation.ts';
import type { Path, Problem } from '../problem.ts';
import type { RuleId } from '../rules.ts';
import type { ReferenceKind } from '../steps/define.ts';
import { stepDefinition } from '../steps/definitions.ts';
import { didYouMean } from '../suggest.ts';
import type { YamlSource } from '../yaml-source.ts';
import { listOf, type RunbookView, type StepView } from './view.ts';

/** Names that are written in the configuration: roles, groups, clusters, sources, channels, endpoints. */
export function checkInstallation(view: RunbookView, source: YamlSource): Problem[] {
  const { installation } = view;
  if (installation === undefined) return [];
  return [
    ...checkTargetNames(view, installation, source),
    ...checkPullRequests(view, installation, source),
    ...view.steps.flatMap((step) => [
      ...checkReferences(step, installation, source),
      ...checkApprovers(step, installation, source),
    ]),
  ];
}

const KINDS: Readonly<
  Record<
    Exclude<ReferenceKind, 'ticketing'>,
    { rule: RuleId; what: string; names: (of: Installation) => readonly string[] | undefined }
  >
> = {
  role: { rule: 'config/role', what: 'role', names: ({ roles }) => roles },
  policy: { rule: 'config/policy', what: 'escalation policy', names: ({ policies }) => policies },
  group: { rule: 'config/group', what: 'group', names: ({ groups }) => groups && Object.keys(groups) },
  source: { rule: 'config/source', what: 'source of samples', names: ({ sources }) => sources },
  channel: { rule: 'config/channel', what: 'channel', names: ({ channels }) => channels },
  endpoint: { rule: 'config/endpoint', what: 'endpoint', names: ({ endpoints }) => endpoints },
};

function checkReferences(step: StepView, installation: Installation, source: YamlSource): Problem[] {
  return (stepDefinition(step.uses)?.references(step.with) ?? []).flatMap(({ kind, name, path }) => {
    const at: Path = path.length === 0 ? [...step.path, 'uses'] : [...step.path, 'with', ...path];
    if (kind === 'ticketing') {
      if (installation.ticketing !== false) return [];
      const message = 'the configuration has no ticket system: configure tickets, or take the step out';
      return [source.problem('config/ticketing', at, message)];
    }
    const { rule, what, names } = KINDS[kind];
    return missing(names(installation), name, what).map((message) => source.problem(rule, at, message));
  });
}

function checkPullRequests(view: RunbookView, installation: Installation, source: YamlSource): Problem[] {
  if (view.gitops !== 'pull-request' || installation.pullRequests !== false) return [];
  const message =
    'the configuration says nowhere where pull requests are made: configure gitops.pullRequests, or write gitops: refuse';
  return [source.problem('config/pull-requests', ['spec', 'gitops'], message)];
}

function missing(names: readonly string[] | undefined, name: string, what: string): string[] {
  if (names === undefined || names.includes(name)) return [];
  // What is still a template was told to be one that there is not.
  if (name.includes('${{')) return [];
  return [`the configuration has no ${what} ${name}${didYouMean(name, names)}`];
}

function checkApprovers(step: StepView, { groups }: Installation, source: YamlSource): Problem[] {
  if (groups === undefined || !step.hasApproval) return [];
  const from = listOf(step.approval.from);
  const path = [...step.path, 'approval'];
  const unknown = from.flatMap((name, index) =>
    typeof name === 'string'
      ? missing(Object.keys(groups), name, 'group').map((message) =>
          source.problem('config/group', [...path, 'from', index], message),
        )
      : [],
  );
  if (unknown.length > 0) return unknown;
  const { count = 1 } = step.approval;
  const people = new Set(
    from.flatMap((name) =>
      typeof name === 'string' && Object.hasOwn(groups, name) ? (groups[name] ?? []) : [],
    ),
  );
  if (from.length === 0 || typeof count !== 'number' || people.size >= count) return [];
  const have = people.size === 0 ? 'nobody' : people.size === 1 ? '1 person' : `${people.size} people`;
  const message = `of ${from.join(', ')}, ${have} may approve, and ${count} must: add people, or lower count`;
  const at = step.approval.count === undefined ? 'from' : 'count';
  return [source.problem('config/too-few-approvers', [...path, at], message)];
}

function checkTargetNames(view: RunbookView, { clusters }: Installation, source: YamlSource): Problem[] {
  if (clusters === undefined || view.target === undefined) return [];
  const { cluster, namespace } = view.target;
  if (isLiteral(cluster)) {
    const [message] = missing(Object.keys(clusters), cluster, 'cluster');
    if (message !== undefined)
      return [source.problem('config/cluster', ['spec', 'target', 'cluster'], message)];
  }
  if (!isLiteral(namespace)) return [];
  const own = isLiteral(cluster) ? clusters[cluster] : undefined;
  const names = own ?? [...new Set(Object.values(clusters).flat())];
  return missing(names, namespace, 'namespace').map((message) =>
    source.problem('config/namespace', ['spec', 'target', 'namespace'], message),
  );
}

function isLiteral(text: unknown): text is string {
  return typeof text === 'string' && text !== '' && !text.includes('${{');
}
