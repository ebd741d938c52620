import { ApplicationFailure } from '@temporalio/common';
import type { TicketFile } from '../tickets/system.ts';
import { issueFields, type JiraClient, nothing } from './client.ts';
import { issuePath } from './text.ts';

/**
 * Attaches files that are not there yet, by name. Where attachments are switched off, not allowed or too large, the text has
 * to do (https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-attachments/#api-rest-api-3-issue-issueidorkey-attachments-post).
 * @returns those that are there now.
 */
export async function attachFiles(
  jira: JiraClient,
  key: string,
  files: readonly TicketFile[],
): Promise<TicketFile[]> {
  if (files.length === 0) return [];
  const thing = `issue ${key}`;
  const { fields } = await jira.call(issueFields, {
    method: 'GET',
    path: issuePath(key),
    params: { fields: 'attachment' },
    what: `read issue ${key}`,
    thing,
  });
  const standing = new Set(fields.attachment.map(({ filename }) => filename));
  const attached: TicketFile[] = [];
  for (const file of files) {
    if (standing.has(file.name) || (await attach(jira, key, file))) attached.push(file);
  }
  return attached;
}

async function attach(jira: JiraClient, key: string, file: TicketFile): Promise<boolean> {
  const form = new FormData();
  form.append('file', new Blob([file.content], { type: file.type }), file.name);
  try {
    await jira.call(nothing, {
      method: 'POST',
      path: `${issuePath(key)}/attachments`,
      data: form,
      // Jira refuses uploads without it, as a guard against forged requests of browsers.
      headers: { 'X-Atlassian-Token': 'no-check' },
      what: `attach a file to ${key}`,
      thing: `issue ${key}`,
    });
    return true;
  } catch (error) {
    if (error instanceof ApplicationFailure && error.nonRetryable) return false;
    throw error;
  }
}
