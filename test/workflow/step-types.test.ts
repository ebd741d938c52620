/** What the step types do in an incident, on skipped time: texts, measurements, gates, waits of days, endpoints, tasks. */
import { expect, it } from 'vitest';
import type { IncidentView, StepState } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { compileRunbook } from '../../runbooks/compile.ts';
import { formatProblems } from '../../runbooks/report.ts';
import * as messages from '../../workflows/messages.ts';
import { type IncidentDriver, withIncident } from './harness.ts';
import { World } from './world.ts';

const DAY_MS = 24 * 60 * 60 * 1_000;
/** Signals after which a run of the incident goes on in a new one. */
const MAX_SIGNALS_PER_RUN = 2_000;
/** Sent at a time, so that the server is busy and not flooded. */
const SIGNALS_AT_ONCE = 100;

const TARGET = `
  target: { kind: Deployment, namespace: '\${{ labels.namespace }}', name: '\${{ labels.deployment }}' }
  metrics:
    harmRate: { promql: 'rate{deployment=$d}', bind: { d: target.name } }
    p99: { promql: 'p99{deployment=$d}', bind: { d: target.name } }`;

/** A runbook of these steps, as an author writes them. */
function runbook(steps: string, spec = TARGET): CompiledRunbook {
  const text = `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: step-types, owner: ml-safety@example.com, version: 7 }
spec:
  match: ['alertname=~"Ai.*"']
  correlateBy: [namespace, deployment]
  watchEvery: 10m${spec}
  steps:
${steps.replace(/^\n+|\s+$/g, '')}
`;
  const compiled = compileRunbook('step-types.yaml', text);
  if (!compiled.ok) throw new Error(formatProblems(compiled.problems));
  return compiled.runbook;
}

function stepOf(view: IncidentView, id: string): StepState {
  const step = view.steps.find((candidate) => candidate.id === id);
  if (!step) throw new Error(`there is no step ${id}`);
  return step;
}

function ended(id: string): (view: IncidentView) => boolean {
  return (view) => stepOf(view, id).endedAtMs !== undefined;
}

/** Within 5 s: the work around a timer takes time of its own. */
function about(seconds: number): unknown {
  return expect.closeTo(seconds, -1);
}

const ACTOR = { person: 'kim', via: 'api' } as const;

function resolve(incident: IncidentDriver) {
  return incident.handle.executeUpdate(messages.resolveUpdate, {
    args: [{ actor: ACTOR, reason: 'handled by hand' }],
  });
}

it('tells a channel: values are put in once, as one line of plain text, and what is unknown is said to be', async () => {
  const world = new World();
  const steps = `
    - id: tell
      uses: notify
      with:
        to: ml
        text: |-
          Harm rate \${{ metrics.harmRate }} on \${{ target.name }}: \${{ alert.labels.note }}
          p99 \${{ metrics.p99 }}`;
  await withIncident(
    world,
    async (incident) => {
      const note = `first\nsecond \${{ metrics.harmRate }} <!channel>`;
      await incident.send(
        incident.alert({
          labels: { alertname: 'AiHarmfulOutputRateHigh', namespace: 'ai', deployment: 'llm-api', note },
        }),
      );
      const view = await incident.until('told', ended('tell'));
      expect(stepOf(view, 'tell')).toMatchObject({ status: 'succeeded', outputs: { reference: 'told-1' } });
      expect(world.notifications).toEqual([
        {
          incidentId: view.incidentId,
          key: `${view.incidentId}.1.tell.1`,
          channel: 'ml',
          title: view.title,
          severity: 'SEV2',
          text: `Harm rate 0.12 on llm-api: first second \${{ metrics.harmRate }} <!channel>\np99 (unknown)`,
        },
      ]);
    },
    { runbook: runbook(steps) },
  );
});

it('measures once, keeps the readings, and hands the values on; an unknown one fails the step or is left out', async () => {
  const world = new World();
  const steps = `
    - { id: known, uses: measure, with: { values: { rate: metrics.harmRate, high: metrics.harmRate > 0.1 } } }
    - { id: strict, uses: measure, with: { values: { rate: metrics.harmRate, p99: metrics.p99 } }, onFailure: continue }
    - { id: lax, uses: measure, with: { values: { rate: metrics.harmRate, p99: metrics.p99 }, onUnknown: continue } }
    - { id: tell, uses: notify, needs: [known], when: steps.known.high && steps.known.rate > 0.1,
        with: { to: ml, text: 'It was \${{ steps.known.rate }}' } }`;
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('measured', (seen) =>
        ['known', 'strict', 'lax', 'tell'].every((id) => ended(id)(seen)),
      );
      expect(stepOf(view, 'known').outputs).toEqual({ rate: 0.12, high: true });
      expect(stepOf(view, 'strict')).toMatchObject({
        status: 'failed',
        reason: expect.stringMatching(/could not be measured: p99 \(metrics.p99 is unknown/),
      });
      expect(stepOf(view, 'lax')).toMatchObject({ status: 'succeeded', outputs: { rate: 0.12 } });
      expect(world.notifications[0]?.text).toBe('It was 0.12');
      const kept = view.timeline.find((entry) => entry.text.startsWith('Measured 1 of 2'));
      expect(kept).toMatchObject({
        kind: 'evidence',
        data: {
          values: { rate: 0.12 },
          unknown: { p99: expect.any(String) },
          readings: { harmRate: { value: 0.12, promql: 'x', atMs: expect.any(Number) } },
        },
      });
    },
    { runbook: runbook(steps) },
  );
});

const GATE = `
    - id: gate
      uses: approval
      with: { summary: 'Promote again at harm rate \${{ metrics.harmRate }}?' }
      approval: { from: [ml-oncall], count: 2 }
    - { id: tell, uses: notify, needs: [gate], with: { to: ml, text: 'Approved by \${{ steps.gate.approvedBy[1] }}' } }`;

it('opens a gate when enough people have approved what they all read', async () => {
  const world = new World();
  const plan = runbook(GATE);
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const asked = await incident.until('asked', (view) => view.pendingApprovals.length === 1);
      expect(asked.pendingApprovals[0]).toMatchObject({
        step: 'gate',
        count: 2,
        planHash: plan.hash,
        summary: 'Promote again at harm rate 0.12?',
      });
      // What people are asked stays what it was when they were asked.
      world.harmRate = 0.5;
      await incident.approve(incident.signed(asked, 'maria'));
      const waiting = await incident.until('waiting for another', (view) =>
        view.pendingApprovals.some((pending) => pending.approvedBy.length === 1),
      );
      expect(waiting.pendingApprovals[0]?.summary).toBe('Promote again at harm rate 0.12?');
      expect(stepOf(waiting, 'tell').status).toBe('pending');
      await incident.approve(incident.signed(waiting, 'kim'));
      const view = await incident.until('told', ended('tell'));
      expect(stepOf(view, 'gate')).toMatchObject({
        status: 'succeeded',
        outputs: { approvedBy: ['maria', 'kim'] },
      });
      expect(world.notifications[0]?.text).toBe('Approved by kim');
    },
    { runbook: plan },
  );
});

it('closes a gate when somebody rejects, and what needs it is skipped', async () => {
  const world = new World();
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const asked = await incident.until('asked', (view) => view.pendingApprovals.length === 1);
      await incident.reject(incident.signed(asked, 'maria', { decision: 'reject' }));
      const view = await incident.until('decided', ended('tell'));
      expect(stepOf(view, 'gate').status).toBe('rejected');
      expect(stepOf(view, 'tell').status).toBe('skipped');
      expect(world.notifications).toEqual([]);
    },
    { runbook: runbook(GATE) },
  );
});

it('asks nobody in observe mode: it would have', async () => {
  const world = new World();
  world.facts = { ...world.facts, mode: 'observe' };
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('through', ended('tell'));
      expect(stepOf(view, 'gate').status).toBe('would-have');
      expect(view.timeline.some((entry) => entry.text.startsWith('Approval of'))).toBe(false);
      const entry = view.timeline.find((candidate) => candidate.kind === 'would-have');
      expect(entry?.text).toContain('Promote again at harm rate 0.12?');
    },
    { runbook: runbook(GATE) },
  );
});

it('lets the version of the runbook approve, and names it', async () => {
  const world = new World();
  world.facts = { ...world.facts, mode: 'auto' };
  const steps = `
    - id: gate
      uses: approval
      with: { summary: 'Go on?' }
      approval: { from: [ml-oncall], preapprovedWhen: metrics.harmRate > 0.1 }`;
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('through', ended('gate'));
      expect(stepOf(view, 'gate').outputs).toEqual({ approvedBy: ['runbook step-types v7'] });
    },
    { runbook: runbook(steps) },
  );
});

const TELL_AFTER = `
    - { id: tell, uses: notify, needs: [wait], with: { to: ml, text: 'early: \${{ steps.wait.early }}' } }`;

it('waits 15 days on one timer', async () => {
  const world = new World();
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      // Chat and records of what happened so far are done after this.
      await incident.env.sleep(60_000);
      const before = (await incident.handle.fetchHistory()).events?.length ?? 0;
      await incident.env.sleep(14 * DAY_MS);
      expect((await incident.handle.fetchHistory()).events).toHaveLength(before);
      expect(stepOf(await incident.view(), 'wait').status).toBe('waiting');
      await incident.env.sleep(DAY_MS);
      const view = await incident.until('told', ended('tell'));
      expect(stepOf(view, 'wait').outputs).toEqual({ early: false, seconds: about((15 * DAY_MS) / 1_000) });
      expect(world.notifications[0]?.text).toBe('early: false');
      expect(world.evaluations).toBe(1);
    },
    { runbook: runbook(`\n    - { id: wait, uses: wait, with: { for: 15d } }${TELL_AFTER}`) },
  );
});

const WAIT_UNTIL = `
    - { id: wait, uses: wait, with: { for: 6h, until: metrics.harmRate < 0.05 } }${TELL_AFTER}`;

it('waits no longer than until the condition holds', async () => {
  const world = new World();
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      await incident.env.sleep(2 * 60 * 60_000);
      expect(stepOf(await incident.view(), 'wait').status).toBe('waiting');
      world.harmRate = 0.01;
      const view = await incident.until('told', ended('tell'));
      const { early, seconds } = stepOf(view, 'wait').outputs ?? {};
      expect(early).toBe(true);
      expect(seconds).toBeGreaterThanOrEqual(2 * 60 * 60);
      expect(seconds).toBeLessThan(2.5 * 60 * 60);
    },
    { runbook: runbook(WAIT_UNTIL) },
  );
});

it('waits to the end, and not longer, where the condition stays unknown', async () => {
  const world = new World();
  world.harmRate = undefined;
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      await incident.env.sleep(7 * 60 * 60_000);
      const view = await incident.until('told', ended('tell'));
      expect(stepOf(view, 'wait').outputs).toEqual({ early: false, seconds: about(6 * 60 * 60) });
    },
    { runbook: runbook(WAIT_UNTIL) },
  );
});

it('goes on waiting for the same moment after the incident continued as new', async () => {
  const world = new World();
  const steps = `
    - { id: wait, uses: wait, when: metrics.harmRate > 0.1, with: { for: 15d } }${TELL_AFTER}`;
  await withIncident(
    world,
    async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      const first = await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      const firstRun = (await incident.handle.describe()).runId;
      await incident.env.sleep(5 * DAY_MS);
      // What was decided before is not decided again.
      world.harmRate = 0.01;
      for (let sent = 0; sent < MAX_SIGNALS_PER_RUN; sent += SIGNALS_AT_ONCE) {
        await Promise.all(Array.from({ length: SIGNALS_AT_ONCE }, () => incident.send(alert)));
      }
      await expect
        .poll(async () => (await incident.handle.describe()).runId, { timeout: 30_000 })
        .not.toBe(firstRun);
      const rebuilt = await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      expect(rebuilt.incidentId).toBe(first.incidentId);
      expect(stepOf(rebuilt, 'wait').startedAtMs).toBe(stepOf(first, 'wait').startedAtMs);
      await incident.env.sleep(9 * DAY_MS);
      expect(stepOf(await incident.view(), 'wait').status).toBe('waiting');
      await incident.env.sleep(DAY_MS);
      const view = await incident.until('told', ended('tell'));
      expect(stepOf(view, 'wait').outputs).toEqual({ early: false, seconds: about((15 * DAY_MS) / 1_000) });
      expect(world.notifications).toHaveLength(1);
    },
    { runbook: runbook(steps) },
  );
});

it('lets a person end a wait by skipping it', async () => {
  const world = new World();
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      await incident.handle.executeUpdate(messages.skipStepUpdate, {
        args: [{ actor: ACTOR, step: 'wait', reason: 'we have seen enough' }],
      });
      const view = await incident.until('over', ended('tell'));
      expect(stepOf(view, 'wait')).toMatchObject({ status: 'skipped', reason: 'skipped by kim' });
    },
    { runbook: runbook(`\n    - { id: wait, uses: wait, with: { for: 15d } }${TELL_AFTER}`) },
  );
});

const CALLS = `
    - { id: ask, uses: http, with: { endpoint: registry, method: GET, path: /models/llm-api } }
    - id: block
      uses: http
      needs: [ask]
      with:
        endpoint: registry
        path: /blocks
        expectStatus: [201]
        json:
          model: '\${{ target.name }}'
          rate: '\${{ metrics.harmRate }}'
          p99: '\${{ metrics.p99 }}'
          stage: ['\${{ steps.ask.body.stage }}', 'was \${{ steps.ask.body.stage }}']
          until: null`;

it('calls endpoints: values keep their type, the key is of incident, round, step and attempt', async () => {
  const world = new World();
  world.answer = { status: 200, body: { stage: 'production' } };
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('blocked', ended('block'));
      expect(stepOf(view, 'ask').outputs).toEqual(world.answer);
      expect(stepOf(view, 'block').status).toBe('succeeded');
      const { incidentId } = view;
      expect(world.calls).toEqual([
        {
          incidentId,
          key: `${incidentId}.1.ask.1`,
          endpoint: 'registry',
          method: 'GET',
          path: '/models/llm-api',
          expectStatus: [],
        },
        {
          incidentId,
          key: `${incidentId}.1.block.1`,
          endpoint: 'registry',
          method: 'POST',
          path: '/blocks',
          expectStatus: [201],
          json: {
            model: 'llm-api',
            rate: 0.12,
            p99: null,
            stage: ['production', 'was production'],
            until: null,
          },
        },
      ]);
    },
    { runbook: runbook(CALLS) },
  );
});

it('in observe mode asks, and would have told', async () => {
  const world = new World();
  world.facts = { ...world.facts, mode: 'observe' };
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('through', ended('block'));
      expect(stepOf(view, 'ask').status).toBe('succeeded');
      expect(stepOf(view, 'block').status).toBe('would-have');
      expect(world.calls.map((call) => call.method)).toEqual(['GET']);
    },
    { runbook: runbook(CALLS) },
  );
});

it('makes tasks at once, and no postmortem loses them', async () => {
  const world = new World();
  const steps = `
    - id: risk
      uses: task
      with: { title: 'Harm rate was \${{ metrics.harmRate }}', lane: safety-debt, owner: '\${{ target.owner }}',
              due: 14d, expires: 90d }
    - { id: draft, uses: postmortem, needs: [risk] }
    - id: pin
      uses: task
      needs: [draft]
      with: { title: Keep it pinned, lane: exception, owner: '\${{ alert.labels.nobody }}', due: 7d, retires: 30d,
              rmfFunction: GOVERN }`;
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('made', ended('pin'));
      const startMs = stepOf(view, 'risk').startedAtMs ?? 0;
      const day = (days: number) => new Date(startMs + days * DAY_MS).toISOString().slice(0, 10);
      const risk = {
        id: `${view.incidentId}-safety-debt-task-risk`,
        lane: 'safety-debt',
        title: 'Harm rate was 0.12',
        owner: 'ml@example.com',
        due: day(14),
        expires: day(90),
        rmfFunction: 'MANAGE',
        step: 'risk',
      };
      const pin = {
        id: `${view.incidentId}-exception-task-pin`,
        lane: 'exception',
        title: 'Keep it pinned',
        // Nobody is named there: the runbook's owner.
        owner: 'ml-safety@example.com',
        due: day(7),
        retires: day(30),
        rmfFunction: 'GOVERN',
        step: 'pin',
      };
      expect(stepOf(view, 'risk').outputs).toEqual({ id: risk.id, due: risk.due });
      expect(view.actionItems.filter((item) => item.step !== undefined)).toEqual([risk, pin]);
      await resolve(incident);
      const closed = await incident.until('closed', (seen) => seen.state === 'closed');
      expect(world.postmortems).toEqual([true, false]);
      expect(world.actionItems.filter((item) => item.step !== undefined)).toEqual([risk, pin]);
      expect(world.actionItems.length).toBeGreaterThan(2);
      expect(closed.actionItems).toEqual(world.actionItems);
    },
    { runbook: runbook(steps) },
  );
});

it('does all that needs no target where the runbook has none, and changes nothing', async () => {
  const world = new World();
  const steps = `
    - { id: measured, uses: measure, with: { values: { firing: incident.firing }, onUnknown: continue } }
    - { id: tell, uses: notify, needs: [measured], with: { to: ml, text: '\${{ steps.measured.firing }} firing' } }
    - { id: wait, uses: wait, with: { for: 1h, until: incident.acknowledged } }
    - { id: todo, uses: task, with: { title: Look, lane: control, owner: '\${{ inputs.owner }}', due: 1d } }
    - { id: block, uses: http, with: { endpoint: registry } }`;
  const plan = runbook(steps, `\n  inputs: { owner: { default: platform@example.com } }`);
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', (view) => stepOf(view, 'wait').status === 'waiting');
      await incident.handle.executeUpdate(messages.acknowledgeUpdate, { args: [{ actor: ACTOR }] });
      const view = await incident.until('over', ended('wait'));
      expect(stepOf(view, 'wait').outputs?.early).toBe(true);
      expect(world.notifications[0]?.text).toBe('1 firing');
      expect(view.actionItems[0]?.owner).toBe('platform@example.com');
      expect(stepOf(view, 'block').status).toBe('would-have');
      expect(world.calls).toEqual([]);
    },
    {
      runbook: plan,
      change: { target: { ok: false, reason: 'the runbook has no target' }, mode: 'observe' },
    },
  );
});
