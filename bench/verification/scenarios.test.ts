import { describe, expect, it } from 'vitest';
import { randomOf } from './random.ts';
import { harmInCluster, SCENARIOS, type Scrape, scenarioNamed } from './scenarios.ts';

const RATE = 0.01;
const SCRAPES = 60_000;

function scrapesOf(name: string, moves: 'up' | 'down' = 'up'): Scrape[] {
  const next = scenarioNamed(name).start(randomOf(1, 2), { rate: RATE, outputs: 50, moves });
  return Array.from({ length: SCRAPES }, next);
}

const share = (scrapes: Scrape[]): number =>
  scrapes.reduce((sum, { harmful }) => sum + harmful, 0) /
  scrapes.reduce((sum, { classified }) => sum + classified, 0);

describe('every scenario', () => {
  it.each(SCENARIOS.filter(({ name }) => name !== 'mix shift').map(({ name }) => name))(
    '%s has the rate that it states, and the traffic',
    (name) => {
      const scrapes = scrapesOf(name);
      // 30,000 harmful outputs, at a design effect of up to ten: four standard errors.
      expect(Math.abs(share(scrapes) / RATE - 1)).toBeLessThan(0.08);
      expect(scrapes.reduce((sum, { classified }) => sum + classified, 0) / SCRAPES).toBeCloseTo(50, -0.5);
      expect(scrapes.every(({ harmful, classified }) => harmful >= 0 && harmful <= classified)).toBe(true);
    },
  );

  it('is the same for the same seed, and another for another', () => {
    for (const { start } of SCENARIOS) {
      const first = (seed: number, stream: number) => {
        const next = start(randomOf(seed, stream), { rate: 0.2, outputs: 50, moves: 'up' });
        return Array.from({ length: 8 }, next);
      };
      expect(first(1, 1)).toEqual(first(1, 1));
      expect(first(1, 2)).not.toEqual(first(1, 1));
      expect(first(2, 1)).not.toEqual(first(1, 1));
    }
  });
});

describe('mix shift', () => {
  it('moves away from the rate, to the side asked for', () => {
    expect(share(scrapesOf('mix shift', 'up')) / RATE).toBeCloseTo((1 + 1 + 1.5 + 3) / 4, 1);
    expect(share(scrapesOf('mix shift', 'down')) / RATE).toBeCloseTo((1 + 1 + 1 / 1.5 + 1 / 3) / 4, 1);
  });
});

describe('harmInCluster', () => {
  it.each([0.1, 0.3, 0.9])('has its mean and the correlation %d', (correlation) => {
    const chances = harmInCluster(RATE, correlation);
    const moment = (power: number) =>
      chances.reduce((sum, chance, harmful) => sum + chance * harmful ** power, 0);
    expect(moment(0)).toBeCloseTo(1, 12);
    expect(moment(1)).toBeCloseTo(10 * RATE, 12);
    // Variance of a sum of ten: m p (1 - p) (1 + (m - 1) r).
    expect(moment(2) - moment(1) ** 2).toBeCloseTo(10 * RATE * (1 - RATE) * (1 + 9 * correlation), 12);
  });
});
