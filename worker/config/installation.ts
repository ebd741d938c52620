import type { Installation } from '../../runbooks/installation.ts';
import type { FirebreakConfig } from './schema.ts';

/** What runbooks can name of this configuration: the compiler checks them against it. */
export function installationOf(config: FirebreakConfig): Installation {
  return {
    roles: Object.keys(config.paging.roles),
    policies: Object.keys(config.paging.policies),
    groups: approversOf(config),
    clusters: Object.fromEntries(
      Object.entries(config.clusters).map(([name, { namespaces }]) => [name, Object.keys(namespaces)]),
    ),
    sources: Object.keys(config.samples),
    channels: Object.keys(config.notifications),
    endpoints: Object.keys(config.http),
    ticketing: config.tickets.github !== undefined || config.tickets.jira !== undefined,
    pullRequests: config.gitops.pullRequests.github !== undefined,
  };
}

/** Active people by group. A group that only reads gives no right to decide (webhooks/access), so it has nobody. */
function approversOf({ access: { people, rules } }: FirebreakConfig): Record<string, string[]> {
  const onlyViews = (group: string) =>
    rules.viewer.includes(group) && !rules.responder.includes(group) && !rules.commander.includes(group);
  const groups: Record<string, string[]> = {};
  for (const { id, active, groups: own } of people) {
    for (const group of own) {
      const members = groups[group] ?? [];
      if (active && !onlyViews(group)) members.push(id);
      groups[group] = members;
    }
  }
  return groups;
}
