/**
 * A process that has the embedded records open, for tests that kill it or want a second one.
 * Arguments: folder, and `hold` (opens, says so, waits), `write` (appends until it is killed, saying each number once it
 * is answered) or `try` (opens, says what happened, ends).
 */
import { openPglite } from '../../activities/records/pglite.ts';
import { entry, viewOf } from './records-fixture.ts';

export const WRITTEN_INCIDENT = 'inc-0123456789ab-00000001';

const [, , dir = '', what = ''] = process.argv;

// The tests import this file for the incident's id; only a process started for it does something.
if (['hold', 'write', 'try'].includes(what)) {
  try {
    const store = await openPglite(dir);
    console.log(`open ${process.pid}`);
    if (what === 'try') {
      await store.close();
    } else if (what === 'hold') {
      setInterval(() => {}, 1_000);
    } else {
      for (let seq = 1; ; seq += 1) {
        const view = viewOf(WRITTEN_INCIDENT, [], { lastHarmRate: seq });
        await store.append([entry(seq, { text: 'x'.repeat(2_000) })], view);
        console.log(`written ${seq}`);
      }
    }
  } catch (error) {
    console.log(`failed ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
