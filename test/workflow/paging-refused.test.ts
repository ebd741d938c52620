import { ApplicationFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import * as messages from '../../workflows/messages.ts';
import { shippedRunbook, unhurried, withIncident } from './harness.ts';
import { World } from './world.ts';

it('fails a page step that every channel refused for good, and forgets it once the step is tried again', async () => {
  const world = new World();
  const activities = world.activities.bind(world);
  let refused = true;
  world.activities = (signaling) => {
    const made = activities(signaling);
    return {
      ...made,
      sendPage: async (input) => {
        if (refused) throw ApplicationFailure.nonRetryable('the key was not accepted', 'Unauthorized');
        return made.sendPage(input);
      },
    };
  };
  const runbook = unhurried(await shippedRunbook());
  const paging = { ...runbook, steps: runbook.steps.filter(({ uses }) => uses === 'page') };
  await withIncident(
    world,
    async (incident) => {
      await incident.send(incident.alert());
      const view = await incident.until('refused', ({ humanNeeded }) =>
        humanNeeded.includes('nobody could page commander'),
      );
      expect(view.steps).toMatchObject([{ id: 'page', status: 'failed' }]);
      expect(view.humanNeeded).toEqual(
        expect.arrayContaining([
          'nobody could page ml-oncall',
          'nobody could page security-oncall',
          expect.stringContaining('step page failed: every channel refused the page to ml-oncall'),
        ]),
      );
      refused = false;
      await incident.handle.executeUpdate(messages.retryStepUpdate, {
        args: [{ actor: { person: 'sam', via: 'api' }, step: 'page', reason: 'the key was renewed' }],
      });
      const paged = await incident.until('paged', ({ steps }) => steps[0]?.status === 'succeeded');
      expect(paged.pages.map(({ role }) => role).sort()).toEqual(['ml-oncall', 'security-oncall']);
      expect(paged.humanNeeded).toEqual([]);
      expect(paged.undelivered ?? []).toEqual([]);
    },
    { runbook: paging },
  );
});
