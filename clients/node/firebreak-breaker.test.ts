import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HALF_OPEN_LEASE_MS } from '../../domain/breaker.ts';
import cases from '../cases.json' with { type: 'json' };
import { BreakerClient, type Decision, mountedConfigMap, type Reading } from './firebreak-breaker.ts';

/** One of ../cases.json; the Python client is tested by the same. */
interface Case {
  name: string;
  options?: { fallback?: string; whenUnknown?: 'target' };
  steps: Step[];
}
interface Step {
  atS: number;
  clockOffsetS?: number;
  see?: Seen;
  target?: string;
  kind?: string;
  random?: number;
  expect?: Decision;
}
type Seen = 'none' | 'unreadable' | Record<string, string | null>;

const START_MS = Date.parse(cases.start);
const VALUES: Record<string, object> = cases.values;

function textOf(value: string): string {
  const times = /^\$times:(\d+):(.*)$/s.exec(value);
  if (times !== null) return (times[2] ?? '').repeat(Number(times[1]));
  return value.startsWith('$') ? JSON.stringify(VALUES[value.slice(1)]) : value;
}

function readingOf(seen: Seen): Reading {
  if (typeof seen === 'string') return seen;
  return new Map(Object.entries(seen).map(([key, value]) => [key, value === null ? null : textOf(value)]));
}

/** Runs the steps; what was decided, in order. */
function play({ options = {}, steps }: Case): Decision[] {
  let atS = 0;
  let offsetS = 0;
  const client = new BreakerClient({
    ...options,
    wallClockMs: () => START_MS + (atS + offsetS) * 1_000,
    monotonicMs: () => atS * 1_000,
  });
  const decided: Decision[] = [];
  for (const step of steps) {
    atS = step.atS;
    offsetS = step.clockOffsetS ?? offsetS;
    if (step.see !== undefined) client.take(readingOf(step.see));
    if (step.random === undefined) continue;
    const { random, kind, target = 'llm' } = step;
    decided.push(client.decide(kind === undefined ? target : { kind, name: target }, () => random));
  }
  return decided;
}

describe('decisions', () => {
  it.each((cases.cases as unknown as Case[]).map((one) => [one.name, one] as const))('%s', (_name, one) => {
    const expected = one.steps.flatMap((step) => (step.expect === undefined ? [] : [step.expect]));
    expect(expected.length).toBeGreaterThan(0);
    expect(play(one)).toEqual(expected);
  });

  it.each(cases.malformed.texts.map((text) => [text.slice(0, 100), text] as const))(
    'keep what was known when the entry is %s',
    (_shown, text) => {
      const see = { 'deployment.llm': text };
      const ask = { atS: 1, random: 0 };
      for (const [before, expected] of [
        [{ 'deployment.llm': '$open' }, { fallback: 'spare' }],
        [{ 'deployment.llm': '$closed' }, 'target'],
        [{ 'deployment.llm': '$blocked' }, 'block'],
        ['none', 'target'],
      ] as const) {
        expect(play({ name: '', steps: [{ atS: 0, see: before }, { atS: 1, see }, ask] })).toEqual([
          expected,
        ]);
      }
      const options = { fallback: 'other' };
      const first: Case = { name: '', options, steps: [{ atS: 0, see }, { atS: 0, see: 'none' }, ask] };
      expect(play(first)).toEqual([{ fallback: 'other' }]);
    },
  );

  it('know the lease that Firebreak writes', () => {
    const until = new Date(START_MS + HALF_OPEN_LEASE_MS).toISOString();
    expect(VALUES.half).toMatchObject({ validUntil: until });
  });
});

// --- whatever is seen, and in whatever order ----------------------------------------------------------------------

const anyTime = fc
  .integer({ min: -1_200, max: 1_200 })
  .map((offsetS) => new Date(START_MS + offsetS * 1_000).toISOString());
const anyEntry = fc
  .record({
    state: fc.constantFrom('closed', 'open', 'half-open'),
    since: anyTime,
    fallback: fc.constantFrom('spare', null),
    share: fc.constantFrom(0, 0.1, 0.5, 1),
    validUntil: fc.option(anyTime),
  })
  .map((entry) => JSON.stringify(entry));
const garbage = fc.oneof(
  fc.constantFrom(...cases.malformed.texts.filter((text) => text.length < 1_000 && !text.startsWith('$'))),
  fc.json({ maxDepth: 2 }).filter((text) => !text.includes('"state"')),
);
/** A look that tells nothing new of the target. */
const nothing: fc.Arbitrary<Seen> = fc.oneof(
  fc.constantFrom<Seen>(
    'none',
    'unreadable',
    {},
    { 'deployment.llm': null },
    { 'deployment.other': '$closed' },
  ),
  garbage.map((text): Seen => ({ 'deployment.llm': text })),
);
const something: fc.Arbitrary<Seen> = anyEntry.map((text) => ({ 'deployment.llm': text }));
const anyStep = fc.record({
  passesS: fc.integer({ min: 0, max: 400 }),
  see: fc.oneof(something, nothing),
  random: fc.constantFrom(0, 0.05, 0.3, 0.9),
});
const anyOffset = fc.constantFrom(-600, -30, 0, 30, 600);

/** Part of the requests that the target gets. */
function shareOf(client: BreakerClient): number {
  return client.view('llm').share;
}

describe('whatever is seen', () => {
  it('what is missing, unreadable or malformed, and time that passes, send nothing towards the target', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 1 }), anyOffset, (steps, offsetS) => {
        let atS = 0;
        const client = new BreakerClient({
          wallClockMs: () => START_MS + (atS + offsetS) * 1_000,
          monotonicMs: () => atS * 1_000,
        });
        let any = false;
        for (const { passesS, see } of steps) {
          const before = shareOf(client);
          atS += passesS;
          expect(shareOf(client)).toBeLessThanOrEqual(before);
          const isNews = typeof see === 'object' && textAt(see)?.startsWith('{"state"') === true;
          const soon = shareOf(client);
          client.take(readingOf(see));
          // A store that answers for the first time may say that there is none.
          if (!isNews && any) expect(shareOf(client)).toBeLessThanOrEqual(soon);
          any ||= see !== 'unreadable';
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('an older entry than one that was seen sends nothing towards the target', () => {
    fc.assert(
      fc.property(anyEntry, anyEntry, fc.integer({ min: 0, max: 400 }), (one, other, passesS) => {
        const since = (text: string) => (JSON.parse(text) as { since: string }).since;
        fc.pre(since(one) !== since(other));
        const [older, newer] = since(one) < since(other) ? [one, other] : [other, one];
        // Whoever sees a time in the future cannot know what is older.
        fc.pre(Date.parse(since(newer)) <= START_MS);
        let atS = 0;
        const client = new BreakerClient({
          wallClockMs: () => START_MS + atS * 1_000,
          monotonicMs: () => atS * 1_000,
        });
        client.take(new Map([['deployment.llm', newer]]));
        atS += passesS;
        const before = shareOf(client);
        client.take(new Map([['deployment.llm', older]]));
        expect(shareOf(client)).toBeLessThanOrEqual(before);
      }),
    );
  });

  it('no half-open breaker outlives its last renewal by more than a lease, whatever the clocks say', () => {
    fc.assert(
      fc.property(anyEntry, fc.integer({ min: -3_600, max: 3_600 }), (entry, offsetS) => {
        fc.pre(entry.includes('half-open'));
        let atS = 0;
        const client = new BreakerClient({
          wallClockMs: () => START_MS + offsetS * 1_000,
          monotonicMs: () => atS * 1_000,
        });
        client.take(new Map([['deployment.llm', entry]]));
        atS = HALF_OPEN_LEASE_MS / 1_000;
        client.take(new Map([['deployment.llm', entry]]));
        expect(shareOf(client)).toBe(0);
      }),
    );
  });
});

function textAt(seen: Record<string, string | null>): string | undefined {
  const text = seen['deployment.llm'];
  return text === undefined || text === null ? undefined : textOf(text);
}

// --- the Python client --------------------------------------------------------------------------------------------

const PYTHON = process.platform === 'win32' ? 'python' : 'python3';
const run = promisify(execFile);
const python = await run(PYTHON, ['--version']).then(
  ({ stdout }) => stdout.trim(),
  () => undefined,
);

describe(`the Python client (${python ?? `skipped: there is no ${PYTHON}`})`, () => {
  it.skipIf(python === undefined)(
    'decides as the table says, and as this one does over generated cases',
    async () => {
      const generated = fc
        .sample(fc.tuple(fc.array(anyStep, { minLength: 1, maxLength: 12 }), anyOffset, fc.boolean()), {
          numRuns: 500,
          seed: 20_260_101,
        })
        .map(([steps, clockOffsetS, hasFallback], index): Case => {
          let atS = 0;
          const timed = steps.map(({ passesS, see, random }): Step => {
            atS += passesS;
            return { atS, clockOffsetS, see, random };
          });
          return {
            name: `generated ${index}`,
            options: hasFallback ? { fallback: 'other' } : {},
            steps: timed,
          };
        });
      for (const one of generated) {
        const decided = play(one);
        one.steps.forEach((step, index) => {
          step.expect = decided[index];
        });
      }
      const dir = await mkdtemp(join(tmpdir(), 'firebreak-clients-'));
      try {
        const file = join(dir, 'generated.json');
        await writeFile(file, JSON.stringify({ ...cases, cases: generated, malformed: { texts: [] } }));
        const folder = join(import.meta.dirname, '..', 'python');
        // -B: no folder of compiled files beside the source.
        const { stderr } = await run(PYTHON, ['-B', '-m', 'unittest', '-v', 'test_firebreak_breaker'], {
          cwd: folder,
          env: { PATH: process.env.PATH, FIREBREAK_GENERATED_CASES: file },
        });
        expect(stderr).toMatch(/\nOK\n$/);
        expect(stderr).toContain('test_generated_cases');
      } finally {
        await rm(dir, { recursive: true });
      }
    },
  );
});

// --- a mounted ConfigMap ------------------------------------------------------------------------------------------

describe('a mounted ConfigMap', () => {
  let dir: string;
  let client: BreakerClient | undefined;
  let version = 0;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'firebreak-mount-'));
  });
  afterEach(async () => {
    client?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  /** As kubelet does it: a new folder, a new link, and one rename that swaps the two. */
  async function mount(values: Record<string, string | Buffer>): Promise<void> {
    version += 1;
    const folder = `..2026_01_01_${version}`;
    await mkdir(join(dir, folder));
    for (const [name, value] of Object.entries(values)) {
      await writeFile(join(dir, folder, name), value);
      await symlink(join('..data', name), join(dir, name)).catch(() => undefined);
    }
    const before = await readFile(join(dir, '..data')).catch(() => undefined);
    await symlink(folder, join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    if (before !== undefined) await rm(join(dir, before.toString()), { recursive: true });
  }
  const follow = async (pollEveryMs: number) => {
    client = await BreakerClient.follow(mountedConfigMap(dir), { fallback: 'other', pollEveryMs });
    return client;
  };
  const open = JSON.stringify(VALUES.open);

  it('is followed through its swaps without waiting for the next look', async () => {
    await mount({ 'deployment.llm': JSON.stringify(VALUES.closed), state: 'closed' });
    const breakers = await follow(3_600_000);
    expect(breakers.decide('llm')).toBe('target');
    await mount({ 'deployment.llm': open, state: 'open' });
    await expect.poll(() => breakers.decide('llm')).toEqual({ fallback: 'spare' });
    await mount({});
    await mount({ 'deployment.llm': JSON.stringify(VALUES.reclosed) });
    await expect.poll(() => breakers.decide('llm')).toBe('target');
  });

  it('that vanishes leaves what was known, and is found again by looking', async () => {
    await mount({ 'deployment.llm': open });
    const problems: string[] = [];
    client = await BreakerClient.follow(mountedConfigMap(dir), {
      pollEveryMs: 20,
      onProblem: (text) => problems.push(text),
    });
    await rm(dir, { recursive: true });
    await expect.poll(() => problems).toEqual(['the store of the breakers cannot be read']);
    expect(client.decide('llm')).toEqual({ fallback: 'spare' });
    await mkdir(dir);
    await mount({ 'deployment.llm': JSON.stringify(VALUES.reclosed) });
    await expect.poll(() => client?.decide('llm')).toBe('target');
  });

  it('that is not there fails safe, one that is empty is a closed breaker', async () => {
    await rm(dir, { recursive: true });
    expect((await follow(3_600_000)).decide('llm')).toEqual({ fallback: 'other' });
    await mkdir(dir);
    expect((await follow(3_600_000)).decide('llm')).toBe('target');
  });

  it('with values that cannot be had keeps what was known of these', async () => {
    await mount({ 'deployment.llm': open, 'deployment.next': open });
    const breakers = await follow(3_600_000);
    const closed = JSON.stringify(VALUES.reclosed);
    await mount({
      'deployment.llm': Buffer.concat([
        Buffer.from(closed.replace('}', ',"x":"')),
        Buffer.from([0xff]),
        Buffer.from('"}'),
      ]),
      'deployment.huge': 'x'.repeat(1024 * 1024),
      'deployment.next': closed,
    });
    await expect.poll(() => breakers.decide('next')).toBe('target');
    expect(breakers.decide('llm')).toEqual({ fallback: 'spare' });
    expect(breakers.decide('huge')).toBe('target');
  });

  it('of a source that throws, or never watches, is only looked at', async () => {
    let fails = true;
    client = await BreakerClient.follow(
      {
        read: async () => {
          if (fails) throw new Error('the API is away');
          return new Map([['deployment.llm', open]]);
        },
      },
      { pollEveryMs: 10 },
    );
    expect(client.decide('llm')).toBe('block');
    fails = false;
    await expect.poll(() => client?.decide('llm')).toEqual({ fallback: 'spare' });
  });
});
