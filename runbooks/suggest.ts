/** Beyond this many edits a name is another word, not a slip. */
const MAX_EDITS = 3;

/** Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment distance. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let j = 0; j <= b.length; j += 1) (rows[0] ?? [])[j] = j;
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let edits = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, at(i - 2, j - 2) + 1);
      }
      (rows[i] ?? [])[j] = edits;
    }
  }
  return at(a.length, b.length);
}

/** Longest name compared: names of runbooks are short, and the comparison is quadratic. */
const MAX_LENGTH = 100;

/** The candidate nearest to what was written, or undefined when none is near. Case does not count. */
function nearest(written: string, candidates: Iterable<string>): string | undefined {
  if (written.length > MAX_LENGTH) return undefined;
  const wanted = written.toLowerCase();
  let best: string | undefined;
  let bestEdits = Math.min(MAX_EDITS, Math.max(1, Math.floor(wanted.length / 2))) + 1;
  for (const candidate of candidates) {
    const edits = editDistance(wanted, candidate.toLowerCase());
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** Longer lists are looked up in the reference. */
const MAX_LISTED = 20;

/** `; did you mean x?`, or nothing where no name is near. */
export function nearMiss(written: string, candidates: readonly string[]): string {
  const name = nearest(written, candidates);
  return name === undefined ? '' : `; did you mean ${name}?`;
}

/** `; did you mean x?` or the list of what there is, to end a message with. */
export function didYouMean(written: string, candidates: readonly string[]): string {
  const near = nearMiss(written, candidates);
  if (near !== '') return near;
  if (candidates.length === 0 || candidates.length > MAX_LISTED) return '';
  return `; there is ${candidates.join(', ')}`;
}
