import { describe, expect, it } from 'vitest';
import type { TimelineEntry } from '../domain/incident.ts';
import { happeningsOf, Triggers } from './triggers.ts';

const entry = (kind: TimelineEntry['kind'], text: string): TimelineEntry => ({
  seq: 1,
  atMs: 0,
  kind,
  text,
  actor: 'firebreak',
});

describe('what a timeline entry says has happened', () => {
  it.each([
    [entry('milestone', 'contained'), ['contained']],
    [entry('decision', 'Approval of rollback asked from ml-oncall or commander'), ['asked-rollback']],
    [entry('step', 'divert: succeeded'), ['divert']],
    [entry('step', 'verify: skipped (needs rollback, which was failed)'), ['verify']],
    [entry('step', 'Severity SEV1: metrics.harmRate is unknown'), []],
    [entry('needs-human', 'step rollback was rejected'), ['needs-human']],
    [entry('note', 'added a note'), []],
  ])('%j', (one, names) => {
    expect(happeningsOf(one)).toEqual(names);
  });
});

describe('triggers', () => {
  function triggers() {
    const due: number[] = [];
    const made = new Triggers(
      1_000,
      (timeMs, action) => {
        due.push(timeMs);
        void action();
      },
      0,
    );
    return { made, due };
  }

  it('are due at their time, or some time after what they wait for', () => {
    const { made, due } = triggers();
    made.when({ at: 500 }, () => undefined);
    made.when({ after: 'contained', wait: 60_000 }, () => undefined);
    expect(due).toEqual([1_500]);
    made.happened('contained', 9_000);
    made.happened('contained', 99_000);
    expect(due).toEqual([1_500, 69_000]);
    expect(made.lastMs).toBe(69_000);
    expect(made.someWait).toBe(false);
  });

  it('can wait for the second time that something happens', () => {
    const { made, due } = triggers();
    made.when({ after: 'asked-rollback', occurrence: 2 }, () => undefined);
    made.happened('asked-rollback', 1);
    expect(due).toEqual([]);
    made.happened('asked-rollback', 2);
    expect(due).toEqual([2]);
  });
});
