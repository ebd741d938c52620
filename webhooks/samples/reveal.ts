import type { EvidenceEntry, KeptText } from '../../activities/evidence/store.ts';
import type { Vault } from '../../activities/evidence/vault.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { findSample } from '../../domain/samples/precision.ts';
import type { Access, Person } from '../access/access.ts';
import { EdgeError } from '../errors.ts';
import { type RecordAttempt, refusing } from '../incidents/attempts.ts';
import { fromRecords, type IncidentReader } from '../incidents/reader.ts';

export interface SampleDeps {
  access: Access;
  reader: IncidentReader;
  records: Pick<RecordsStore, 'evidence'>;
  vault: Vault;
  recordAttempt: RecordAttempt;
  now: () => number;
}

export interface RevealInput {
  person: Person;
  via: 'api' | 'cli' | 'slack';
  incident: string;
  /** Id of the sample, or its short reference. */
  sample: string;
  reason: string;
}

export interface Revealed {
  incidentId: string;
  sample: string;
  /** Redacted when it was kept; control characters are stripped, line breaks stay. */
  text: string;
  destroyAtMs: number;
}

/** What control characters could do to whoever looks: everything but line breaks and tabs goes. */
const CONTROL = /[^\P{C}\n\t]/gu;

/**
 * A kept text for one person who may and says why. The attempt is recorded before anything is looked for, and the reading
 * in the evidence's own hash chain before the text is handed out.
 * @throws EdgeError forbidden, not_found, refused (destroyed), records_unavailable.
 */
export async function reveal(deps: SampleDeps, input: RevealInput): Promise<Revealed> {
  const { person, via, reason } = input;
  let incident = input.incident.slice(0, 64);
  const record = (verdict: 'accepted' | 'denied' | 'invalid', why: string) =>
    deps.recordAttempt({ incident, person: person.id, decision: 'reveal-sample', via, verdict, reason: why });
  const refuse = refusing(record);

  const permission = deps.access.may(person, 'reveal');
  if (!permission.allowed)
    return refuse('denied', new EdgeError('forbidden', `Not allowed: ${permission.reason}.`));
  const view = await deps.reader.read(input.incident).then(
    (found) => found.view,
    (error: unknown) => refuse('invalid', error),
  );
  incident = view.incidentId;
  const ref = refOf(view, input.sample);
  if (ref === undefined)
    return refuse('invalid', new EdgeError('not_found', 'There is no such sample.', HINT));

  await record('accepted', reason);
  let found: Awaited<ReturnType<Vault['reveal']>>;
  try {
    found = await deps.vault.reveal({
      incidentId: view.incidentId,
      ref,
      person: person.id,
      reason,
      via,
      nowMs: deps.now(),
    });
  } catch (error) {
    throw new EdgeError('records_unavailable', 'The text could not be read.', {
      cause: error,
      hint: 'See /readyz and keys/evidence.json in the data folder of this process.',
    });
  }
  if (!found.found) {
    const gone = new EdgeError('refused', 'The text was destroyed at its retention date.', {
      hint: 'Ids, hashes and links stay: firebreak sample list ID',
    });
    const never = new EdgeError('not_found', 'No text of this sample is kept.', {
      hint: 'Texts are kept only of sources with text: keep.',
    });
    return refuse('invalid', found.gone ? gone : wasDestroyed(view, deps.now()) ? gone : never);
  }
  return {
    incidentId: view.incidentId,
    sample: ref,
    text: plainText(found.text),
    destroyAtMs: found.destroyAtMs,
  };
}

const HINT = { hint: 'List the samples of the incident: firebreak sample list ID' };

export interface SampleList {
  incidentId: string;
  samples: IncidentView['samples'];
  kept: KeptText[];
  /** Who kept, read and destroyed texts. */
  log: EvidenceEntry[];
}

/** @throws EdgeError */
export async function listSamples(deps: SampleDeps, incident: string): Promise<SampleList> {
  const { view } = await deps.reader.read(incident);
  const { evidence } = deps.records;
  const { incidentId } = view;
  const [kept, log] = await fromRecords(() =>
    Promise.all([evidence.list(incidentId, deps.now()), evidence.log(incidentId)]),
  );
  return { incidentId, samples: view.samples, kept, log };
}

/** Incidents that the records have forgotten the samples of can still be asked by the short reference. */
function refOf(view: IncidentView, named: string): string | undefined {
  const sample = findSample(view.samples, named);
  if (sample) return sample.ref;
  return /^s-[0-9a-f]{10}$/.test(named) ? named : undefined;
}

function wasDestroyed({ samples }: IncidentView, nowMs: number): boolean {
  return samples?.keptUntilMs !== undefined && samples.keptUntilMs <= nowMs;
}

function plainText(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(CONTROL, '');
}
