import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { measure, readLabelled, renderPage } from '../../../scripts/redaction.ts';
import { DETECTORS } from './detectors.ts';
import { createPresidio } from './presidio.ts';
import { createRedact } from './redact.ts';

/** What must not get worse: docs/samples-redaction.md has what is measured. */
const LEAST_RECALL = {
  SECRET: 1,
  EMAIL: 1,
  IBAN: 1,
  CARD: 1,
  IP: 1,
  PHONE: 1,
  NATIONAL_ID: 0.9,
  ADDRESS: 0.95,
  NAME: 0.8,
};
const LEAST_PRECISION = 0.95;

describe('redaction', () => {
  const redact = createRedact(DETECTORS);

  it('finds what it is published to find, on the labelled set', async () => {
    const texts = await readLabelled();
    const score = await measure(texts);
    expect(score.labelled).toBeGreaterThanOrEqual(150);
    for (const [type, least] of Object.entries(LEAST_RECALL)) {
      const { labelled, hidden, leaked } = score.byType[type as keyof typeof LEAST_RECALL];
      expect(hidden / labelled, `${type}: ${leaked.join(', ')}`).toBeGreaterThanOrEqual(least);
    }
    expect(score.right / score.replaced, score.wrong.join(', ')).toBeGreaterThanOrEqual(LEAST_PRECISION);
    const page = await readFile(new URL('../../../docs/samples-redaction.md', import.meta.url), 'utf8');
    expect(page, 'run node scripts/redaction.ts').toBe(renderPage(score));
  });

  it('counts what it replaced, and leaves the rest as it is', async () => {
    expect(await redact('Mail a@b.io and c@d.org, or pay by 4111 1111 1111 1111.')).toEqual({
      text: 'Mail [EMAIL] and [EMAIL], or pay by [CARD].',
      counts: { EMAIL: 2, CARD: 1 },
    });
  });

  it('is no hole for text around it: overlapping finds become one', async () => {
    const both = createRedact([
      () => [{ start: 0, end: 6, type: 'NAME' }],
      () => [{ start: 4, end: 9, type: 'SECRET' }],
    ]);
    expect((await both('0123456789')).text).toBe('[SECRET]9');
  });

  it('fails as a whole where a detector does', async () => {
    const broken = createRedact([...DETECTORS, () => Promise.reject(new Error('away'))]);
    await expect(broken('a@b.io')).rejects.toThrow('away');
  });
});

describe('a Presidio analyzer', () => {
  it('adds what it finds, by code points, and fails without quoting', async () => {
    const asked: unknown[] = [];
    let status = 200;
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        asked.push([request.url, JSON.parse(Buffer.concat(chunks).toString())]);
        response.writeHead(status, { 'Content-Type': 'application/json' });
        const found = [
          { entity_type: 'PERSON', start: 2, end: 8, score: 0.85 },
          { entity_type: 'DATE_TIME', start: 9, end: 14, score: 0.85 },
        ];
        response.end(JSON.stringify(status === 200 ? found : { error: 'CANARY' }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
    const redact = createRedact([createPresidio({ url, language: 'en' })]);
    try {
      expect((await redact('\u{1F600} Obiora today')).text).toBe('\u{1F600} [NAME] today');
      expect(asked[0]).toEqual([
        '/analyze',
        { text: '\u{1F600} Obiora today', language: 'en', score_threshold: 0.35 },
      ]);
      status = 500;
      const failure = (await redact('CANARY').catch((error: unknown) => error)) as Error & { type: string };
      expect(failure.type).toBe('Unavailable');
      expect(failure.message).not.toContain('CANARY');
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
