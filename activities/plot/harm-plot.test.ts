import { DOMParser, type Document, type Element } from '@xmldom/xmldom';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../../domain/incident.ts';
import { type PlottedIncident, renderHarmPlot } from './harm-plot.ts';
import { COLORS } from './theme.ts';

const T0 = Date.UTC(2026, 2, 1, 10);
const MINUTE = 60_000;

const VERIFICATION: NonNullable<IncidentView['verification']> = {
  outcome: 'recovered',
  harmful: 0,
  classified: 900,
  threshold: 0.01,
  confidence: 0.99,
  interval: [0, 0.009],
  designEffect: 2,
  seconds: 300,
  share: 0.1,
  unmet: [],
};

/** Ten minutes of harm, ten without traffic, and ten of a healthy revision. */
function incident(change: Partial<PlottedIncident> = {}): PlottedIncident {
  const minutes = Array.from({ length: 30 }, (_, minute) => minute);
  return {
    incidentId: 'inc-3f9a1c2b7d01-0a1b2c3d',
    title: 'AiHarmfulOutputRateHigh: models/llm-api',
    target: { cluster: 'local', namespace: 'models', kind: 'Deployment', name: 'llm-api' },
    harmHistory: {
      stepMs: MINUTE,
      startMs: T0,
      harmful: minutes.map((minute) => (minute < 10 ? 8 : 0)),
      classified: minutes.map((minute) => (minute >= 10 && minute < 20 ? 0 : 100)),
    },
    verification: VERIFICATION,
    milestones: { triggered: T0 + 5 * MINUTE, contained: T0 + 10 * MINUTE, restored: T0 + 29 * MINUTE },
    timeline: [],
    ...change,
  };
}

/** Strict: whatever is not well-formed fails the test. */
function parseSvg(svg: string | undefined): Document {
  const onError = (_level: string, message: string) => {
    throw new Error(message);
  };
  return new DOMParser({ onError }).parseFromString(svg ?? '', 'image/svg+xml');
}

const drawn = async (change?: Partial<PlottedIncident>) => parseSvg(await renderHarmPlot(incident(change)));
const all = (document: Document, name: string): Element[] => [...document.getElementsByTagName(name)];
const texts = (document: Document) => all(document, 'text').map(({ textContent }) => textContent);
const pathsOf = (document: Document, attribute: string, color: string) =>
  all(document, 'path')
    .filter((path) => path.getAttribute(attribute) === color && path.getAttribute('d') !== '')
    .map((path) => path.getAttribute('d') ?? '');

describe('renderHarmPlot', () => {
  it('draws a line that is broken where nothing was classified', async () => {
    const [line] = pathsOf(await drawn(), 'stroke', COLORS.harm.light);
    expect(line?.match(/M/g)).toHaveLength(2);
    expect(line?.match(/L/g)).toHaveLength(18);
    // No point of it lies in the ten minutes of the gap, of thirty on 720 pixels.
    const places = [...(line ?? '').matchAll(/[ML]([\d.]+),/g)].map(([, x]) => Number(x));
    expect(places).toHaveLength(20);
    expect(places.filter((x) => x > 240 && x < 480)).toEqual([]);
    const [band] = pathsOf(await drawn(), 'fill', COLORS.band.light);
    expect(band?.match(/M/g)).toHaveLength(2);
  });

  it('shows a single column between gaps', async () => {
    const document = await drawn({
      harmHistory: { stepMs: MINUTE, startMs: T0, harmful: [0, 1, 0], classified: [0, 10, 0] },
    });
    expect(pathsOf(document, 'fill', COLORS.harm.light)).toHaveLength(1);
  });

  it('names threshold, marks, axes and the incident', async () => {
    const shown = texts(await drawn());
    for (const text of [
      'threshold 1%',
      'alert',
      'diverted',
      'restored',
      'harmful / classified',
      '10:15',
      'Harm rate: AiHarmfulOutputRateHigh: models/llm-api',
      'local/models/Deployment/llm-api, inc-3f9a1c2b7d01-0a1b2c3d',
    ]) {
      expect(shown).toContain(text);
    }
    expect(shown.join(' ')).not.toMatch(/NaN|undefined|null/);
  });

  it('leaves the threshold out where nothing was verified', async () => {
    expect(texts(await drawn({ verification: undefined })).join(' ')).not.toContain('threshold');
  });

  it('tells those who do not see it what it shows', async () => {
    const document = await drawn();
    const root = document.documentElement;
    expect(root?.getAttribute('role')).toBe('img');
    const labelled = root?.getAttribute('aria-labelledby')?.split(' ') ?? [];
    expect(labelled.map((id) => document.getElementById(id)?.localName)).toEqual(['title', 'desc']);
    expect(all(document, 'desc')[0]?.textContent).toMatch(/highest 8% .* nothing classified in 10 of 30/);
  });

  it('has dark colours for every colour that it uses', async () => {
    const document = await drawn();
    const style = all(document, 'style')[0]?.textContent ?? '';
    expect(style).toMatch(/^@media \(prefers-color-scheme: dark\)\{/);
    const used = new Set(
      all(document, '*').flatMap((element) =>
        ['fill', 'stroke'].flatMap((name) => element.getAttribute(name) ?? []),
      ),
    );
    for (const color of used) {
      if (color === 'none' || color === 'transparent') continue;
      expect(style).toContain(`[fill="${color}"]`);
    }
  });

  it('is the same picture for the same incident', async () => {
    const [one, other] = [await renderHarmPlot(incident()), await renderHarmPlot(incident())];
    expect(one === other).toBe(true);
  });

  it('is nothing where nothing was read', async () => {
    expect(await renderHarmPlot(incident({ harmHistory: undefined }))).toBeUndefined();
  });

  it('shows names as text, whatever stands in them', async () => {
    const plainSkeleton = skeleton(await drawn({ title: 'x', target: targetNamed('x') }));
    const hostile = fc.oneof(
      fc.constantFrom(
        '</title><script>alert(1)</script>',
        ']]><!ENTITY x SYSTEM "file:///etc/passwd">&x;',
        '<image href="http://evil.example/x"/>',
        '"><style>@import url(http://evil.example)</style>',
        "'+alert(1)+'",
        'datum.x {{x}} %{x}',
        '\u0000\u0008\ud800\ufffe\u202e',
      ),
      fc.string({ unit: 'binary', maxLength: 60 }),
    );
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        const document = await drawn({ title: `x${text}`, target: targetNamed(`x${text}`) });
        expect(skeleton(document)).toBe(plainSkeleton);
      }),
      { numRuns: 20 },
    );
    const shown = texts(await drawn({ title: '<b>&amp;' }));
    expect(shown).toContain('Harm rate: <b>&amp;');
  });
});

function targetNamed(name: string): PlottedIncident['target'] {
  return { cluster: 'local', namespace: 'models', kind: 'Deployment', name };
}

/** What may be in a plot: nothing that could run, load or link something. */
const HARMLESS = new Set(['svg', 'title', 'desc', 'style', 'g', 'path', 'line', 'rect', 'text']);

/** Names of all elements and of their attributes. */
function skeleton(document: Document): string {
  const elements = all(document, '*');
  const names = elements.map(({ localName }) => localName ?? '');
  expect(names.filter((name) => !HARMLESS.has(name))).toEqual([]);
  return elements
    .map((element, index) => [names[index], ...[...element.attributes].map(({ name }) => name)].join(' '))
    .join('\n');
}
