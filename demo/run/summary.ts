import type { BreakerState } from '../../domain/breaker.ts';
import type { ActionItem, IncidentView } from '../../domain/incident.ts';
import { imageOf, revisionsOf } from '../world/models.ts';
import { differencesFrom } from '../world/scenarios.ts';
import type { Api } from './api.ts';
import {
  breakerOf,
  divertedWhole,
  everBlocked,
  generationOf,
  podsServing,
  servedBy,
  type Traffic,
} from './evidence.ts';
import { blamed, type RevisionHarm } from './revisions.ts';
import type { Shipped, WorldOptions } from './start-world.ts';

/**
 * What became of the incident. The `to` and `from` fields are those of the plan: where it was rejected or never carried
 * out they say what would have been done. `breaker` is what stands in the cluster.
 */
export interface Summary {
  scenario: string;
  incidentId: string;
  state: string;
  outcome: string | null;
  severity: string;
  pages: { role: string; channel: string }[];
  ticketUrl: string | null;
  samples: number;
  fromRevision: number | null;
  toRevision: number | null;
  fromImage: string | null;
  toImage: string | null;
  breaker: BreakerState;
  verification: {
    outcome: string;
    harmful: number;
    classified: number;
    threshold: number;
    seconds: number;
  } | null;
  actionItems: ActionItem[];
  times: {
    toPageMs: number | null;
    toContainMs: number | null;
    toApproveMs: number | null;
    toMitigateMs: number | null;
  };
  /** Differences from what the scenario expects; empty when it ended as it should. */
  differences: string[];
}

/** What a run has seen, beside what cluster and Prometheus say of it. */
export interface Seen {
  api: Api;
  /** Of the incidents that were followed; the first one's is summed up. */
  views: IncidentView[];
  shipped: Shipped;
  /** As the plan showed them; empty where it was not looked at. */
  revisions: RevisionHarm[];
}

/** Compares how the incidents ended with what the scenario expects, and sums up the first. */
export async function summarise(
  options: Pick<WorldOptions, 'scenario' | 'stack' | 'namespace'>,
  { api, views, shipped, revisions }: Seen,
): Promise<Summary> {
  const { scenario, stack, namespace } = options;
  const [view, ...others] = views;
  if (view === undefined) throw new Error('no incident was followed');
  const { expected } = scenario;
  const model = { kubeconfig: stack.kube.kubeconfigPath, namespace, name: scenario.v2.deployment };
  const traffic: Traffic = {
    prometheusUrl: stack.prometheus.url,
    namespace,
    target: scenario.v2.deployment,
    fallback: scenario.fallback.deployment,
    usersRps: scenario.traffic.rps,
  };
  const since = (atMs: number | undefined) =>
    atMs === undefined || view.milestones.triggered === undefined
      ? null
      : Math.max(0, atMs - view.milestones.triggered);
  const verification = view.verification ?? null;
  const served = await servedBy(traffic, expected.servedBy);
  const projection = await breakerOf(model);
  const breaker = projection?.state ?? 'closed';
  const { current } = await revisionsOf(model);
  const halfOpen = view.timeline.find((entry) => entry.text.startsWith('Half-open'));
  const nowMs = Date.now();
  const differences = differencesFrom(expected, {
    ...endOf(view),
    image: await imageOf(model),
    breaker,
    fallback: breaker === 'open' ? projection?.fallback : null,
    servedBy: served,
    divertedWhole: await divertedWhole(traffic, view.milestones.triggered ?? nowMs, halfOpen?.atMs ?? nowMs),
    specChanges: (await generationOf(model)) - shipped.generation,
    revisionsMade: current - shipped.revision,
    v2PodsServing: await podsServing(traffic, shipped.revision),
    blocked: await everBlocked(traffic),
    blames: revisions.length === 0 ? null : blamed(revisions),
    incidents: (await api.incidentsIn(namespace)).length,
  });
  for (const other of others) {
    // What the cluster says is one and the same for all of them.
    const differs = differencesFrom(expected, { ...expected, ...endOf(other) });
    differences.push(...differs.map((line) => `${other.incidentId}: ${line}`));
  }
  return {
    scenario: scenario.name,
    incidentId: view.incidentId,
    state: view.state,
    outcome: view.outcome ?? null,
    severity: view.severity,
    pages: view.pages.map(({ role, channel }) => ({ role, channel })),
    ticketUrl: view.ticketUrl ?? null,
    samples: view.samples?.count ?? 0,
    fromRevision: view.rollback?.fromRevision ?? current,
    toRevision: view.rollback?.toRevision ?? null,
    fromImage: view.rollback?.fromImage ?? null,
    toImage: view.rollback?.toImage ?? null,
    breaker,
    verification: verification && {
      outcome: verification.outcome,
      harmful: verification.harmful,
      classified: verification.classified,
      threshold: verification.threshold,
      seconds: verification.seconds,
    },
    actionItems: view.actionItems,
    times: {
      toPageMs: since(view.milestones.paged),
      toContainMs: since(view.milestones.contained),
      toApproveMs: since(view.milestones.approved),
      toMitigateMs: since(view.milestones.mitigated),
    },
    differences,
  };
}

/** What is told of every incident that was followed, by Firebreak itself. */
function endOf(view: IncidentView) {
  return {
    state: view.state,
    outcome: view.outcome,
    rollout: view.rollback?.rollout?.outcome ?? ('none' as const),
    verification: view.verification?.outcome ?? ('none' as const),
    commanderPaged: view.pages.some((page) => page.role === 'commander'),
  };
}
