/** Committed histories must replay with today's workflow code: a red test here means `patched()`, never a new history. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { SCENARIO_NAMES } from '../../demo/world/scenarios.ts';
import { workflowBundle } from '../../worker/bundle.ts';

const DIR = path.resolve('test/replay/histories');

Runtime.install({ logger: new DefaultLogger('ERROR') });

interface Recorded {
  name: string;
  /** As it was: ids of children are made from it. */
  workflowId: string;
  history: ReturnType<typeof historyFromJSON>;
}

function recorded(scenario: string): Recorded[] {
  return readdirSync(path.join(DIR, scenario)).map((name) => {
    const text = gunzipSync(readFileSync(path.join(DIR, scenario, name))).toString('utf8');
    const history = historyFromJSON(JSON.parse(text));
    const workflowId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowId;
    if (!workflowId) throw new Error(`${scenario}/${name} does not start with a started event`);
    return { name, workflowId, history };
  });
}

async function failuresOf(histories: Recorded[]): Promise<string[]> {
  const bundle = await workflowBundle();
  const failures: string[] = [];
  for await (const result of Worker.runReplayHistories({ workflowBundle: { codePath: bundle } }, histories)) {
    if (result.error) failures.push(`${result.workflowId}: ${result.error.message}`);
  }
  return failures;
}

describe('histories of every scenario', () => {
  it.each(SCENARIO_NAMES)('%s replays', async (scenario) => {
    const histories = recorded(scenario);
    // The incident, its paging and its target at least.
    expect(histories.length).toBeGreaterThanOrEqual(3);
    expect(await failuresOf(histories)).toEqual([]);
  });

  it('would notice a step that the code no longer takes', async () => {
    const [first] = recorded('rollback').filter(({ name }) => name.startsWith('verification'));
    if (!first) throw new Error('no verification was recorded');
    const scheduled = first.history.events?.find((event) => event.activityTaskScheduledEventAttributes);
    if (!scheduled?.activityTaskScheduledEventAttributes) throw new Error('no activity was recorded');
    scheduled.activityTaskScheduledEventAttributes.activityType = { name: 'somethingElse' };
    expect(await failuresOf([first])).toHaveLength(1);
  });
});
