/**
 * What depends on how the real server does it: continuing as new (on a server that suggests it early), and cancelling
 * activities that are between two attempts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import { Supervisor } from '../../demo/stack/supervisor.ts';
import { type RunningTemporal, startTemporal } from '../../demo/stack/temporal.ts';
import { targetWorkflowId } from '../../workflows/ids.ts';
import * as messages from '../../workflows/messages.ts';
import { runOn, shippedRunbook } from '../workflow/harness.ts';
import { TARGET, World } from '../workflow/world.ts';

/** Events after which this server suggests to continue as new; production's default is 4,096. */
const SUGGEST_AT_EVENTS = 60;

let dir: string;
let supervisor: Supervisor;
let temporal: RunningTemporal;
let env: TestWorkflowEnvironment;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'firebreak-can-'));
  supervisor = new Supervisor(path.join(dir, 'logs'));
  temporal = await startTemporal({
    supervisor,
    executable: inject('tools').temporal,
    dir,
    searchAttributes: Object.values(messages.SEARCH_ATTRIBUTES).map((name) => ({
      name,
      type: 'Keyword' as const,
    })),
    dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': SUGGEST_AT_EVENTS },
  });
  env = await TestWorkflowEnvironment.createFromExistingServer({ address: temporal.address });
});
afterAll(async () => {
  await env?.teardown();
  await temporal?.stop();
  await supervisor?.stop();
  await rm(dir, { recursive: true, force: true });
});

it('goes through several runs while it waits for people, and still ends recovered with one of everything', async () => {
  const world = new World();
  const runbook = { ...(await shippedRunbook()), watchEveryMs: 100, resolveAfterMs: 500, quietForMs: 2_000 };
  const quick: Record<string, object> = {
    verify: { pollEveryMs: 200, classifierLagMs: 100 },
    restore: { everyMs: 200 },
  };
  runbook.steps = runbook.steps.map((step) => ({ ...step, with: { ...step.with, ...quick[step.uses] } }));
  // Not diverted yet: the condition is watched, which is what makes a waiting incident's history grow.
  world.harmRate = 0.03;
  await runOn(env, world, runbook, async (incident) => {
    const alert = incident.alert();
    await incident.send(alert);
    const first = await incident.until('waiting', (view) => view.pendingApprovals.length === 1);
    const firstRun = (await incident.handle.describe()).runId;
    const runs = new Set([firstRun]);
    await pollUntil('the third run', 60_000, async () => {
      runs.add((await incident.handle.describe()).runId);
      return runs.size >= 3 || undefined;
    });

    const waiting = await incident.view();
    expect(waiting.incidentId).toBe(first.incidentId);
    expect(waiting.pendingApprovals).toEqual(first.pendingApprovals);
    world.harmRate = 0.12;
    await incident.until('contained', (view) => view.milestones.contained !== undefined);
    await incident.approve(incident.signed(await incident.view(), 'maria'));
    await incident.until('mitigated', (view) => view.state === 'mitigated');
    await incident.send({ ...alert, status: 'resolved' });
    const closed = await incident.until('closed', (view) => view.state === 'closed');
    expect(closed.incidentId).toBe(first.incidentId);
    expect(closed.outcome).toBe('recovered');
    expect(world.pages.map((page) => page.role).sort()).toEqual(['ml-oncall', 'security-oncall']);
    expect(world.tickets).toBe(1);
    expect(world.rollouts).toBe(1);
    await incident.handle.result();
    // What is done after closing, telling the room for one, may have entries of its own.
    const ended = await incident.view();
    expect(ended.timeline.map((entry) => entry.seq)).toEqual(ended.timeline.map((_, index) => index + 1));
    expect(world.recorded.size).toBe(ended.timeline.length);
    const target = await env.client.workflow
      .getHandle(targetWorkflowId(TARGET))
      .query(messages.describeTargetQuery);
    expect(target.breaker.state).toBe('closed');
    expect(target.holders).toEqual([]);
  });
});

it('does not roll back later what was stopped while the cluster was away', async () => {
  const world = new World();
  world.clusterProblem = 'connection refused';
  const runbook = { ...(await shippedRunbook()), correlateBy: ['other'], name: 'stopped' };
  await runOn(env, world, runbook, async (incident) => {
    await incident.send(incident.alert());
    const waiting = await incident.until('waiting', (view) => view.pendingApprovals.length === 1);
    await incident.approve(incident.signed(waiting, 'maria'));
    const rollback = await pollUntil('the rollback being tried', 30_000, async () => {
      for await (const execution of env.client.workflow.list()) {
        if (execution.workflowId.startsWith(`rollback-${waiting.incidentId}`)) return execution.workflowId;
      }
      return undefined;
    });
    await incident.handle.executeUpdate(messages.abortUpdate, {
      args: [{ actor: { person: 'kim', via: 'api' }, reason: 'we do it by hand' }],
    });
    await pollUntil('the rollback having ended', 60_000, async () => {
      const { status } = await env.client.workflow.getHandle(rollback).describe();
      return status.name !== 'RUNNING' || undefined;
    });
    // Nothing is left that could patch: whatever the cluster does now.
    world.clusterProblem = undefined;
    const view = await incident.until('stopped', (seen) =>
      seen.steps.every((step) => step.endedAtMs !== undefined),
    );
    expect(world.rollouts).toBe(0);
    expect(view.breaker?.state).toBe('open');
    expect(view.state).toBe('needs-human');
  });
});
