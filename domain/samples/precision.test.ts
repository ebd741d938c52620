import { describe, expect, it } from 'vitest';
import { countMarks, describeReviews, wilsonInterval } from './precision.ts';

describe('the interval of a precision', () => {
  // Values of the R function binom.wilson (package epitools) and of Brown, Cai and DasGupta (2001).
  it.each([
    [0, 10, 0, 0.2775],
    [10, 10, 0.7225, 1],
    [5, 10, 0.2366, 0.7634],
    [1, 1, 0.2065, 1],
    [81, 263, 0.2553, 0.3662],
  ])('is Wilson’s for %i of %i', (hits, total, low, high) => {
    const [lower, upper] = wilsonInterval(hits, total);
    expect(lower).toBeCloseTo(low, 4);
    expect(upper).toBeCloseTo(high, 4);
  });

  it('is everything where nothing was reviewed', () => {
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
  });
});

describe('counting marks', () => {
  it('is nothing before the first', () => {
    expect(countMarks(undefined)).toBeUndefined();
    expect(countMarks({})).toBeUndefined();
  });

  it('counts a sample once, and what is disputed as neither', () => {
    const reviewed = countMarks({
      a: { ana: 'harmful', ben: 'harmful' },
      b: { ana: 'benign', ben: 'unsure' },
      c: { ana: 'harmful', ben: 'benign' },
      d: { ana: 'unsure' },
    });
    expect(reviewed).toMatchObject({ harmful: 1, benign: 1, unsure: 1, disagreed: ['c'] });
    expect(reviewed?.precision?.value).toBe(0.5);
    expect(describeReviews(reviewed ?? ({} as never))).toBe(
      'precision 50% (95% interval 9% to 91%): 1 of 2 reviewed samples are harmful; 1 disputed; 1 unsure',
    );
  });

  it('has no precision while nobody is sure', () => {
    const reviewed = countMarks({ a: { ana: 'unsure' } });
    expect(reviewed?.precision).toBeUndefined();
    expect(describeReviews(reviewed ?? ({} as never))).toBe(
      'no sample was called harmful or benign yet; 1 unsure',
    );
  });
});
