import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import type { SignalingActivities } from '../../activities/contract.ts';
import * as messages from '../../workflows/messages.ts';
import { withIncident } from './harness.ts';
import { type AllActivities, World } from './world.ts';

const HOUR_MS = 3_600_000;
const WINDOW_MS = 15 * 60_000;

it('looks back to before the incident for samples, also when the store was away for hours', async () => {
  const asked: { fromMs: number; toMs: number }[] = [];
  class AwayWorld extends World {
    override activities(signalTarget: SignalingActivities): AllActivities {
      const activities = super.activities(signalTarget);
      return {
        ...activities,
        async collectSamples(input) {
          asked.push(input);
          if (asked.length === 1) throw ApplicationFailure.nonRetryable('the index is gone', 'NotFound');
          return activities.collectSamples(input);
        },
      };
    }
  }
  await withIncident(new AwayWorld(), async (incident) => {
    await incident.send(incident.alert());
    const status = (view: Awaited<ReturnType<typeof incident.view>>) =>
      view.steps.find(({ uses }) => uses === 'sample')?.status;
    await incident.until('failed', (view) => status(view) === 'failed');
    await incident.env.sleep(2 * HOUR_MS);
    await incident.handle.executeUpdate(messages.retryStepUpdate, {
      args: [{ actor: { person: 'kim', via: 'api' }, step: 'sample', reason: 'it is back' }],
    });
    const view = await incident.until('sampled', (one) => status(one) === 'succeeded');
    const triggeredMs = view.milestones.triggered ?? Number.NaN;
    expect(asked.map(({ fromMs }) => fromMs)).toEqual([triggeredMs - WINDOW_MS, triggeredMs - WINDOW_MS]);
    expect((asked[1]?.toMs ?? 0) - triggeredMs).toBeGreaterThan(2 * HOUR_MS);
  });
});
