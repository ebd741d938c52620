import type { RecordActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { createWritePostmortem } from '../postmortem/write-postmortem.ts';
import { toRecordsError } from './sql.ts';
import type { RecordsStore } from './store.ts';

/** The records as activities: the workflows' outbox writes through them, and containment never waits for them. */
export function createRecordActivities(store: RecordsStore): RecordActivities {
  return {
    openRecord: (input) =>
      crossing(`opening the record of ${input.incidentId}`, () => store.openIncident(input)),

    appendRecord: ({ incidentId, view, entries }) =>
      crossing(`appending to ${incidentId}`, () => {
        if (view.incidentId !== incidentId) {
          throw fail(
            'InvalidInput',
            `records: the view of ${view.incidentId} was given to append to ${incidentId}`,
          );
        }
        return store.append(entries, view);
      }),

    writePostmortem: (input) =>
      crossing(`writing the postmortem of ${input.view.incidentId}`, () =>
        createWritePostmortem(store)(input),
      ),
  };
}

/** Failures become the one kind that crosses a boundary, typed by domain/failure.ts. */
async function crossing<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && error.name === 'ApplicationFailure') throw error;
    if (error instanceof TypeError) throw fail('InvalidInput', `records: ${doing} failed: ${error.message}`);
    const { type, message } = toRecordsError(error, doing);
    throw fail(type, message);
  }
}
