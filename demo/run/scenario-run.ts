/** Plays one scenario against a running Firebreak and a running stack: used by the demo and by the end-to-end tests. */
import type { BreakerState } from '../../domain/breaker.ts';
import type { ActionItem, IncidentView } from '../../domain/incident.ts';
import type { AttachedStack } from '../stack/attach-stack.ts';
import { pollUntil } from '../stack/poll.ts';
import { spawnTraffic } from '../traffic/spawn-traffic.ts';
import { awaitRolledOut, createNamespace, imageOf, revisionsOf, shipModel } from '../world/models.ts';
import { startNode } from '../world/node.ts';
import { applyEvent, differencesFrom, type Scenario, type WorldControls } from '../world/scenarios.ts';
import { Api } from './api.ts';
import { breakerOf, divertedWhole, generationOf, servedBy, type Traffic } from './evidence.ts';
import type { Firebreak } from './firebreak-process.ts';
import type { SamplesRouter } from './samples-router.ts';

/** How long each thing may take before the run gives up and says which one it was. */
const LIMITS_MS = {
  rollout: 60_000,
  fires: 60_000,
  approvalAsked: 60_000,
  decided: 60_000,
  ends: 150_000,
  flap: 60_000,
} as const;
/** v1 serves this long before v2 is shipped: "served well" is 10 s in the demo, and Prometheus needs both edges. */
const SERVE_BEFORE_MS = 14_000;

/** Something happened, in a few words. */
export type Story = (kind: 'world' | 'incident', text: string) => void;

export interface RunOptions {
  scenario: Scenario;
  stack: AttachedStack;
  firebreak: Firebreak;
  samples: SamplesRouter;
  namespace: string;
  canary: string;
  story: Story;
  /** Asks the approver; the scenario's own decision where nobody is asked. */
  decide?: (view: IncidentView) => Promise<'approve' | 'reject'>;
  /** Called as soon as the incident is known. */
  onIncident?: (incidentId: string) => void;
}

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

export interface ScenarioRun {
  summary: Summary;
  view: IncidentView;
  /** Stops traffic and node of the scenario; the namespace stays for whoever wants to look. */
  stop(): Promise<void>;
}

export async function runScenario(options: RunOptions): Promise<ScenarioRun> {
  const stops: (() => Promise<void>)[] = [];
  try {
    return await play(options, stops);
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

async function play(options: RunOptions, stops: (() => Promise<void>)[]): Promise<ScenarioRun> {
  const { scenario, stack, firebreak, namespace, story } = options;
  const { kubeconfigPath: kubeconfig } = stack.kube;
  const world = await startWorld(options, stops);
  await stack.alertmanager.setRoutes(
    [
      {
        matchers: [`namespace="${namespace}"`],
        webhookUrl: firebreak.webhookUrl,
        bearerToken: firebreak.webhookToken,
      },
    ],
    { name: namespace, repeatInterval: '10s' },
  );

  const { v2 } = scenario;
  const model = { kubeconfig, namespace, name: v2.deployment };
  story('world', `shipping ${v2.image}, which is harmful`);
  const { generation } = await shipModel({
    ...model,
    image: v2.image,
    replicas: v2.replicas,
    ...attributes(scenario),
  });
  const shipped = await awaitRolledOut({ ...model, image: v2.image, timeoutMs: LIMITS_MS.rollout });
  story('world', `${v2.image} serves as revision ${shipped.revision}`);
  await tell(story, applyEvent(scenario, 'v2-shipped', world));

  const maria = new Api(firebreak.url, firebreak.tokens.maria);
  const line = await pollUntil(
    'An incident',
    LIMITS_MS.fires,
    async () => (await maria.incidentsIn(namespace))[0],
  );
  options.onIncident?.(line.incidentId);
  const follow = followIncident(maria, line.incidentId, story);
  stops.push(async () => follow.stop());

  const asked = await follow.until(
    'being asked for approval',
    LIMITS_MS.approvalAsked,
    (view) => view.pendingApprovals.length > 0,
  );
  await tell(story, applyEvent(scenario, 'approval-asked', world));
  await playFlap(options, follow, world);
  await decide(options, maria, asked.incidentId, follow);

  const view = await follow.until(
    `being ${scenario.expected.state}`,
    LIMITS_MS.ends,
    (candidate) => candidate.state === scenario.expected.state && settled(candidate, scenario),
  );
  const summary = await summarise(options, maria, view, { generation, revision: shipped.revision });
  await follow.stop();
  return { summary, view, stop: () => stopAll(stops) };
}

/** Steps have ended or watch a condition, whoever must be paged was, and the postmortem is there. */
function settled(view: IncidentView, scenario: Scenario): boolean {
  if (view.state === 'closed') return true;
  const paged = !scenario.expected.commanderPaged || view.pages.some((page) => page.role === 'commander');
  const ended = view.steps.every((step) => step.endedAtMs !== undefined || step.status === 'watching');
  return paged && ended && view.actionItems.length > 0;
}

function attributes(scenario: Scenario) {
  return {
    annotations: {
      'ai.rmf/owner': 'team-ml@example.com',
      'ai.rmf/risk-tier': 'high',
      'firebreak.dev/mode': 'approve',
    },
    progressDeadlineSeconds: scenario.progressDeadlineSeconds,
  };
}

async function startWorld(options: RunOptions, stops: (() => Promise<void>)[]): Promise<WorldControls> {
  const { scenario, stack, namespace, story } = options;
  const { kubeconfigPath: kubeconfig } = stack.kube;
  await createNamespace(kubeconfig, namespace);
  const node = await startNode({ kubeconfig, namespaces: [namespace] });
  stops.push(() => node.stop());
  for (const { deployment, image, replicas } of [scenario.v1, scenario.fallback]) {
    await shipModel({ kubeconfig, namespace, name: deployment, image, replicas, ...attributes(scenario) });
  }
  await Promise.all(
    [scenario.v1, scenario.fallback].map(({ deployment, image }) =>
      awaitRolledOut({ kubeconfig, namespace, name: deployment, image, timeoutMs: LIMITS_MS.rollout }),
    ),
  );
  story('world', `${scenario.v1.image} serves, with ${scenario.fallback.deployment} as its fallback`);
  const traffic = await spawnTraffic(
    {
      kubeconfig,
      namespace,
      ...scenario.traffic,
      fallback: scenario.fallback.deployment,
      canary: options.canary,
    },
    `${stack.dir}/traffic`,
  );
  stops.push(() => traffic.stop());
  options.samples.route(namespace, traffic.samplesUrl);
  await stack.prometheus.writeTargets(namespace, [{ address: `127.0.0.1:${traffic.port}` }]);
  await stack.prometheus.awaitTargetsUp([`127.0.0.1:${traffic.port}`]);
  story(
    'world',
    `traffic flows; v1 serves for ${SERVE_BEFORE_MS / 1_000} s, so that it counts as known good`,
  );
  await servedFor(stack.prometheus.url, namespace, scenario.v1.deployment, SERVE_BEFORE_MS);
  return { traffic, node };
}

/** Waits until Prometheus has seen outputs of the model over this long. */
async function servedFor(
  prometheusUrl: string,
  namespace: string,
  deployment: string,
  durationMs: number,
): Promise<void> {
  const selector = `ai_outputs_classified_total{namespace="${namespace}",deployment="${deployment}"}`;
  const query = `min(count_over_time(${selector}[5m]))`;
  await pollUntil(`Prometheus having ${durationMs / 1_000} s of v1`, durationMs * 4, async () => {
    const answer = await fetch(`${prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`);
    const body = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    // One sample a second.
    return Number(body.data.result[0]?.value[1] ?? 0) >= durationMs / 1_000 || undefined;
  });
}

async function tell(story: Story, change: Promise<string | undefined>): Promise<void> {
  const why = await change;
  if (why !== undefined) story('world', why);
}

/** The scenario in which the alert resolves and fires again before anybody decides. */
async function playFlap(options: RunOptions, follow: Follower, world: WorldControls): Promise<void> {
  if (options.scenario.decision.after !== 'alert-fired-again') return;
  await follow.until('seeing its alert resolved', LIMITS_MS.flap, (view) =>
    view.alerts.every((alert) => alert.status === 'resolved'),
  );
  await tell(options.story, applyEvent(options.scenario, 'alert-resolved', world));
  await follow.until('seeing its alert fire again', LIMITS_MS.flap, (view) =>
    view.alerts.some((alert) => alert.status === 'firing'),
  );
  await tell(options.story, applyEvent(options.scenario, 'alert-fired-again', world));
}

async function decide(options: RunOptions, api: Api, incidentId: string, follow: Follower): Promise<void> {
  const view = await follow.until(
    'waiting for a decision',
    LIMITS_MS.approvalAsked,
    (candidate) => candidate.pendingApprovals.length > 0,
  );
  const verdict = (await options.decide?.(view)) ?? options.scenario.decision.verdict;
  // The person decides about what waits now, which may be newer than what was asked first.
  const pending = (await api.incident(incidentId)).pendingApprovals[0] ?? view.pendingApprovals[0];
  if (!pending) throw new Error('nothing waits for a decision');
  // Sent again where nobody answered (503, or the process was restarted): it is recorded once, however often it arrives.
  const answer = await pollUntil('The decision being answered', LIMITS_MS.decided, async () => {
    const given = await api.call('POST', `/incidents/${incidentId}/${verdict}`, {
      step: pending.step,
      planHash: pending.planHash,
      ...(verdict === 'reject' ? { reason: 'the scenario says no' } : {}),
    });
    return given.status === 503 ? undefined : given;
  });
  if (answer.status >= 300)
    throw new Error(`the decision was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  options.story('world', `maria says: ${verdict}`);
}

interface Follower {
  until(what: string, timeoutMs: number, wanted: (view: IncidentView) => boolean): Promise<IncidentView>;
  stop(): Promise<void>;
}

/** Reads the incident again and again, and tells each new line of its timeline. */
function followIncident(api: Api, incidentId: string, story: Story): Follower {
  let told = 0;
  const look = async (): Promise<IncidentView> => {
    const view = await api.incident(incidentId);
    for (const entry of view.timeline) {
      if (entry.seq <= told) continue;
      told = entry.seq;
      const at = ((entry.atMs - (view.milestones.triggered ?? entry.atMs)) / 1_000).toFixed(1);
      story(
        'incident',
        `+${at.padStart(5)} s  ${entry.kind.padEnd(12)} ${entry.text}${entry.actor === 'firebreak' ? '' : ` (${entry.actor})`}`,
      );
    }
    return view;
  };
  return {
    async until(what, timeoutMs, wanted) {
      let last: IncidentView | undefined;
      try {
        return await pollUntil(`Incident ${incidentId} ${what}`, timeoutMs, async () => {
          last = await look();
          return wanted(last) ? last : undefined;
        });
      } catch (error) {
        const lines = last?.timeline.map((entry) => `  ${entry.kind}: ${entry.text}`) ?? [];
        throw new Error(
          `${(error as Error).message}; it is ${last?.state ?? 'unknown'}:\n${lines.join('\n')}`,
        );
      }
    },
    async stop() {
      await look().catch(() => undefined);
    },
  };
}

/** The Deployment as v2 was shipped. */
interface Shipped {
  generation: number;
  revision: number;
}

async function summarise(
  options: RunOptions,
  api: Api,
  view: IncidentView,
  shipped: Shipped,
): Promise<Summary> {
  const { scenario, stack, namespace } = options;
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
    state: view.state,
    outcome: view.outcome,
    image: await imageOf(model),
    breaker,
    fallback: breaker === 'open' ? projection?.fallback : null,
    servedBy: served,
    divertedWhole: await divertedWhole(traffic, view.milestones.triggered ?? nowMs, halfOpen?.atMs ?? nowMs),
    specChanges: (await generationOf(model)) - shipped.generation,
    revisionsMade: current - shipped.revision,
    rollout: view.rollback?.rollout?.outcome ?? 'none',
    verification: verification?.outcome ?? 'none',
    commanderPaged: view.pages.some((page) => page.role === 'commander'),
    incidents: (await api.incidentsIn(namespace)).length,
  });
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
