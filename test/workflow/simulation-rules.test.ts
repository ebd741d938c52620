/**
 * The single rules of the simulation's own part, shown to be the server's: each probe and each exchange of messages runs
 * on a real Temporal server and in the simulation, and both must have been seen to do the same.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveParts } from '../../demo/parts/resolve-parts.ts';
import { type ActivityHandler, createSimulation, type Simulation } from '../../simulation/runtime/index.ts';
import { FAILURE_CONVERTER_PATH } from '../../worker/codec/data-converter.ts';
import { type Attempt, CLOSE_POLICIES, PROBE_NAMES, tell } from './simulation-rules-workflows.ts';

const TASK_QUEUE = 'rules';
/** Real seconds pass on the server; more at once than this, and a busy machine shows in what is late. */
const PROBES_AT_ONCE = 12;
const HEARTBEAT_EVERY_MS = 100;
const KEYWORD_ATTRIBUTE = { name: 'CustomKeywordField', type: 'KEYWORD' } as const;

let folder: string;
let bundlePath: string;
let env: TestWorkflowEnvironment;
let worker: Worker;
let running: Promise<void>;

const ignored = () => undefined;
const QUIET = {
  log: ignored,
  trace: ignored,
  debug: ignored,
  info: ignored,
  warn: ignored,
  error: console.error,
};

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'firebreak-rules-'));
  bundlePath = path.join(folder, 'workflows.js');
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(import.meta.dirname, 'simulation-rules-workflows.ts'),
    failureConverterPath: FAILURE_CONVERTER_PATH,
    logger: { ...QUIET, warn: console.error },
  });
  await writeFile(bundlePath, code);
  // Failed activities and workflows are what is tried here.
  Runtime.install({ logger: QUIET });
  const { temporal } = await resolveParts(['temporal']);
  env = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporal },
      searchAttributes: [KEYWORD_ATTRIBUTE as never],
    },
  });
  worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: TASK_QUEUE,
    workflowBundle: { codePath: bundlePath },
    dataConverter: { failureConverterPath: FAILURE_CONVERTER_PATH },
    activities: {
      async work(attempts: Attempt[]) {
        const context = Context.current();
        const attempt = attemptOf(attempts, context.info.attempt);
        if (context.info.heartbeatTimeoutMs === undefined) {
          await pause(attempt.tookMs ?? 0);
        } else {
          const beats = setInterval(() => heartbeat(), HEARTBEAT_EVERY_MS);
          await context.sleep(attempt.tookMs ?? 0).finally(() => clearInterval(beats));
        }
        return answer(attempt);
      },
    },
  });
  running = worker.run();
});
afterAll(async () => {
  worker?.shutdown();
  await running;
  await env?.teardown();
  await rm(folder, { recursive: true, force: true });
});

function attemptOf(attempts: Attempt[], number: number): Attempt {
  return attempts[Math.min(number, attempts.length) - 1] ?? {};
}

function answer({ fails, result }: Attempt): string | undefined {
  if (!fails) return result;
  throw ApplicationFailure.create({
    message: fails.message,
    type: fails.type,
    nonRetryable: fails.final ?? false,
    nextRetryDelay: fails.again,
  });
}

async function simulating<T>(
  test: (sim: Simulation) => Promise<T>,
  options: Partial<Parameters<typeof createSimulation>[0]> = {},
): Promise<T> {
  const sim: Simulation = await createSimulation({
    bundlePath,
    startMs: Date.parse('2026-01-01T00:00:00Z'),
    failedWorkflows: 'go-on',
    activities: async ({ input, attempt: number, cancelled }) => {
      const attempt = attemptOf(input as Attempt[], number);
      await sim.sleep(attempt.tookMs ?? 0, cancelled);
      return { result: answer(attempt) };
    },
    ...options,
  });
  try {
    return await test(sim);
  } finally {
    await sim.dispose();
  }
}

/** Both kinds of server, with what people and other systems can do there. */
interface Side {
  start(workflowType: string, workflowId: string, args: unknown[]): Promise<void>;
  cancel(workflowId: string): Promise<void>;
  signal(workflowId: string, text: string): Promise<string>;
  update(workflowId: string, name: string, text: string): Promise<string>;
  query(workflowId: string): Promise<string>;
  status(workflowId: string): Promise<string>;
  pass(ms: number): Promise<void>;
}

function serverSide(): Side {
  const { workflow } = env.client;
  return {
    start: async (type, workflowId, args) =>
      void (await workflow.start(type, { taskQueue: TASK_QUEUE, workflowId, args })),
    cancel: async (workflowId) => void (await workflow.getHandle(workflowId).cancel()),
    signal: (workflowId, text) =>
      workflow
        .getHandle(workflowId)
        .signal('poke', text)
        .then(
          () => 'sent',
          () => 'nobody there',
        ),
    update: (workflowId, name, text) =>
      workflow
        .getHandle(workflowId)
        .executeUpdate(name, { args: [text] })
        .then(String, (error: Error) => (error.cause ? tell(error.cause) : 'nobody there')),
    query: async (workflowId) => JSON.stringify(await workflow.getHandle(workflowId).query('seen')),
    status: async (workflowId) => (await workflow.getHandle(workflowId).describe()).status.name.toLowerCase(),
    pass: pause,
  };
}

function simulatedSide(sim: Simulation): Side {
  return {
    async start(workflowType, workflowId, args) {
      sim.start({ workflowType, workflowId, args });
    },
    async cancel(workflowId) {
      sim.cancel(workflowId);
    },
    signal: async (workflowId, text) => (sim.signal(workflowId, 'poke', [text]) ? 'sent' : 'nobody there'),
    update: (workflowId, name, text) =>
      sim
        .update(workflowId, name, [text])
        .then(String, (error: Error) =>
          error.message.includes('does not run') ? 'nobody there' : tell(error),
        ),
    query: async (workflowId) => JSON.stringify(await sim.query(workflowId, 'seen')),
    status: async (workflowId) => sim.describe(workflowId)?.status ?? 'unknown',
    pass: async (ms) => void (await sim.run({ untilMs: sim.nowMs + ms })),
  };
}

/** Updates and signals of every fate, over continue-as-new and beyond the end. */
async function talk(side: Side): Promise<string[]> {
  const log: string[] = [];
  const id = 'talking';
  await side.start('talking', id, []);
  await side.pass(1_000);
  log.push(await side.query(id), await side.signal(id, 'one'));
  for (const [name, text] of [
    ['add', 'good'],
    ['add', 'bad'],
    ['add', 'wrong'],
    ['add', 'unlucky'],
    ['unknown', 'good'],
  ] as const) {
    const answered = side.update(id, name, text);
    await side.pass(1_000);
    log.push(`${name} ${text}: ${await answered}`);
  }
  log.push(await side.query(id));
  const inFlight = side.update(id, 'add', 'in flight');
  await side.pass(50);
  await side.signal(id, 'go on');
  await side.signal(id, 'more');
  await side.pass(1_500);
  log.push(`in flight: ${await inFlight}`, await side.query(id));
  await side.signal(id, 'end');
  await side.pass(1_000);
  log.push(await side.query(id), await side.status(id), await side.signal(id, 'late'));
  const late = side.update(id, 'add', 'late');
  await side.pass(100);
  log.push(`late: ${await late}`);
  return log;
}

const ENDINGS = ['ends', 'fails', 'goes on'];

/** What becomes of children when their parent ends, fails or continues as new, and of the cancelled. */
async function leave(side: Side): Promise<string[]> {
  for (const how of ENDINGS) await side.start('leaving', `leaving ${how}`, [how]);
  await side.start('child', 'asleep', ['sleeps']);
  await side.start('child', 'tidying', ['tidies']);
  await side.pass(3_000);
  await side.cancel('asleep');
  await side.cancel('tidying');
  await side.pass(1_500);
  const ids = ENDINGS.flatMap((how) => [
    `leaving ${how}`,
    ...CLOSE_POLICIES.map((policy) => `leaving ${how}-${policy}`),
  ]);
  const statuses = async () =>
    Promise.all([...ids, 'asleep', 'tidying'].map(async (id) => `${id} ${await side.status(id)}`));
  const soon = await statuses();
  await side.pass(7_000);
  return [...soon, ...(await statuses())];
}

describe.concurrent('the simulation and a Temporal server', () => {
  it('agree on every rule of activities, children, timers and cancellation', async () => {
    const names = [...PROBE_NAMES];
    const found: Record<string, unknown> = {};
    const waiting = [...names];
    const next = async (): Promise<void> => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        const options = { taskQueue: TASK_QUEUE, workflowId: `probe ${name}`, args: [name] };
        found[name] = await env.client.workflow.execute('probe', options);
      }
    };
    await Promise.all(Array.from({ length: PROBES_AT_ONCE }, next));
    const simulated = await simulating(async (sim) => {
      for (const name of names) {
        sim.start({ workflowType: 'probe', workflowId: `probe ${name}`, args: [name] });
      }
      await sim.run({ untilMs: sim.nowMs + 3_600_000 });
      return Object.fromEntries(names.map((name) => [name, sim.describe(`probe ${name}`)?.result]));
    });
    expect(simulated).toEqual(found);
    expect(names.length).toBeGreaterThan(40);
  });

  it.each([
    ['messages', talk],
    ['what outlives a parent, and on cancellation', leave],
  ] as const)('agree on %s', async (_, story) => {
    const found = await story(serverSide());
    expect(await simulating((sim) => story(simulatedSide(sim)))).toEqual(found);
  });
});

describe('a simulation', () => {
  const START_MS = Date.parse('2026-01-01T00:00:00Z');
  const untilMs = START_MS + 3_600_000;
  const odd = (sim: Simulation, how: string) =>
    sim.start({ workflowType: 'odd', workflowId: how, args: [how] });

  it('ends where virtual time stands still', async () => {
    await simulating(
      async (sim) => {
        odd(sim, 'endless');
        await expect(sim.run({ untilMs })).rejects.toThrow(
          'virtual time stands still at 2026-01-01T00:00:00.000Z',
        );
        await expect(sim.run({ untilMs })).rejects.toThrow('stands still');
      },
      { activities: async () => ({}) },
    );
  });

  it('ends with a mistake in an activity, instead of trying again', async () => {
    const activities = async () => {
      throw new TypeError('a mistake of the world');
    };
    await simulating(
      async (sim) => {
        odd(sim, 'any');
        await expect(sim.run({ untilMs })).rejects.toThrow('a mistake of the world');
        expect(sim.stats.activities).toBe(1);
      },
      { activities },
    );
  });

  it('ends with a workflow that failed and that nobody waits for, unless told to go on', async () => {
    const failure = {
      kind: 'workflow',
      workflowId: 'fails',
      workflowType: 'odd',
      message: 'odd',
      atMs: START_MS,
    };
    await simulating(
      async (sim) => {
        odd(sim, 'fails');
        await expect(sim.run({ untilMs })).rejects.toThrow('workflow fails failed: odd');
        expect(sim.failures).toEqual([failure]);
      },
      { failedWorkflows: 'end' },
    );
    await simulating(async (sim) => {
      odd(sim, 'fails');
      expect(await sim.run({ untilMs })).toBe('idle');
      expect(sim.failures).toEqual([failure]);
      expect(sim.describe('fails')).toMatchObject({ status: 'failed', failure: { message: 'odd' } });
      expect(sim.logs).toMatchObject([
        { atMs: START_MS, workflowId: 'fails', level: 'warn', message: 'about to be odd' },
        { level: 'warn', message: 'Workflow failed' },
      ]);
    });
  });

  it('comes out the same beside others, however long its activities really take, and leaves nothing behind', async () => {
    const listeners = process.listenerCount('unhandledRejection');
    const once = (slow: boolean) =>
      simulating(
        async (sim) => {
          for (const name of PROBE_NAMES)
            sim.start({ workflowType: 'probe', workflowId: name, args: [name] });
          odd(sim, 'random');
          let approved: unknown;
          sim.start({ workflowType: 'talking', workflowId: 'talking', args: [] });
          sim.at(START_MS + 1_000, async () => {
            approved = [await sim.update('talking', 'add', ['x']), sim.nowMs];
            await sim.sleep(5_000);
            sim.signal('talking', 'poke', ['end']);
          });
          expect(await sim.run({ untilMs })).toBe('idle');
          const results = [...PROBE_NAMES, 'random', 'talking'].map((id) => sim.describe(id));
          return JSON.stringify([approved, results, sim.stats, sim.nowMs]);
        },
        {
          activities: async ({ input, attempt: number }: Parameters<ActivityHandler>[0]) => {
            if (slow && number % 2 === 0) await pause(1);
            const attempt = attemptOf(input as Attempt[], number);
            return { result: answer(attempt), tookMs: attempt.tookMs ?? 0 };
          },
        },
      );
    const alone = await once(false);
    const [beside, slow] = await Promise.all([once(false), once(true)]);
    expect([beside, slow]).toEqual([alone, alone]);
    expect(alone).toContain(`["sum 2",${START_MS + 1_200}]`);
    expect(process.listenerCount('unhandledRejection')).toBe(listeners);
  });
});
