import { SHORTEST_PLAN_HASH } from '../incidents/decide.ts';

/** What somebody typed after `/firebreak`. */
export type SlackCommand =
  | { kind: 'help'; problem?: string }
  | { kind: 'list' }
  | { kind: 'status'; id: string }
  | { kind: 'acknowledge'; id: string }
  | { kind: 'approve'; id: string; step?: string; planHash?: string }
  | { kind: 'reject'; id: string; reason: string }
  | { kind: 'note'; id: string; text: string }
  | { kind: 'resolve'; id: string; reason: string };

const PLAN_HASH = new RegExp(`^[0-9a-f]{${SHORTEST_PLAN_HASH},64}$`);

export const HELP = [
  '/firebreak list',
  '/firebreak status ID',
  '/firebreak ack ID',
  '/firebreak approve ID [STEP] [PLAN]  - without PLAN (the start of its hash) it shows the plan with buttons',
  '/firebreak reject ID REASON',
  '/firebreak note ID TEXT',
  '/firebreak resolve ID REASON',
  'ID may be the start of an incident id, as long as it is the only one.',
].join('\n');

/** Reads the text of a slash command; what cannot be read becomes help with the problem said. */
export function parseCommand(text: string): SlackCommand {
  const [verb = '', id = '', ...rest] = text.trim().split(/\s+/);
  const tail = rest.join(' ');
  const needs = (what: string): SlackCommand => ({ kind: 'help', problem: `${verb} needs ${what}.` });
  switch (verb.toLowerCase()) {
    case '':
    case 'help':
      return { kind: 'help' };
    case 'list':
      return { kind: 'list' };
    case 'status':
      return id ? { kind: 'status', id } : needs('an incident id');
    case 'ack':
    case 'acknowledge':
      return id ? { kind: 'acknowledge', id } : needs('an incident id');
    case 'approve':
      return id ? approve(id, rest) : needs('an incident id');
    case 'reject':
      return id && tail ? { kind: 'reject', id, reason: tail } : needs('an incident id and a reason');
    case 'note':
      return id && tail ? { kind: 'note', id, text: tail } : needs('an incident id and a text');
    case 'resolve':
      return id && tail ? { kind: 'resolve', id, reason: tail } : needs('an incident id and a reason');
    default:
      return { kind: 'help', problem: 'There is no such command.' };
  }
}

function approve(id: string, rest: string[]): SlackCommand {
  const hash = rest.find((word) => PLAN_HASH.test(word));
  const [step] = rest.filter((word) => word !== hash);
  return {
    kind: 'approve',
    id,
    ...(step === undefined ? {} : { step }),
    ...(hash === undefined ? {} : { planHash: hash }),
  };
}
