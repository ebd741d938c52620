import { type AdfNode, paragraph, textNode, textOf } from './adf.ts';
import { comments, type JiraClient, myself } from './client.ts';
import { COMMENT_PAGE, MAX_COMMENT_PAGES } from './limits.ts';
import { issuePath } from './text.ts';

/** Last line of a comment: tells people where it is from, and us that it is there. */
export function commentFooter(commentKey: string, incidentId: string): AdfNode {
  return paragraph(textNode(`Firebreak, ${incidentId}, ${commentKey}`, [{ type: 'em' }]));
}

/**
 * Id of the comment with the footer, newest first; only of our own account: whoever may comment could otherwise keep ours away.
 * Comments are read from the database, not from the search: one is there once it is made.
 */
export async function findComment(
  jira: JiraClient,
  key: string,
  footer: AdfNode,
): Promise<string | undefined> {
  const { accountId } = await jira.call(myself, {
    method: 'GET',
    path: '/myself',
    what: 'read its own account',
    thing: 'the account of the token',
  });
  const wanted = textOf(footer);
  // Jira may give fewer than it is asked for.
  for (let page = 0, startAt = 0; page < MAX_COMMENT_PAGES; page += 1) {
    const listed = await jira.call(comments, {
      method: 'GET',
      path: `${issuePath(key)}/comment`,
      params: { startAt, maxResults: COMMENT_PAGE, orderBy: '-created' },
      what: `list comments of ${key}`,
      thing: `issue ${key}`,
    });
    for (const { id, author, body } of listed.comments) {
      const last = (body?.content as AdfNode[] | undefined)?.at(-1);
      if (author?.accountId === accountId && last !== undefined && textOf(last) === wanted) return id;
    }
    startAt += listed.comments.length;
    if (startAt >= listed.total || listed.comments.length === 0) return undefined;
  }
  return undefined;
}
