import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { bundleWorkflowCode } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ActivityHandler,
  createSimulation,
  FailsAfter,
  type Simulation,
} from '../../simulation/runtime/index.ts';
import { FAILURE_CONVERTER_PATH } from '../../worker/codec/data-converter.ts';

const START_MS = Date.parse('2026-01-01T00:00:00Z');
const DAY_MS = 86_400_000;
let folder: string;
let bundlePath: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'firebreak-runtime-'));
  bundlePath = path.join(folder, 'workflows.js');
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(import.meta.dirname, 'runtime-workflows.ts'),
    failureConverterPath: FAILURE_CONVERTER_PATH,
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.error, error: console.error },
  });
  await writeFile(bundlePath, code);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function simulating<T>(activities: ActivityHandler, test: (sim: Simulation) => Promise<T>): Promise<T> {
  const sim = await createSimulation({ bundlePath, startMs: START_MS, activities });
  try {
    return await test(sim);
  } finally {
    await sim.dispose();
  }
}

const nothing: ActivityHandler = async () => ({});

function start(sim: Simulation, workflowType: string, args: unknown[] = [], workflowId = 'it'): void {
  // A signal that nobody handles is kept by the workflow and harms nothing.
  sim.signalWithStart({ workflowType, workflowId, args, signal: 'start', signalArgs: [] });
}

/** Runs a workflow to its end and says what it has seen. */
async function seen(workflowType: string, args: unknown[], activities: ActivityHandler): Promise<unknown> {
  return simulating(activities, async (sim) => {
    start(sim, workflowType, args);
    expect(await sim.run({ untilMs: START_MS + 60 * DAY_MS })).toBe('idle');
    return sim.query('it', 'seen');
  });
}

describe('activities', () => {
  it('are tried again after growing pauses up to the longest, and answer in the end', async () => {
    const times: number[] = [];
    const result = await seen('retrying', ['x'], async ({ nowMs, attempt }) => {
      times.push((nowMs - START_MS) / 1_000);
      if (attempt < 6) throw ApplicationFailure.retryable('away', 'Unavailable');
      return { result: 'done', tookMs: 500 };
    });
    expect(times).toEqual([0, 1, 3, 7, 11, 15]);
    expect(result).toEqual(['done', '15500']);
  });

  it('are not tried again after a failure that is final, by itself or by the policy', async () => {
    for (const failure of [
      ApplicationFailure.nonRetryable('no', 'Refused'),
      ApplicationFailure.retryable('no', 'Never'),
    ]) {
      const result = await seen('retrying', ['x'], async () => {
        throw new FailsAfter(2_000, failure);
      });
      expect(result).toEqual(['ActivityFailure: no', '2000']);
    }
  });

  it('wait as long as the failure itself says', async () => {
    const result = await seen('retrying', ['x'], async ({ attempt }) => {
      if (attempt === 1) throw ApplicationFailure.create({ message: 'later', nextRetryDelay: 30_000 });
      return { result: 'done' };
    });
    expect(result).toEqual(['done', '30000']);
  });

  it('time out where they take longer than they may, and that is tried again', async () => {
    const result = await seen('retrying', ['x'], async ({ attempt }) => ({
      result: 'done',
      tookMs: attempt === 1 ? 60_000 : 0,
    }));
    expect(result).toEqual(['done', '11000']);
  });

  it('end with the number of attempts', async () => {
    let attempts = 0;
    const result = await seen('limited', [], async () => {
      attempts++;
      throw ApplicationFailure.retryable('away', 'Unavailable');
    });
    expect({ attempts, result }).toEqual({ attempts: 2, result: ['ActivityFailure'] });
  });

  it.each([
    ['try', ['cancelled', '5000']],
    ['wait', ['done', '20000']],
    ['abandon', ['cancelled', '5000']],
  ])('that are cancelled (%s) end as the workflow asked for', async (type, expected) => {
    expect(await seen('cancelling', [type], async () => ({ result: 'done', tookMs: 20_000 }))).toEqual(
      expected,
    );
  });
});

describe('time', () => {
  it('passes at once however long a timer is, and cancelled timers do not fire', async () => {
    const startedMs = performance.now();
    expect(await seen('timers', [], nothing)).toEqual([
      `15 days at ${15 * DAY_MS}`,
      `timer cancelled at ${15 * DAY_MS}`,
    ]);
    // The limit for a wait of 15 days, with room for a busy machine: it takes some 100 ms.
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('stops at the limit, and where it is done', async () => {
    await simulating(nothing, async (sim) => {
      start(sim, 'timers');
      expect(await sim.run({ untilMs: START_MS + DAY_MS })).toBe('limit');
      expect(sim.nowMs).toBe(START_MS + DAY_MS);
      sim.at(START_MS + 2 * DAY_MS, () => undefined);
      expect(
        await sim.run({ untilMs: START_MS + 20 * DAY_MS, done: () => sim.nowMs > START_MS + DAY_MS }),
      ).toBe('done');
      expect(sim.nowMs).toBe(START_MS + 2 * DAY_MS);
    });
  });

  it('carries thousands of looks', async () => {
    await simulating(
      async () => ({ tookMs: 10 }),
      async (sim) => {
        start(sim, 'polling');
        expect(await sim.run({ untilMs: START_MS + 2 * DAY_MS })).toBe('idle');
        expect(sim.stats.activities).toBe(5_760);
      },
    );
  });
});

describe('workflows', () => {
  it('start children, hear how they end, and leave or take them along', async () => {
    await simulating(nothing, async (sim) => {
      start(sim, 'parent');
      await sim.run({ untilMs: START_MS + DAY_MS, done: () => !sim.isRunning('it') });
      expect(await sim.query('it', 'seen')).toEqual([
        'child a',
        'ChildWorkflowFailure: the child fails',
        'WorkflowExecutionAlreadyStartedError',
        'child cancelled',
      ]);
      expect(sim.isRunning('abandoned')).toBe(true);
      expect(sim.isRunning('terminated')).toBe(false);
      expect(await sim.run({ untilMs: START_MS + DAY_MS })).toBe('idle');
      expect(sim.isRunning('abandoned')).toBe(false);
    });
  });

  it('go on in new runs and lose no signal', async () => {
    await simulating(nothing, async (sim) => {
      start(sim, 'collecting', [[]]);
      const sent = Array.from({ length: 10 }, (_, index) => `s${index}`);
      // All of them arrive in one moment: what a run does not take, the next one gets.
      for (const text of sent) sim.signal('it', 'poke', [text]);
      await sim.run({ untilMs: START_MS + DAY_MS });
      sim.signal('it', 'poke', ['stop']);
      await sim.run({ untilMs: START_MS + DAY_MS });
      expect(await sim.query('it', 'seen')).toEqual([...sent, 'stop']);
      expect(sim.isRunning('it')).toBe(false);
      expect(sim.signal('it', 'poke', ['late'])).toBe(false);
    });
  });

  it('validate updates, answer them in time, and fail them', async () => {
    await simulating(nothing, async (sim) => {
      start(sim, 'counting');
      const answers: unknown[] = [];
      const send = (number: number) => () =>
        sim.update('it', 'add', [number]).then(
          (answer) => void answers.push([number, answer, (sim.nowMs - START_MS) / 60_000]),
          (error: Error) => void answers.push([number, error.message, (sim.nowMs - START_MS) / 60_000]),
        );
      sim.at(START_MS, send(-1));
      sim.at(START_MS + 60_000, send(5));
      sim.at(START_MS + 120_000, send(13));
      await sim.run({ untilMs: START_MS + DAY_MS });
      expect(answers).toEqual([
        [-1, 'only more', 0],
        [5, 5, 2],
        [13, 'unlucky', 3],
      ]);
      await expect(sim.update('nobody', 'add', [1])).rejects.toThrow(/does not run/);
    });
  });

  it('signal each other, and hear of those that do not run', async () => {
    await simulating(nothing, async (sim) => {
      start(sim, 'collecting', [[]], 'collector');
      start(sim, 'talking');
      await sim.run({ untilMs: START_MS + DAY_MS });
      expect(await sim.query('collector', 'seen')).toEqual(['hello']);
      expect(await sim.query('it', 'seen')).toEqual([expect.stringContaining('was not found')]);
    });
  });

  it('that go wrong end the simulation with the mistake, and with nothing else', async () => {
    await simulating(nothing, async (sim) => {
      start(sim, 'broken');
      await expect(sim.run({ untilMs: START_MS + DAY_MS })).rejects.toThrow(
        'workflow it went wrong: a mistake in workflow code',
      );
    });
    await simulating(nothing, async (sim) => {
      sim.at(START_MS + 1, async () => {
        throw new Error('a mistake in the script');
      });
      await expect(sim.run({ untilMs: START_MS + DAY_MS })).rejects.toThrow('a mistake in the script');
    });
  });

  it('come out the same every time', async () => {
    const once = () =>
      simulating(
        async ({ nowMs }) => ({ tookMs: nowMs % 7 }),
        async (sim) => {
          start(sim, 'parent');
          start(sim, 'retrying', ['x'], 'other');
          await sim.run({ untilMs: START_MS + DAY_MS });
          return JSON.stringify([await sim.query('it', 'seen'), await sim.query('other', 'seen'), sim.stats]);
        },
      );
    expect(await once()).toBe(await once());
  });
});
