import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { VerificationSummary } from '../incident.ts';
import { GATE_ADVICE } from './gate-advice.ts';
import { verdictInWords, verdictLines } from './verdict-words.ts';

const RECOVERED: VerificationSummary = {
  outcome: 'recovered',
  harmful: 1,
  classified: 1_204,
  threshold: 0.01,
  confidence: 0.99,
  interval: [0, 0.0093],
  designEffect: 2,
  seconds: 400,
  share: 0.1,
  unmet: [],
};

describe('verdictInWords', () => {
  it('says outcome, counts, interval with its confidence, threshold, design effect, time and share', () => {
    expect(verdictLines(RECOVERED)).toEqual([
      'recovered: the harm rate is proved to be below 1%',
      'Counted: 1 harmful of 1,204 classified outputs (0.0831%)',
      'Harm rate between: 0% and 0.93% (confidence 99% for each bound, 98% for both, however often it was looked at)',
      'Threshold: 1% (recovered means: proved to be below it)',
      'Design effect: 2.00: harm comes in clusters (one user, one prompt), so they count as 602 independent ones',
      'Time observed: 6 m 40 s',
      "Share of traffic: 10% of the target's traffic",
    ]);
  });

  it('never divides by nothing', () => {
    const nothing = {
      ...RECOVERED,
      outcome: 'insufficient-evidence' as const,
      harmful: 0,
      classified: 0,
      share: 1,
    };
    const lines = verdictLines({ ...nothing, designEffect: 1, unmet: ['no-classified-outputs'] });
    expect(lines).toContain('Counted: no classified outputs');
    expect(lines).toContain("Share of traffic: all of the target's traffic");
    expect(lines.join()).not.toMatch(/NaN|Infinity/);
  });

  it('names what is missing, with what a person does about it', () => {
    const { unmet, next } = verdictInWords({
      ...RECOVERED,
      outcome: 'insufficient-evidence',
      unmet: ['coverage', 'guard-failed'],
    });
    expect(unmet).toEqual([
      { gate: 'coverage', ...GATE_ADVICE.coverage },
      { gate: 'guard-failed', ...GATE_ADVICE['guard-failed'] },
    ]);
    expect(next).toMatch(/retry the verify step/);
  });

  it('has words for names that only older or newer versions know', () => {
    for (const gate of ['moon-phase', 'constructor', '__proto__']) {
      const [missing] = verdictInWords({
        ...RECOVERED,
        outcome: 'insufficient-evidence',
        unmet: [gate],
      }).unmet;
      expect(missing).toMatchObject({ gate, means: expect.stringMatching(/no gate of that name/) });
    }
  });

  it('is documented, gate by gate, in the same words', () => {
    const page = readFileSync(new URL('../../docs/verdict.md', import.meta.url), 'utf8');
    const rows = page.split('\n').map((line) => line.replace(/ +/g, ' ').trim());
    for (const [gate, { means, todo }] of Object.entries(GATE_ADVICE)) {
      expect(rows).toContain(`| \`${gate}\` | ${means} | ${todo} |`);
    }
  });

  it('says what to do when the revision is harmful too', () => {
    expect(verdictInWords({ ...RECOVERED, outcome: 'not-recovered' }).next).toMatch(/--to-revision/);
  });
});
