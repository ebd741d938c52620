/** Plays one scenario against a running Firebreak and a running stack: used by the demo and by the end-to-end tests. */
import type { IncidentView } from '../../domain/incident.ts';
import { pollUntil } from '../stack/poll.ts';
import { applyEvent, type Scenario, type WorldControls } from '../world/scenarios.ts';
import { Api, type IncidentLine } from './api.ts';
import type { Firebreak } from './firebreak-process.ts';
import { type Follower, followIncident, tell } from './follow-incident.ts';
import { EVENT_SIGNS } from './incident-events.ts';
import { describeHarm, lookAtRevisions, type RevisionHarm } from './revisions.ts';
import { FIRST_RUNBOOK, SECOND_RUNBOOK } from './second-team.ts';
import { shipV2, startWorld, type WorldOptions } from './start-world.ts';
import { type Summary, summarise } from './summary.ts';

export type { Story } from './follow-incident.ts';
export type { Summary } from './summary.ts';

/** How long each thing may take before the run gives up and says which one it was. */
const LIMITS_MS = {
  /** Alertmanager's pauses between its tries grow to a minute. */
  fires: 150_000,
  decided: 60_000,
  ends: 150_000,
} as const;

export interface RunOptions extends WorldOptions {
  firebreak: Firebreak;
  /** Asks the approver; the scenario's own decision where nobody is asked. */
  decide?: (view: IncidentView) => Promise<'approve' | 'reject'>;
  /** Called as soon as the incident is known. */
  onIncident?: (incidentId: string) => void;
}

export interface ScenarioRun {
  summary: Summary;
  view: IncidentView;
  /** Of every incident that was followed, the first one's included. */
  views: IncidentView[];
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
  const shipped = await shipV2(options, world);

  const maria = new Api(firebreak.url, firebreak.tokens.maria);
  const lines = await awaitIncidents(options, maria);
  const [first] = lines;
  options.onIncident?.(first.incidentId);
  const follows = lines.map(({ incidentId, runbook }) =>
    followIncident(maria, incidentId, story, lines.length > 1 ? `${runbook}: ` : ''),
  );
  stops.push(() => stopAll(follows.map((follow) => () => follow.stop())));

  const revisions = await playEvents(options, maria, follows, world);
  await decide(options, maria, follows);

  const { expected } = scenario;
  const views = await Promise.all(
    follows.map((follow) =>
      follow.until(
        `being ${expected.state}`,
        LIMITS_MS.ends,
        (candidate) => candidate.state === expected.state && settled(candidate, scenario),
      ),
    ),
  );
  const summary = await summarise(options, { api: maria, views, shipped, revisions });
  await Promise.all(follows.map((follow) => follow.stop()));
  const [view] = views;
  if (view === undefined) throw new Error(`incident ${first.incidentId} was not followed to its end`);
  return { summary, view, views, stop: () => stopAll(stops) };
}

/** The model's incidents, one for each runbook that answers its harm: a fallback's own may be there as well. */
async function awaitIncidents(
  { scenario, namespace }: RunOptions,
  api: Api,
): Promise<[IncidentLine, ...IncidentLine[]]> {
  const about = (line: IncidentLine, runbook: string): boolean =>
    line.runbook === runbook && line.target?.split('/').at(-1) === scenario.v2.deployment;
  const awaited = (runbook: string): Promise<IncidentLine> =>
    pollUntil(`An incident of runbook ${runbook}`, LIMITS_MS.fires, async () =>
      (await api.incidentsIn(namespace)).find((line) => about(line, runbook)),
    );
  const first = await awaited(FIRST_RUNBOOK);
  return scenario.secondTeam ? [first, await awaited(SECOND_RUNBOOK)] : [first];
}

/** Waits for each event of the scenario, in all incidents that are followed, and changes the world at it. */
async function playEvents(
  { scenario, namespace, story }: RunOptions,
  api: Api,
  follows: Follower[],
  world: WorldControls,
): Promise<RevisionHarm[]> {
  const revisions: RevisionHarm[] = [];
  for (const event of scenario.decision.after) {
    const { what, withinMs, seenIn } = EVENT_SIGNS[event];
    await Promise.all(follows.map((follow) => follow.until(what, withinMs, seenIn)));
    await tell(story, applyEvent(scenario, event, world));
    if (event !== 'approval-asked' || !scenario.looksAtRevisions) continue;
    revisions.push(...(await lookAtRevisions(api, namespace, scenario.v2.deployment)));
    for (const revision of revisions) story('world', `the plan shows ${describeHarm(revision)}`);
  }
  return revisions;
}

/** Steps have ended or watch a condition, whoever must be paged was, and the postmortem is there. */
function settled(view: IncidentView, { expected }: Scenario): boolean {
  if (view.state === 'closed') return true;
  const paged = !expected.commanderPaged || view.pages.some((page) => page.role === 'commander');
  const ended = view.steps.every((step) => step.endedAtMs !== undefined || step.status === 'watching');
  return paged && ended && view.actionItems.length > 0;
}

/** Asks about each incident first and then sends all answers at once, as people do who sit side by side. */
async function decide(options: RunOptions, api: Api, follows: Follower[]): Promise<void> {
  const { what, withinMs, seenIn } = EVENT_SIGNS['approval-asked'];
  const verdicts: { incidentId: string; verdict: 'approve' | 'reject' }[] = [];
  for (const follow of follows) {
    const view = await follow.until(what, withinMs, seenIn);
    const verdict = (await options.decide?.(view)) ?? options.scenario.decision.verdict;
    verdicts.push({ incidentId: follow.incidentId, verdict });
  }
  await Promise.all(verdicts.map(({ incidentId, verdict }) => send(api, incidentId, verdict)));
  for (const { verdict } of verdicts) options.story('world', `maria says: ${verdict}`);
}

async function send(api: Api, incidentId: string, verdict: 'approve' | 'reject'): Promise<void> {
  // The person decides about what waits now, which may be newer than what was asked first.
  const [pending] = (await api.incident(incidentId)).pendingApprovals;
  if (!pending) throw new Error(`nothing waits for a decision in incident ${incidentId}`);
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
}
