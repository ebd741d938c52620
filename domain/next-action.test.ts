import { describe, expect, it } from 'vitest';
import { approvalOf, viewOf } from '../webhooks/test-support/incident.ts';
import { nextActionLine, nextActions } from './next-action.ts';

const kinds = (view: Parameters<typeof nextActions>[0]) => nextActions(view).map(({ kind }) => kind);
const nothingPending = { pendingApprovals: [], acknowledgedBy: 'maria', steps: [] };

describe('the next action', () => {
  it('is the decision that waits, with who and until when', () => {
    expect(nextActionLine(viewOf())).toBe(
      'Approve or reject step rollback by 10:11 UTC: 1 of ml-oncall or commander.',
    );
    const two = viewOf({
      pendingApprovals: [approvalOf({ count: 2, approvedBy: ['maria'] }), approvalOf({ step: 'restore' })],
    });
    expect(nextActionLine(two)).toContain('1 of ml-oncall or commander (1 more after that)');
  });

  it('is to acknowledge while nobody is on it', () => {
    const view = viewOf({ pendingApprovals: [], humanNeeded: ['the fallback is unhealthy'] });
    expect(nextActionLine(view)).toMatch(/^Acknowledge it/);
    expect(kinds(view)).toEqual(['acknowledge', 'look', 'resolve', 'read-timeline']);
  });

  it('is to acknowledge again once an acknowledgement has lapsed', () => {
    const milestones = { triggered: 0, acknowledged: 1 };
    expect(nextActionLine(viewOf({ pendingApprovals: [], steps: [], milestones }))).toMatch(
      /^Acknowledge it/,
    );
  });

  it('is what a human is needed for, by its reason, also where a step failed of it', () => {
    const reason = 'step rollback failed: the Deployment is paused';
    const steps = [{ id: 'rollback', uses: 'rollback', status: 'failed' as const }];
    expect(nextActionLine(viewOf({ ...nothingPending, steps, humanNeeded: [reason] }))).toBe(
      `Step rollback failed: ${reason}.`,
    );
    expect(nextActionLine(viewOf({ ...nothingPending, humanNeeded: [reason] }))).toBe(
      `A human is needed: ${reason}.`,
    );
    expect(nextActionLine(viewOf({ ...nothingPending, steps }))).toContain('then retry or skip it');
  });

  it('is to tell the stakeholders when only that is due', () => {
    const view = viewOf({ ...nothingPending, updateDueAtMs: Date.UTC(2026, 2, 1, 10, 38) });
    expect(nextActionLine(view)).toContain('by 10:38 UTC: /firebreak update');
  });

  it('is nothing while Firebreak works, and says at what', () => {
    const steps = [{ id: 'snapshot', uses: 'snapshot', status: 'running' as const }];
    expect(nextActionLine(viewOf({ ...nothingPending, steps }))).toBe(
      'Nothing right now: under way: snapshot.',
    );
    expect(nextActionLine(viewOf({ ...nothingPending, state: 'verifying' }))).toContain('measured');
  });

  it('asks nobody for anything when it is over', () => {
    const over = { ...nothingPending, updateDueAtMs: 1, humanNeeded: [] };
    expect(nextActionLine(viewOf({ ...over, state: 'resolved' }))).toMatch(/^Nothing/);
    expect(nextActionLine(viewOf({ ...over, state: 'closed' }))).toContain('postmortem');
    expect(kinds(viewOf({ ...over, state: 'resolved' }))).not.toContain('update');
    expect(nextActionLine(viewOf({ ...nothingPending, state: 'mitigated' }))).toMatch(
      /^Nothing, if you agree/,
    );
  });
});
