import type { TicketActivities } from '../contract.ts';
import { fail } from '../failure.ts';

/** What tickets answer where none are configured: refused, with what to configure. */
export function noTicketSystem() {
  return fail('Refused', 'no ticket system is configured: set tickets.github');
}

export function createUnconfiguredTicketActivities(): TicketActivities {
  return {
    openTicket: async () => {
      throw noTicketSystem();
    },
    commentTicket: async () => {
      throw noTicketSystem();
    },
  };
}
