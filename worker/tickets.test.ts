import { expect, it } from 'vitest';
import { configSchema } from './config/schema.ts';
import { ticketOptions } from './tickets.ts';

const GITHUB = { token: 'env:T', repository: 'acme/ai-operations' };
const JIRA = {
  url: 'https://acme.atlassian.net',
  email: 'bot@acme.example',
  apiToken: 'env:T',
  project: 'OPS',
};
const PEOPLE = [
  { id: 'kim', name: 'Kim', email: 'Kim@acme.example', github: 'kim-acme', jiraAccountId: '5b10:a2' },
  { id: 'gone', name: 'Gone', email: 'gone@acme.example', github: 'gone', active: false },
];

function optionsOf(tickets: object) {
  const config = configSchema.parse({ tickets, access: { people: PEOPLE } });
  return ticketOptions(config, { secret: () => 'x', records: { postmortem: async () => undefined } });
}

it('knows owners by id and by e-mail, in the system that is configured', () => {
  const github = optionsOf({ github: GITHUB });
  const jira = optionsOf({ jira: JIRA, onResolved: 'close' });
  expect(github?.system.name).toBe('GitHub');
  expect(jira?.system.name).toBe('Jira');
  expect([github?.onResolved, jira?.onResolved]).toEqual(['leave', 'close']);
  for (const owner of ['kim', 'kim@acme.example', ' KIM@acme.example ']) {
    expect(github?.assigneeOf(owner)).toBe('kim-acme');
    expect(jira?.assigneeOf(owner)).toBe('5b10:a2');
  }
  for (const owner of ['gone', 'gone@acme.example', 'ml-oncall', '']) {
    expect(github?.assigneeOf(owner)).toBeUndefined();
  }
});

it('has no ticket system where none is configured', () => {
  expect(optionsOf({})).toBeUndefined();
});

it('takes one ticket system, and names that share no form with another', () => {
  const problems = (tickets: object) =>
    configSchema.safeParse({ tickets }).error?.issues.map(({ path }) => path.join('.'));
  expect(problems({ github: GITHUB, jira: JIRA })).toEqual(['tickets.jira']);
  expect(problems({ jira: { ...JIRA, project: 'ops team' } })).toEqual(['tickets.jira.project']);
  expect(problems({ jira: { ...JIRA, apiToken: 'plain-secret' } })).toEqual(['tickets.jira.apiToken']);
});
