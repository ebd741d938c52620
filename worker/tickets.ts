/** Composition of the ticket system that the configuration names. */
import { createGitHubTickets } from '../activities/github/index.ts';
import { createJiraTickets } from '../activities/jira/index.ts';
import type { TicketOptions } from '../activities/tickets/index.ts';
import type { TicketSystem } from '../activities/tickets/system.ts';
import type { FirebreakConfig } from './config/schema.ts';

type Person = FirebreakConfig['access']['people'][number];

/** @returns undefined where no ticket system is configured. */
export function ticketOptions(
  config: FirebreakConfig,
  parts: { secret: (reference: string) => string; records: TicketOptions['records'] },
): TicketOptions | undefined {
  const system = ticketSystem(config, parts.secret);
  if (system === undefined) return undefined;
  const { github, onResolved } = config.tickets;
  const account = (person: Person | undefined) =>
    github === undefined ? person?.jiraAccountId : person?.github;
  return {
    system,
    onResolved,
    publicUrl: config.server.publicUrl,
    records: parts.records,
    assigneeOf: (owner) => account(personOf(config.access.people, owner)),
  };
}

function ticketSystem(
  { tickets: { github, jira } }: FirebreakConfig,
  secret: (reference: string) => string,
): TicketSystem | undefined {
  if (github !== undefined) {
    const [owner = '', repo = ''] = github.repository.split('/');
    return createGitHubTickets({ token: secret(github.token), owner, repo, apiUrl: github.apiUrl });
  }
  return jira && createJiraTickets({ ...jira, apiToken: secret(jira.apiToken) });
}

/** Owners are written as ids or as e-mail addresses; a group is nobody that could be assigned. */
function personOf(people: readonly Person[], owner: string): Person | undefined {
  const wanted = owner.trim().toLowerCase();
  return people.find(({ id, email, active }) => active && (id === wanted || email?.toLowerCase() === wanted));
}
