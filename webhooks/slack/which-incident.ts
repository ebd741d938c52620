import { isOver } from '../../domain/next-action.ts';
import { EdgeError } from '../errors.ts';
import type { IncidentReader } from '../incidents/reader.ts';

/** More than this at once, and people have to name the one they mean anyway. */
const MAX_LISTED = 50;
const MAX_NAMED = 5;
/** Names of incidents' own channels end in the last part of the incident's id: see activities/slack/room-name.ts. */
const RUN_IN_NAME = /-([0-9a-f]{8})$/;

export interface SlackChannel {
  id: string;
  /** As Slack says it; `directmessage` or `privategroup` where it does not say. */
  name?: string | undefined;
}

/**
 * The incident that is meant: the one that was named, else the channel's own, else the only open one.
 * @throws EdgeError invalid_request where that is not exactly one, or not known for certain.
 */
export async function whichIncident(
  reader: IncidentReader,
  given: string | undefined,
  channel: SlackChannel | undefined,
): Promise<string> {
  if (given !== undefined) return given;
  const { incidents, notes } = await reader.list({ limit: MAX_LISTED });
  const run = RUN_IN_NAME.exec(channel?.name ?? '')?.[1];
  const own = run === undefined ? [] : incidents.filter(({ incidentId }) => incidentId.endsWith(`-${run}`));
  if (own.length === 1 && own[0] !== undefined) return own[0].incidentId;
  if (run !== undefined) {
    // Never another one from the channel of an incident that is over.
    throw new EdgeError('invalid_request', 'The incident of this channel was not found among the latest.', {
      hint: 'Name the one you mean: /firebreak list',
    });
  }
  const going = incidents.filter((view) => !isOver(view));
  const [only, ...others] = going;
  if (notes.length > 0) {
    throw new EdgeError(
      'invalid_request',
      'Not every incident could be looked at, so none is taken for granted.',
      {
        hint: `${notes.join(' ')} Name the incident.`,
      },
    );
  }
  if (only === undefined) {
    throw new EdgeError('invalid_request', 'No incident is open.', {
      hint: 'Name the one you mean: /firebreak list',
    });
  }
  if (others.length > 0) {
    const ids = going.slice(0, MAX_NAMED).map(({ incidentId }) => incidentId);
    throw new EdgeError('invalid_request', `${going.length} incidents are open.`, {
      hint: `Name the one you mean: ${ids.join(', ')}${going.length > MAX_NAMED ? ', ...' : ''}`,
    });
  }
  return only.incidentId;
}
