import { type Octokit, RequestError } from 'octokit';
import { isRateLimit } from './errors.ts';
import type { RepositoryCall } from './issues.ts';

/** The label is not there any more, or labels are not this token's to set. */
const NOT_OURS: ReadonlySet<number> = new Set([403, 404]);

/**
 * Adds and takes away labels one by one, so that those which people add meanwhile stay
 * (https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue and #remove-a-label-from-an-issue). First adds: a list
 * that is filtered by state has the issue at every moment. Where the token's account lacks push access GitHub opens issues
 * without labels; then they stay without.
 * @returns whether a label was changed.
 */
export async function changeLabels(
  octokit: Octokit,
  at: RepositoryCall & { issue_number: number },
  { add, remove }: { add: string[]; remove: readonly string[] },
): Promise<boolean> {
  const { issues } = octokit.rest;
  let changed = add.length > 0 && (await allowed(() => issues.addLabels({ ...at, labels: add })));
  for (const name of remove) {
    changed = (await allowed(() => issues.removeLabel({ ...at, name }))) || changed;
  }
  return changed;
}

async function allowed(change: () => Promise<unknown>): Promise<boolean> {
  try {
    await change();
    return true;
  } catch (error) {
    const refused = error instanceof RequestError && NOT_OURS.has(error.status);
    if (refused && !isRateLimit(error, error.response?.headers ?? {})) return false;
    throw error;
  }
}
