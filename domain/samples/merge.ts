/** What several steps, tries and rounds sampled of one incident, as one summary. Pure. */
import type { SampleSummary } from '../incident.ts';

/** As many as one collection can bring: the summary stays far below Temporal's 2 MB for one payload. */
const MAX_SAMPLES = 200;
/** Classifiers know some dozens; the rest counts as one, so that a summary stays readable and bounded. */
const MAX_CATEGORIES_COUNTED = 50;
export const OTHER_CATEGORIES = 'other';

/**
 * Puts what was sampled now before what was sampled earlier; a sample that is in both stands as it was seen last. Above
 * MAX_SAMPLES the earliest go: kept texts of theirs stay in the records.
 */
export function mergeSamples(before: SampleSummary | undefined, now: SampleSummary): SampleSummary {
  if (before === undefined) return now;
  const known = new Map(before.items.map((item) => [sampleKey(item), item]));
  const seen = new Set(now.items.map(sampleKey));
  const items = [
    // A text that was kept once is kept, also where it was not given again.
    ...now.items.map((item) => (known.get(sampleKey(item))?.kept ? { ...item, kept: true } : item)),
    ...before.items.filter((item) => !seen.has(sampleKey(item))),
  ].slice(0, MAX_SAMPLES);
  const untilMs = [before.keptUntilMs, now.keptUntilMs].filter((atMs) => atMs !== undefined);
  const sources = new Set([...before.from.split(', '), now.from]);
  return {
    ...now,
    count: items.length,
    from: [...sources].join(', '),
    byCategory: countCategories(items),
    items,
    ...(untilMs.length > 0 && { keptUntilMs: Math.min(...untilMs) }),
  };
}

/** What a sample is told apart by: ids of two sources may be the same, references are not. */
export function sampleKey({ ref, id }: { ref?: string; id: string }): string {
  return ref ?? id;
}

/** Samples per category, most frequent first. */
export function countCategories(
  samples: readonly { categories: readonly string[] }[],
): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { categories } of samples) {
    for (const category of categories) counts.set(category, (counts.get(category) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1));
  if (sorted.length <= MAX_CATEGORIES_COUNTED) return Object.fromEntries(sorted);
  const named = new Map(
    sorted.slice(0, MAX_CATEGORIES_COUNTED - 1).filter(([name]) => name !== OTHER_CATEGORIES),
  );
  const shown = new Set(named.keys());
  // Samples, not mentions: one with several rare categories counts once.
  const others = samples.filter(({ categories }) => categories.some((name) => !shown.has(name))).length;
  return Object.fromEntries([...named, [OTHER_CATEGORIES, others]]);
}
