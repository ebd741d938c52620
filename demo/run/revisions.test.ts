import { describe, expect, it } from 'vitest';
import { blamed, describeHarm } from './revisions.ts';

const V1 = { revision: 1, image: 'demo.invalid/llm:v1', harmful: 9, classified: 9_000 };
const V2 = { revision: 2, image: 'demo.invalid/llm:v2', harmful: 120, classified: 1_000 };

describe('the revision that is blamed', () => {
  it('is the one with far more harm, in whatever order they come', () => {
    expect(blamed([V1, V2])).toBe(V2.image);
    expect(blamed([V2, V1])).toBe(V2.image);
    expect(blamed([V2, { ...V1, harmful: 0 }])).toBe(V2.image);
  });

  it('is none where another is nearly as harmful, or none has any harm', () => {
    expect(blamed([V2, { ...V1, harmful: 270 }])).toMatch(
      /^nothing: revision 2 .*12\.00%.*revision 1 .*3\.00%/,
    );
    expect(
      blamed([
        { ...V1, harmful: 0 },
        { ...V2, harmful: 0 },
      ]),
    ).toMatch(/^nothing/);
  });

  it('is none where there is nothing to compare it with', () => {
    expect(blamed([V2])).toMatch(/^nothing: fewer than two/);
  });

  it('is told with its counts', () => {
    expect(describeHarm(V2)).toBe(
      'revision 2 (demo.invalid/llm:v2): 120 harmful of 1000 classified outputs (12.00%)',
    );
  });
});
