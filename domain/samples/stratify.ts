/** Which of many outputs are shown: every category is seen, however rare, and the newest first within each. Pure. */

/** What has no category is a stratum of its own. */
const NO_CATEGORY = '';

/**
 * Takes turns over the categories, newest within each, until `limit`. An output with several categories belongs to the
 * rarest of them: it is what a reader would miss otherwise.
 * @returns newest first.
 */
export function stratify<T extends { atMs: number; categories: readonly string[] }>(
  samples: readonly T[],
  limit: number,
): T[] {
  const newestFirst = [...samples].sort((a, b) => b.atMs - a.atMs);
  const counts = new Map<string, number>();
  for (const { categories } of newestFirst) {
    for (const category of categories) counts.set(category, (counts.get(category) ?? 0) + 1);
  }
  const strata = new Map<string, T[]>();
  for (const sample of newestFirst) {
    const name = rarest(sample.categories, counts);
    const stratum = strata.get(name);
    if (stratum) stratum.push(sample);
    else strata.set(name, [sample]);
  }
  const taken: T[] = [];
  for (let turn = 0; taken.length < limit; turn++) {
    let found = false;
    for (const stratum of strata.values()) {
      const sample = stratum[turn];
      if (sample === undefined) continue;
      found = true;
      if (taken.length < limit) taken.push(sample);
    }
    if (!found) break;
  }
  return taken.sort((a, b) => b.atMs - a.atMs);
}

function rarest(categories: readonly string[], counts: ReadonlyMap<string, number>): string {
  let name = NO_CATEGORY;
  for (const category of categories) {
    if (name === NO_CATEGORY || (counts.get(category) ?? 0) < (counts.get(name) ?? 0)) name = category;
  }
  return name;
}
