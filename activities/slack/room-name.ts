import type { IncidentView } from '../../domain/incident.ts';
import { MAX_CHANNEL_NAME } from './limits.ts';

/** Characters of the target's name in a channel's name: what people tell channels apart by, in a narrow side bar. */
const MAX_SUBJECT = 40;

/**
 * Names for the incident's own channel, best first; always the same for an incident, so that a retry finds what it has made:
 * `inc-llm-api-0a1b2c3d`, and with the whole id where that is taken by somebody else. Lower case letters, digits, hyphens
 * and underscores, at most 80 (https://docs.slack.dev/reference/methods/conversations.create#naming).
 * @param prefix of the configuration; made to fit.
 */
export function roomNames(
  view: Pick<IncidentView, 'incidentId' | 'target'>,
  prefix: string,
): [short: string, whole: string] {
  const id = slug(view.incidentId.replace(/^inc-/, '')) || 'incident';
  const run = id.slice(id.lastIndexOf('-') + 1);
  const subject = slug(view.target?.name ?? '').slice(0, MAX_SUBJECT);
  const start = prefix.toLowerCase().replace(/[^a-z0-9_-]/g, '');
  const name = (...parts: string[]) =>
    `${start}${parts.filter((part) => part !== '').join('-')}`.slice(0, MAX_CHANNEL_NAME);
  return [name(subject, run), name(id)];
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^-+|-+$/g, '');
}
