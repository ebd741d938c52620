/**
 * The beta function and its incomplete forms, in log space: verdicts divide tail probabilities that are far
 * smaller than a double can hold, so no probability here ever leaves its logarithm.
 */

/** Stirling's series is used from here up; below it, the recurrence lgamma(x) = lgamma(x + 1) - ln x. */
const STIRLING_FROM = 10;

/** Relative change at which the continued fraction has converged: a few units in the last place. */
const CONVERGED = 1e-15;

/** Stand-in for a zero denominator in Lentz's method: far below any term, far above the smallest double. */
const TINY = 1e-300;

/** Terms needed grow with the square root of the larger parameter (Numerical Recipes, 6.4). */
const TERMS_FLOOR = 200;
const TERMS_PER_SQRT = 8;

/** No input may hang its caller: enough for parameters of 1e8, and a tenth of a second. */
const MAX_TERMS = 100_000;

/**
 * ln of the gamma function for x > 0; NaN otherwise. Accurate to about 1e-15 relative (absolute near 1 and
 * 2). Source: Stirling's series, DLMF 5.11.1 (https://dlmf.nist.gov/5.11.E1).
 */
export function logGamma(x: number): number {
  if (!(x > 0)) return Number.NaN;
  let shifted = x;
  let product = 1;
  while (shifted < STIRLING_FROM) {
    product *= shifted;
    shifted += 1;
  }
  const inverse = 1 / shifted;
  const square = inverse * inverse;
  const series =
    inverse *
    (1 / 12 -
      square *
        (1 / 360 -
          square * (1 / 1260 - square * (1 / 1680 - square * (1 / 1188 - square * (691 / 360360))))));
  return (
    (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product)
  );
}

/** ln B(a, b) for a, b > 0. */
export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

/**
 * ln(1 - exp(x)) for x <= 0, without cancellation at either end (Maechler, 2012, "Accurately computing
 * log(1-exp)").
 */
function logOneMinusExp(x: number): number {
  if (x >= 0) return Number.NEGATIVE_INFINITY;
  return x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x));
}

/**
 * The continued fraction of the incomplete beta function, by the modified method of Lentz; NaN when it does
 * not converge. Source: DLMF 8.17.22 (https://dlmf.nist.gov/8.17.E22); Thompson and Barnett, J. Comput. Phys.
 * 64 (1986); arrangement after Press et al., Numerical Recipes, 3rd edition, section 6.4.
 */
function betaFraction(x: number, a: number, b: number): number {
  const guard = (value: number): number => (Math.abs(value) < TINY ? TINY : value);
  const maxTerms = Math.min(MAX_TERMS, TERMS_FLOOR + TERMS_PER_SQRT * Math.sqrt(Math.max(a, b)));
  let c = 1;
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let value = d;
  for (let m = 1; m <= maxTerms; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    value *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    value *= d * c;
    if (Math.abs(d * c - 1) < CONVERGED) return value;
  }
  return Number.NaN;
}

/** Natural logarithms of the two tails of a Beta(a, b) distribution. */
export interface LogBetaTails {
  /** ln I_x(a, b) = ln P(X <= x) */
  below: number;
  /** ln(1 - I_x(a, b)) = ln P(X > x) */
  above: number;
}

/**
 * ln of the regularised incomplete beta function I_x(a, b) and of its complement. The fraction is used on the
 * side of the mean where it converges fast, and the other tail is its complement, so that the small one of
 * the two always keeps its relative accuracy. Bad parameters, and a fraction that does not converge, give
 * NaN: the caller treats that as no evidence.
 */
export function logBetaTails(x: number, a: number, b: number): LogBetaTails {
  if (!(a > 0 && b > 0 && x >= 0 && x <= 1)) return { below: Number.NaN, above: Number.NaN };
  if (x === 0) return { below: Number.NEGATIVE_INFINITY, above: 0 };
  if (x === 1) return { below: 0, above: Number.NEGATIVE_INFINITY };
  const front = a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b);
  if (x < (a + 1) / (a + b + 2)) {
    const below = Math.min(0, front - Math.log(a) + Math.log(betaFraction(x, a, b)));
    return { below, above: logOneMinusExp(below) };
  }
  const above = Math.min(0, front - Math.log(b) + Math.log(betaFraction(1 - x, b, a)));
  return { below: logOneMinusExp(above), above };
}
