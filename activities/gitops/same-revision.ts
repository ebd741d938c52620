/** As many digits as Git's own short ids have at least. */
const COMMIT = /^[0-9a-f]{7,64}$/;

/**
 * Whether two spellings name one revision: equal texts, or commit ids of which one begins the other. Tools write commits as
 * `<sha>`, `main@sha1:<sha>` (Flux) or several, separated by commas (Argo CD with several sources): of several, the named
 * one has to be among them.
 */
export function sameRevision(named: string, reported: string): boolean {
  if (named === '' || reported === '') return false;
  if (named === reported) return true;
  const wanted = commitOf(named);
  return reported.split(',').some((one) => {
    const commit = commitOf(one);
    if (!COMMIT.test(wanted) || !COMMIT.test(commit)) return wanted === commit && wanted !== '';
    return commit.startsWith(wanted) || wanted.startsWith(commit);
  });
}

function commitOf(text: string): string {
  return text
    .slice(text.lastIndexOf(':') + 1)
    .trim()
    .toLowerCase();
}
