/** Whether Jira takes tickets: the token, the rights of its account in the project, and the names that are configured. */
import axios from 'axios';
import type { FirebreakConfig } from './config/schema.ts';

type JiraConfig = NonNullable<FirebreakConfig['tickets']['jira']>;

/** Keys of https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-permissions/#api-rest-api-3-mypermissions-get. */
const NEEDED: Readonly<Record<string, string>> = {
  BROWSE_PROJECTS: 'Browse projects',
  CREATE_ISSUES: 'Create issues',
  EDIT_ISSUES: 'Edit issues',
  ADD_COMMENTS: 'Add comments',
  CREATE_ATTACHMENTS: 'Create attachments',
  LINK_ISSUES: 'Link issues',
  ASSIGN_ISSUES: 'Assign issues',
  TRANSITION_ISSUES: 'Transition issues',
};

/** Changes nothing. @returns what was seen. @throws Error that says what to do. */
export async function probeJira(jira: JiraConfig, apiToken: string, timeoutMs: number): Promise<string> {
  const { project } = jira;
  const http = axios.create({
    baseURL: `${(jira.apiUrl ?? jira.url).replace(/\/+$/, '')}/rest/api/3`,
    auth: { username: jira.email, password: apiToken },
    timeout: timeoutMs,
    maxRedirects: 0,
    validateStatus: () => true,
  });
  const rights = await http.get<{ permissions?: Record<string, { havePermission?: boolean }> }>(
    '/mypermissions',
    { params: { projectKey: project, permissions: Object.keys(NEEDED).join(',') } },
  );
  if (rights.status === 401)
    throw new Error('the token is refused: check tickets.jira.email, and make a new API token');
  if (rights.status === 404)
    throw new Error(`project ${project} is not there, or its account may not browse it`);
  const { permissions } = rights.data ?? {};
  if (rights.status !== 200 || permissions === undefined)
    throw new Error(
      `the rights in project ${project} were answered ${rights.status}: is tickets.jira.url right?`,
    );
  const missing = Object.entries(NEEDED).flatMap(([key, name]) =>
    permissions[key]?.havePermission === true ? [] : [name],
  );
  if (missing.length > 0) throw new Error(`in project ${project} its account lacks: ${missing.join(', ')}`);

  const types = await http.get<{ issueTypes?: { name?: string }[] }>(
    `/issue/createmeta/${encodeURIComponent(project)}/issuetypes`,
  );
  const names = types.data?.issueTypes?.map(({ name }) => name) ?? [];
  for (const wanted of new Set([jira.issueType, jira.actionItemType])) {
    if (types.status === 200 && !names.includes(wanted))
      throw new Error(`project ${project} has no issue type ${wanted}; it has ${names.join(', ')}`);
  }
  return `project ${project} takes issues of ${jira.issueType}`;
}
