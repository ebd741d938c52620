import { describe, expect, it } from 'vitest';
import { HarmfulSamples } from './harmful-samples.ts';
import { seededRandom } from './random.ts';

const FROM = { deployment: 'llm-api', pod: 'a', revision: '2' };

function samplesAt(...timesMs: number[]): HarmfulSamples {
  const samples = new HarmfulSamples('canary-1f6e9d', seededRandom(5), 'run');
  for (const atMs of timesMs) samples.add(FROM, atMs);
  return samples;
}

describe('harmful samples', () => {
  it('are given newest first, between two times, up to the limit', () => {
    const samples = samplesAt(1_000, 2_000, 3_000, 4_000);
    const times = (query: { fromMs?: number; toMs?: number; limit: number }) =>
      samples.find(query).map(({ at }) => Date.parse(at));
    expect(times({ limit: 2 })).toEqual([4_000, 3_000]);
    expect(times({ fromMs: 2_000, toMs: 3_000, limit: 50 })).toEqual([3_000, 2_000]);
  });

  it('are asked for by Deployment', () => {
    const samples = samplesAt(1_000);
    samples.add({ ...FROM, deployment: 'llm-fallback' }, 2_000);
    expect(samples.find({ deployment: 'llm-api', limit: 50 })).toHaveLength(1);
    expect(samples.find({ deployment: 'other', limit: 50 })).toEqual([]);
  });

  it('are the newest 2,000', () => {
    const samples = samplesAt(...Array.from({ length: 5_500 }, (_, index) => index));
    const found = samples.find({ limit: 10_000 });
    expect(found).toHaveLength(2_000);
    expect(found.at(0)?.at).toBe(new Date(5_499).toISOString());
    expect(found.at(-1)?.at).toBe(new Date(3_500).toISOString());
  });
});
