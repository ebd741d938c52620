import { type Octokit, RequestError } from 'octokit';
import { isRateLimit } from './errors.ts';
import type { RepositoryCall } from './issues.ts';

/**
 * What says that the link cannot be made, or is there already: 404 and 410 of servers without sub-issues, 403 of tokens that
 * may not, 422 for a sub-issue that has a parent, is linked already, or would be one too many
 * (https://docs.github.com/en/rest/issues/sub-issues#add-sub-issue). The reference in the body remains.
 */
const NOT_LINKED: ReadonlySet<number> = new Set([403, 404, 410, 422]);

/** Makes an issue a sub-issue of the incident's, where the server knows sub-issues. @param id not its number. */
export async function linkSubIssue(
  octokit: Octokit,
  parent: RepositoryCall & { issue_number: number },
  id: number,
): Promise<void> {
  try {
    await octokit.rest.issues.addSubIssue({ ...parent, sub_issue_id: id });
  } catch (error) {
    if (
      error instanceof RequestError &&
      NOT_LINKED.has(error.status) &&
      !isRateLimit(error, error.response?.headers ?? {})
    )
      return;
    throw error;
  }
}
