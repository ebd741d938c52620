import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { observeReport } from '../../domain/observe-report.ts';
import * as messages from '../../workflows/messages.ts';
import { withIncident } from './harness.ts';
import { World } from './world.ts';

const waitsForApproval = (view: { pendingApprovals: unknown[] }) => view.pendingApprovals.length === 1;

describe('an incident', () => {
  it('runs the shipped runbook from alert to closed once a person approves', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      const waiting = await incident.until(
        'contained and waiting for approval',
        (view) => waitsForApproval(view) && view.state === 'contained',
      );
      expect(waiting.severity).toBe('SEV1');
      expect(world.pages.map((page) => page.role).sort()).toEqual(['ml-oncall', 'security-oncall']);
      expect(world.rollouts).toBe(0);
      await incident.approve(incident.signed(waiting, 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      const shares = world.breakers.map(({ state, share }) => `${state} ${share}`);
      expect(shares).toEqual(['open 0', 'half-open 0.1', 'half-open 0.25', 'half-open 0.5', 'closed 1']);
      await incident.send({ ...alert, status: 'resolved' });
      const closed = await incident.until('closed', (view) => view.state === 'closed');
      expect(closed.outcome).toBe('recovered');
      expect(closed.steps.map((step) => `${step.id} ${step.status}`)).toEqual(
        [
          'page',
          'divert',
          'snapshot',
          'changes',
          'ticket',
          'sample',
          'rollback',
          'verify',
          'restore',
          'postmortem',
        ].map((id) => `${id} succeeded`),
      );
      expect(world.rollouts).toBe(1);
      expect(world.postmortems).toEqual([true, false]);
      const seqs = closed.timeline.map((entry) => entry.seq);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
      await incident.handle.result();
      expect(world.recorded.size).toBeGreaterThanOrEqual(closed.timeline.length);
      expect(world.pageUpdates).toContain('ml-oncall resolve');
    });
  });

  it('changes nothing in observe mode and says what it would have done', async () => {
    const world = new World();
    world.facts = { ...world.facts, mode: 'observe' };
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('done', (candidate) =>
        candidate.steps.every((step) => step.endedAtMs !== undefined),
      );
      expect(view.steps.filter((step) => step.status === 'would-have').map((step) => step.id)).toEqual([
        'divert',
        'rollback',
        'verify',
        'restore',
      ]);
      expect(world.breakers).toEqual([]);
      expect(world.rollouts).toBe(0);
      expect(view.state).not.toBe('resolved');
    });
  });

  it('says in observe mode when it would have acted on a condition that could not be measured', async () => {
    const world = new World();
    world.facts = { ...world.facts, mode: 'observe' };
    world.harmRate = undefined;
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('done', (candidate) =>
        candidate.steps.every((step) => step.endedAtMs !== undefined),
      );
      const entry = view.timeline.find(({ kind, data }) => kind === 'would-have' && data?.step === 'divert');
      expect(entry?.data?.unknown).toContain('metrics.harmRate is unknown');
    });
  });

  it('stays contained and needs a human when the approver says no', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      await incident.reject(
        incident.signed(waiting, 'maria', { decision: 'reject', reason: 'not the model' }),
      );
      const view = await incident.until('needs human', (candidate) =>
        candidate.steps.every((step) => step.endedAtMs !== undefined),
      );
      expect(view.state).toBe('needs-human');
      expect(view.outcome).toBe('rejected');
      expect(view.breaker?.state).toBe('open');
      expect(world.rollouts).toBe(0);
      expect(view.steps.find((step) => step.id === 'verify')?.status).toBe('skipped');
    });
  });

  it.each([
    ['not-recovered', 'not-recovered'],
    ['undecided', 'insufficient-evidence'],
  ] as const)(
    'takes the share back and pages the commander when the verdict is %s',
    async (found, outcome) => {
      const world = new World();
      world.verdicts = [found];
      await withIncident(world, async (incident) => {
        await incident.send(incident.alert());
        const waiting = await incident.until('waiting', waitsForApproval);
        await incident.approve(incident.signed(waiting, 'maria'));
        const view = await incident.until('needs human', (candidate) => candidate.state === 'needs-human');
        expect(view.outcome).toBe(outcome);
        await incident.until('commander paged', () => world.pages.some((page) => page.role === 'commander'));
        expect(world.breakers.map((breaker) => breaker.state)).toEqual(['open', 'half-open', 'open']);
        expect(view.milestones.restored).toBeUndefined();
      });
    },
  );

  it('does not let traffic back when the rolled back pods never become ready', async () => {
    const world = new World();
    world.rolloutOutcome = 'deadline';
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      await incident.approve(incident.signed(waiting, 'maria'));
      const view = await incident.until('needs human', (candidate) => candidate.state === 'needs-human');
      expect(view.outcome).toBe('not-recovered');
      expect(world.breakers.map((breaker) => breaker.state)).toEqual(['open']);
    });
  });

  it('makes a fresh plan and asks again when the target changed after the approval', async () => {
    const world = new World();
    let drifted = false;
    world.beforeApply = () => {
      if (drifted) return;
      drifted = true;
      world.planVersion = 2;
      throw ApplicationFailure.nonRetryable('the template changed', 'PreconditionFailed');
    };
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const first = await incident.until('waiting', waitsForApproval);
      await incident.approve(incident.signed(first, 'maria'));
      const second = await incident.until(
        'asked again',
        (view) => view.pendingApprovals[0]?.planHash === 'plan-2',
      );
      expect(world.rollouts).toBe(0);
      await expect(incident.approve(incident.signed(first, 'maria'))).rejects.toThrow();
      await incident.approve(incident.signed(second, 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      expect(world.rollouts).toBe(1);
    });
  });

  it('refuses decisions about another plan, another person, or given twice', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const waiting = await incident.until('waiting', waitsForApproval);
      await expect(
        incident.approve(incident.signed(waiting, 'maria', { planHash: 'other' })),
      ).rejects.toThrow();
      await expect(
        incident.approve(incident.signed(waiting, 'maria', { incidentId: 'inc-other' })),
      ).rejects.toThrow();
      await expect(incident.approve(incident.signed(waiting, 'maria'), 'eve')).rejects.toThrow();
      await expect(
        incident.approve(incident.signed(waiting, 'maria', { decision: 'reject' })),
      ).rejects.toThrow();
      expect((await incident.view()).pendingApprovals[0]?.approvedBy).toEqual([]);
    });
  });

  it('pages the commander when nobody decides in time, and keeps asking', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      await incident.until('escalated', () =>
        world.pages.some((page) => page.dedupKey.includes('approval-rollback')),
      );
      expect((await incident.view()).pendingApprovals).toHaveLength(1);
    });
  });

  it('is one incident when its alert resolves and fires again', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      const before = await incident.until('waiting', waitsForApproval);
      await incident.send({ ...alert, status: 'resolved' });
      await incident.send(alert);
      const after = await incident.until('firing again', (view) => view.alerts[0]?.deliveries === 3);
      expect(after.incidentId).toBe(before.incidentId);
      expect(world.pages).toHaveLength(2);
      expect(world.tickets).toBe(1);
    });
  });

  it('starts another round when an alert fires anew after mitigation', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      await incident.send({ ...alert, status: 'resolved' });
      await incident.send(alert);
      const again = await incident.until('waiting again', waitsForApproval);
      expect(again.milestones.recovered).toBeUndefined();
      expect(world.tickets).toBe(1);
    });
  });

  it('opens a linked incident for an alert that fires anew after closing, and only counts one that never stopped', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      const first = await incident.until('waiting', waitsForApproval);
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'maria', via: 'api' }, reason: 'handled by hand' }],
      });
      await incident.until('closed', (view) => view.state === 'closed');
      await incident.send(alert);
      const told = await incident.until('told', (view) =>
        view.timeline.some((entry) => entry.text.includes('still firing')),
      );
      expect(told.incidentId).toBe(first.incidentId);
      await incident.send(incident.alert());
      const linked = await incident.until('a new incident', (view) => view.incidentId !== first.incidentId);
      expect(linked.predecessorId).toBe(first.incidentId);
      expect(linked.state).not.toBe('closed');
    });
  });

  it('pages and needs a human, and changes nothing, when the labels name no usable target', async () => {
    const world = new World();
    await withIncident(
      world,
      async (incident) => {
        await incident.send(incident.alert());
        const view = await incident.until(
          'needs human',
          (candidate) => candidate.milestones.paged !== undefined,
        );
        expect(view.state).toBe('needs-human');
        expect(world.breakers).toEqual([]);
        expect(view.steps.find((step) => step.id === 'rollback')?.status).not.toBe('succeeded');
      },
      { change: { target: { ok: false, reason: 'namespace kube-system is not in the configuration' } } },
    );
  });

  it('ends with its alert in observe mode, handed over and not called recovered', async () => {
    const world = new World();
    world.facts = { ...world.facts, mode: 'observe' };
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.until('done', (view) => view.steps.every((step) => step.endedAtMs !== undefined));
      await incident.send({ ...alert, status: 'resolved' });
      const closed = await incident.until('closed', (view) => view.state === 'closed');
      expect(closed.outcome).toBe('handed-over');
      expect(closed.rollback).toBeUndefined();
      expect(closed.milestones.recovered).toBeUndefined();
      const seen = closed.timeline.filter((entry) => Array.isArray(entry.data?.targetChanges));
      expect(seen.map(({ kind, data }) => [kind, data])).toEqual([
        ['evidence', { targetChanges: [{ atMs: 0, what: 'rollout of revision 2' }], leftOut: 0 }],
      ]);
      const { incidents } = observeReport({ incidents: [closed], sinceMs: 0, untilMs: 1, truncated: false });
      expect(incidents[0]).toMatchObject({
        wouldHave: [{ step: 'divert' }, { step: 'rollback' }, { step: 'verify' }, { step: 'restore' }],
        notDone: [],
      });
      expect(incidents[0]?.signs).toEqual(['would-contain', 'would-plan-rollback', 'target-changed']);
    });
  });

  it('closes an observed incident in time while its cluster is away, and says what is not known', async () => {
    const world = new World();
    world.facts = { ...world.facts, mode: 'observe' };
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.until('done', (view) => view.steps.every((step) => step.endedAtMs !== undefined));
      world.changesProblem = 'connection refused';
      await incident.send({ ...alert, status: 'resolved' });
      const closed = await incident.until('closed', (view) => view.state === 'closed');
      const { resolved = 0, closed: closedAtMs = Number.POSITIVE_INFINITY } = closed.milestones;
      expect(closedAtMs - resolved).toBeLessThan(60_000);
      expect(closed.timeline.map(({ text }) => text)).toContain(
        'What was changed on the target could not be read',
      );
    });
  });

  it('does not look for changes of the target by others in other modes', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'by hand' }],
      });
      const closed = await incident.until('closed', (view) => view.state === 'closed');
      expect(closed.timeline.filter(({ data }) => data?.targetChanges !== undefined)).toEqual([]);
    });
  });

  it('rolls back to another revision that a person chose after the first did not help, and proves that one', async () => {
    const world = new World();
    world.verdicts = ['not-recovered'];
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      await incident.until('not recovered', (view) => view.outcome === 'not-recovered');
      await incident.until('commander paged', () => world.pages.some((page) => page.role === 'commander'));
      world.verdicts = ['recovered'];
      world.planVersion = 2;
      world.previous = { ...world.previous, revision: 0, templateHash: 'template-older' };
      await incident.handle.executeUpdate(messages.retryStepUpdate, {
        args: [
          { actor: { person: 'kim', via: 'api' }, step: 'rollback', reason: 'older one', toRevision: 0 },
        ],
      });
      const again = await incident.until('asked again', waitsForApproval);
      expect(again.humanNeeded).toEqual([]);
      expect(again.milestones.rolledBack).toBeUndefined();
      await incident.approve(incident.signed(again, 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      expect(world.rollouts).toBe(2);
      await incident.send({ ...alert, status: 'resolved' });
      expect((await incident.until('closed', (view) => view.state === 'closed')).outcome).toBe('recovered');
    });
  });

  it('goes on when the ticket system refuses, needs a human for it, and ends by itself once the step is skipped', async () => {
    const world = new World();
    world.ticketProblem = 'the token is refused';
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      const restored = await incident.until('restored', (view) => view.milestones.restored !== undefined);
      expect(restored.state).toBe('needs-human');
      expect(restored.humanNeeded[0]).toContain('the token is refused');
      await incident.send({ ...alert, status: 'resolved' });
      await incident.handle.executeUpdate(messages.skipStepUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, step: 'ticket', reason: 'opened by hand' }],
      });
      const closed = await incident.until('closed', (view) => view.state === 'closed');
      expect(closed.outcome).toBe('recovered');
      expect(closed.humanNeeded).toEqual([]);
    });
  });

  it('pages the commander once for each reason when several steps fail at once', async () => {
    const world = new World();
    world.ticketProblem = 'refused';
    world.facts = { ...world.facts, exists: false };
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until(
        'all pages',
        () => world.pages.filter((page) => page.role === 'commander').length >= 2,
      );
      const keys = world.pages.map((page) => `${page.role} ${page.dedupKey}`);
      expect(new Set(keys).size).toBe(keys.length);
      expect((await incident.view()).timeline.map((entry) => entry.text)).not.toContain(
        'The commander could not be paged',
      );
    });
  });

  it('pages, contains and takes decisions while the records refuse everything, and writes it all down afterwards', async () => {
    const world = new World();
    world.recordsProblem = 'the password is refused';
    await withIncident(world, async (incident) => {
      const alert = incident.alert();
      await incident.send(alert);
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      await incident.until('restored', (view) => view.milestones.restored !== undefined);
      expect(world.pages.map((page) => page.role)).toEqual(
        expect.arrayContaining(['ml-oncall', 'security-oncall']),
      );
      expect(world.recorded.size).toBe(0);
      world.recordsProblem = undefined;
      await incident.until('recorded', () => world.recorded.size > 20);
    });
  });

  it('looks at new alerts while the end of an incident cannot be written down', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const first = await incident.until('waiting', waitsForApproval);
      world.recordsProblem = 'the disk is full';
      world.commentProblem = 'away';
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'by hand' }],
      });
      await incident.until('resolved', (view) => view.state === 'resolved');
      await incident.send(incident.alert());
      const next = await incident.until('a linked incident', (view) => view.incidentId !== first.incidentId);
      expect(next.predecessorId).toBe(first.incidentId);
      await incident.until('paged anew', () => world.pages.length >= 4);
      world.recordsProblem = undefined;
      await incident.until('the postmortem of the first', () => world.postmortems.includes(false));
    });
  });

  it('closes although the ticket system is away when the outcome is to be told', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      world.commentProblem = 'away';
      await incident.handle.executeUpdate(messages.resolveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'by hand' }],
      });
      await incident.until('closed', (view) => view.state === 'closed');
      expect(world.pageUpdates).toContain('ml-oncall resolve');
    });
  });

  it('gives no traffic back to a template that came while another was being verified', async () => {
    const world = new World();
    world.verdicts = ['undecided', 'recovered'];
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      world.whileVerifying = () => {
        world.running = { ...world.running, revision: 4, templateHash: 'template-shipped-by-somebody' };
      };
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      const view = await incident.until('needs human', (candidate) => candidate.state === 'needs-human');
      expect(view.milestones.recovered).toBeUndefined();
      expect(world.breakers.at(-1)?.state).toBe('open');
      expect(world.breakers.map((breaker) => breaker.state)).not.toContain('closed');
    });
  });

  it('does not start a step again while one that follows it waits for people', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.until('waiting', waitsForApproval);
      await expect(
        incident.handle.executeUpdate(messages.retryStepUpdate, {
          args: [{ actor: { person: 'kim', via: 'api' }, step: 'snapshot', reason: 'again' }],
        }),
      ).rejects.toThrow();
      expect((await incident.view()).pendingApprovals).toHaveLength(1);
    });
  });

  it('keeps what a person said of its outcome', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      await incident.approve(incident.signed(await incident.until('waiting', waitsForApproval), 'maria'));
      await incident.until('mitigated', (view) => view.state === 'mitigated');
      await incident.handle.executeUpdate(messages.markFalsePositiveUpdate, {
        args: [{ actor: { person: 'kim', via: 'api' }, reason: 'the classifier was wrong' }],
      });
      expect((await incident.until('closed', (view) => view.state === 'closed')).outcome).toBe(
        'false-positive',
      );
    });
  });

  it('calls the commander again and again until somebody acknowledges', async () => {
    const world = new World();
    await withIncident(world, async (incident) => {
      await incident.send(incident.alert());
      const commanderPages = () =>
        world.pages.filter((page) => page.role === 'commander' && !page.dedupKey.includes('approval'));
      await incident.until('three calls', () => commanderPages().length >= 3);
      expect(new Set(commanderPages().map((page) => page.dedupKey)).size).toBe(commanderPages().length);
      await incident.handle.executeUpdate(messages.acknowledgeUpdate, {
        args: [{ actor: { person: 'maria', via: 'api' } }],
      });
      await incident.until('acknowledged at the vendor', () =>
        world.pageUpdates.includes('commander acknowledge'),
      );
    });
  });
});
