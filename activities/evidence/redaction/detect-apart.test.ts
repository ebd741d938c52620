import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { detectApart } from './detect-apart.ts';
import { DETECTORS } from './detectors.ts';
import { findSpans } from './redact.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'firebreak-detect-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function threadOf(code: string): Promise<URL> {
  const file = path.join(folder, `${Math.abs(code.length * 31)}-${code.slice(0, 8).replace(/\W/g, '')}.mjs`);
  await writeFile(file, `import { parentPort } from 'node:worker_threads';\n${code}`);
  return pathToFileURL(file);
}

it('finds what the detectors find, for texts that come at once, and leaves this thread to others', async () => {
  const detect = detectApart();
  try {
    await detect('warm');
    const texts = Array.from({ length: 6 }, (_, index) =>
      `Write to maria${index}@example.com or call +49 30 901820. `.repeat(100),
    );
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    const found = await Promise.all(texts.map((text) => detect(text)));
    clearInterval(ticking);
    // Timers of this thread ran while it computed: in its own it would have been one turn for each text at most.
    expect(turns).toBeGreaterThan(texts.length);
    for (const [index, text] of texts.entries())
      expect(found[index]).toEqual(await findSpans(DETECTORS, text));
    expect(found[0]?.length).toBeGreaterThan(100);
  } finally {
    await detect.close();
  }
}, 60_000);

it('fails a text that takes too long, and neither those that wait nor the next', async () => {
  const file = await threadOf(
    `parentPort.on('message', ({ id, text }) => {
      if (text === 'endless') for (;;);
      if (text === 'fatal') process.exit(1);
      parentPort.postMessage({ id, spans: [] });
    });`,
  );
  const detect = detectApart({ file, textTimeoutMs: 500 });
  try {
    const texts = ['fine', 'endless', 'fine', 'fatal', 'fine'];
    const all = await Promise.allSettled(texts.map((text) => detect(text)));
    expect(all.map(({ status }) => status === 'fulfilled')).toEqual(texts.map((text) => text === 'fine'));
    expect(await detect('fine')).toEqual([]);
  } finally {
    await detect.close();
  }
});

it('fails where a detector fails or the thread ends, without a word of the text', async () => {
  const file = await threadOf(
    `parentPort.on('message', ({ id, text }) => { if (text.startsWith('throw')) throw new Error(text); parentPort.postMessage({ id }); });`,
  );
  const detect = detectApart({ file });
  try {
    const errors = [];
    for (const text of ['canary', 'throw canary'])
      errors.push(
        await Promise.resolve(detect(text)).catch((error: Error) => `${error.message} ${error.stack}`),
      );
    expect(errors).toHaveLength(2);
    expect(errors.join()).not.toContain('canary');
  } finally {
    await detect.close();
  }
});
