import type { RecordsStore } from '../../activities/records/store.ts';
import type { IncidentState, IncidentView } from '../../domain/incident.ts';
import { workflowIdOfIncident } from '../../workflows/ids.ts';
import { EdgeError } from '../errors.ts';
import { GatewayError, type IncidentGateway } from '../gateway/types.ts';
import { readId } from './ids.ts';

/** Incidents of a list, and how far back an id's prefix is looked for. */
const MAX_LISTED = 500;
/** Running incidents that are asked one by one because the records do not have them yet. */
const MAX_ASKED = 20;
/** Ids named in an answer about an ambiguous prefix. */
const MAX_NAMED = 5;

/** The part of the records that reading needs. */
export type ReadableRecords = Pick<
  RecordsStore,
  'getIncident' | 'listIncidents' | 'timeline' | 'postmortem' | 'attempts'
>;

interface FoundIncident {
  view: IncidentView;
  /** `live`: from the workflow, now. `records`: the last state that was written down. */
  source: 'live' | 'records';
  /** Why it is not live although it may be running. */
  note?: string;
}

interface IncidentList {
  incidents: IncidentView[];
  /** What could not be asked; empty when the list is whole. */
  notes: string[];
}

export interface IncidentReader {
  /**
   * The incident with this id, or the only one whose id starts so.
   * @throws EdgeError not_found, ambiguous_id, temporal_unavailable, records_unavailable.
   */
  read(idOrPrefix: string): Promise<FoundIncident>;
  /** The whole id of an id or prefix. */
  resolveId(idOrPrefix: string): Promise<string>;
  list(filter: { limit: number; state?: IncidentState }): Promise<IncidentList>;
}

export function createIncidentReader(deps: {
  gateway: IncidentGateway;
  records: ReadableRecords;
}): IncidentReader {
  const { gateway, records } = deps;

  async function readWhole(id: string): Promise<FoundIncident> {
    let unavailable: string | undefined;
    try {
      const live = await gateway.describe(workflowIdOfIncident(id));
      // A later incident with the same correlation has the same workflow id.
      if (live?.incidentId === id) return { view: live, source: 'live' };
    } catch (error) {
      unavailable = (error as Error).message;
    }
    const recorded = await fromRecords(() => records.getIncident(id));
    if (recorded !== undefined) {
      return {
        view: recorded,
        source: 'records',
        ...(unavailable === undefined ? {} : { note: `This is the last recorded state. ${unavailable}.` }),
      };
    }
    if (unavailable !== undefined) throw temporalUnavailable(unavailable);
    throw notFound();
  }

  async function resolveId(given: string): Promise<string> {
    const input = readId(given);
    if (input.kind === 'none') throw notFound('An incident id looks like inc-3f9a1c2b7d01-0a1b2c3d.');
    if (input.kind === 'whole') return input.id;
    const { prefix } = input;
    const startsSo = (views: readonly IncidentView[]) =>
      [...new Set(views.map((view) => view.incidentId))].filter((id) => id.startsWith(prefix));
    // The records know all but the newest; only where they do not tell is Temporal asked, which may be away.
    const recorded = startsSo(await records.listIncidents({ limit: MAX_LISTED }).catch(() => []));
    const ids =
      recorded.length === 1 ? recorded : startsSo((await list({ limit: MAX_LISTED }, prefix)).incidents);
    const [id, ...others] = ids;
    if (id === undefined) throw notFound();
    if (others.length > 0) {
      throw new EdgeError('ambiguous_id', `${ids.length} incidents start with ${prefix}.`, {
        hint: `Give more of the id: ${ids.slice(0, MAX_NAMED).join(', ')}${ids.length > MAX_NAMED ? ', ...' : ''}`,
      });
    }
    return id;
  }

  async function list(
    filter: { limit: number; state?: IncidentState },
    idPrefix = '',
  ): Promise<IncidentList> {
    const notes: string[] = [];
    const limit = Math.min(filter.limit, MAX_LISTED);
    const [recorded, running] = await Promise.all([
      records.listIncidents({ limit, ...(filter.state ? { state: filter.state } : {}) }).catch(() => {
        notes.push('The records do not answer: only running incidents are listed.');
        return undefined;
      }),
      gateway
        .listRunning({ limit: MAX_ASKED, workflowIdPrefix: workflowPrefix(idPrefix) })
        .catch((error: Error) => {
          notes.push(`States are those last recorded. ${error.message}.`);
          return undefined;
        }),
    ]);
    if (recorded === undefined && running === undefined) {
      throw new EdgeError('records_unavailable', 'Neither the records nor Temporal answer.');
    }

    const openIds = new Set(
      (recorded ?? []).filter(({ state }) => state !== 'closed').map((view) => view.workflowId),
    );
    const unknown = (running ?? []).filter(({ workflowId }) => !openIds.has(workflowId));
    const asked = await Promise.all(
      unknown.map(({ workflowId }) => gateway.describe(workflowId).catch(() => undefined)),
    );
    const known = new Set((recorded ?? []).map((view) => view.incidentId));
    const live = asked.filter(
      (view): view is IncidentView =>
        view !== undefined &&
        !known.has(view.incidentId) &&
        (filter.state === undefined || view.state === filter.state),
    );
    const incidents = [...live, ...(recorded ?? [])].sort((a, b) => triggeredAt(b) - triggeredAt(a));
    return { incidents: incidents.slice(0, limit), notes };
  }

  return {
    resolveId,
    async read(idOrPrefix) {
      return readWhole(await resolveId(idOrPrefix));
    },
    list: (filter) => list(filter),
  };
}

function triggeredAt(view: IncidentView): number {
  return view.milestones.triggered ?? 0;
}

/** The part of an id's prefix that is the workflow's: `inc-3f9a-...` is `incident-3f9a`. */
function workflowPrefix(idPrefix: string): string {
  return idPrefix.replace(/^inc-/, 'incident-').replace(/^(incident-[0-9a-f]{12})-.*$/, '$1');
}

/** @throws EdgeError records_unavailable for whatever the records throw. */
export async function fromRecords<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new EdgeError('records_unavailable', 'The records do not answer.', { cause: error });
  }
}

export function temporalUnavailable(reason: string): EdgeError {
  return new EdgeError('temporal_unavailable', reason, { retryAfterSeconds: 2 });
}

function notFound(message = 'There is no such incident.'): EdgeError {
  return new EdgeError('not_found', message);
}

/** What a gateway's problem is for a person who asked. */
export function edgeErrorOfGateway(error: unknown): unknown {
  if (!(error instanceof GatewayError)) return error;
  switch (error.problem) {
    case 'not-running':
      return new EdgeError('incident_ended', 'The incident is over, so nothing can be done to it any more.');
    case 'refused':
      return new EdgeError('refused', error.message);
    case 'unavailable':
      return temporalUnavailable(error.message);
  }
}
