import { afterEach, expect, it } from 'vitest';
import { type FakeJira, type JiraOptions, startFakeJira } from '../test/vendors/jira/server.ts';
import { probeJira } from './doctor-jira.ts';

let jira: FakeJira;
afterEach(() => jira.close());

const WITHIN_MS = 5_000;

async function probe(
  change: { token?: string; project?: string; issueType?: string } = {},
  options: JiraOptions = {},
) {
  jira = await startFakeJira(options);
  const { url, email, apiToken, project } = jira;
  return probeJira(
    {
      url,
      email,
      apiToken: 'env:T',
      project: change.project ?? project,
      issueType: change.issueType ?? 'Task',
      actionItemType: 'Task',
      linkType: 'Relates',
    },
    change.token ?? apiToken,
    WITHIN_MS,
  );
}

it('says what is fine', async () => {
  expect(await probe()).toBe('project OPS takes issues of Task');
});

it.each([
  [{ token: 'wrong' }, {}, /token is refused/],
  [{ project: 'NOPE' }, {}, /project NOPE is not there/],
  [{ issueType: 'Bug' }, {}, /no issue type Bug; it has Task, Incident/],
  [{}, { attachments: false }, /lacks: Create attachments/],
])('says what is missing: %j %j', async (change, options, text) => {
  await expect(probe(change, options)).rejects.toThrow(text);
});
