import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RunbookEvent } from './live.ts';
import { smallRunbook } from './test-support/runbook-files.ts';
import { type RunbookWatch, type WatchOptions, watchRunbooks } from './watch.ts';

/** Of the test's own waiting: nothing is asserted about how long something takes. */
const EVERY_MS = 5;
const SETTLE_MS = 20;

let folder: string;
let file: string;
let watch: RunbookWatch | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-watch-'));
  file = join(folder, 'a.yaml');
  await writeFile(file, smallRunbook('a', 1));
});
afterEach(async () => {
  await watch?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<WatchOptions> = {}) {
  const waiting = new Map<RunbookEvent['type'], () => void>();
  const onEvent = (event: RunbookEvent) => waiting.get(event.type)?.();
  watch = await watchRunbooks({ paths: [folder], settleMs: SETTLE_MS, onEvent, ...options });
  const told = (type: RunbookEvent['type']) => new Promise<void>((resolve) => waiting.set(type, resolve));
  return { watch, told };
}
const versionOf = (of: RunbookWatch) => of.current().runbooks[0]?.version;

it('finds changes by itself, broken ones and the mended ones after them', async () => {
  const { watch: watching, told } = await start({ everyMs: EVERY_MS });
  const replaced = told('replaced');
  await writeFile(file, smallRunbook('a', 2));
  await replaced;
  expect(versionOf(watching)).toBe(2);

  const refused = told('refused');
  await writeFile(file, 'a: [');
  await refused;
  expect(versionOf(watching)).toBe(2);
  expect(watching.status().ok).toBe(false);

  const mended = told('replaced');
  await writeFile(file, smallRunbook('a', 3));
  await mended;
  expect(versionOf(watching)).toBe(3);
  expect(watching.status().ok).toBe(true);
});

it('looks at once when asked, also where it does not look by itself', async () => {
  const { watch: watching } = await start();
  await writeFile(file, smallRunbook('a', 2));
  await watching.reload();
  expect(versionOf(watching)).toBe(2);
  await watching.reload();
  expect(watching.current().generation).toBe(2);
  expect(watching.status().attempts).toEqual({ success: 1, failure: 0 });
});

it('answers everybody who asks, with what was there when they asked', async () => {
  const { watch: watching } = await start({ everyMs: 3_600_000 });
  for (let version = 2; version <= 6; version += 1) {
    const earlier = watching.reload();
    await writeFile(file, smallRunbook('a', version));
    await Promise.all([earlier, watching.reload()]);
    expect(versionOf(watching)).toBe(version);
  }
});

it('stops looking, keeps the set, and lets nobody wait', async () => {
  const { watch: watching } = await start({ everyMs: EVERY_MS });
  const asked = watching.reload();
  await watching.stop();
  await asked;
  const { lookedAtMs } = watching.status();
  await writeFile(file, smallRunbook('a', 2));
  await watching.reload();
  expect(versionOf(watching)).toBe(1);
  expect(watching.status().lookedAtMs).toBe(lookedAtMs);
});
