import { describe, expect, it } from 'vitest';
import {
  type EmergencyRecord,
  emergencyId,
  isEmergencyCommand,
  MAX_RECORDS,
  parseEmergencies,
  parsePointers,
  sayEmergency,
  withEmergency,
  writePointers,
} from './emergency.ts';

function record(n: number, change: Partial<EmergencyRecord> = {}): EmergencyRecord {
  return {
    id: `emergency-20260301t100000-${String(n).padStart(4, '0')}`,
    what: 'rollback',
    at: '2026-03-01T10:00:00.000Z',
    by: { api: 'ada', os: 'ops' },
    reason: 'harm',
    state: 'done',
    before: 'revision 2',
    after: 'revision 1',
    ...change,
  };
}

describe('withEmergency', () => {
  it('is read back as it was written, and a record takes the place of the one with its id', () => {
    const begun = withEmergency([], record(1, { state: 'begun' }));
    const done = withEmergency(parseEmergencies(begun), record(1));
    expect(parseEmergencies(done)).toEqual([record(1)]);
  });

  it('keeps a bounded number: what became an incident makes room first', () => {
    let annotation = '[]';
    for (let n = 0; n < MAX_RECORDS; n += 1) {
      const taken = n === 5 ? { reconciled: { at: '2026-03-01T10:01:00.000Z', incident: 'incident-1' } } : {};
      annotation = withEmergency(parseEmergencies(annotation), record(n, taken));
    }
    const ids = parseEmergencies(withEmergency(parseEmergencies(annotation), record(99))).map(({ id }) =>
      id.slice(-4),
    );
    expect(ids).toEqual(['0000', '0001', '0002', '0003', '0004', '0006', '0007', '0008', '0009', '0099']);
  });

  it('stays far below what an object’s annotations may hold, however long the texts are', () => {
    for (const long of ['\u{1F600}'.repeat(50_000), '漢'.repeat(50_000), '"'.repeat(50_000)]) {
      let annotation = '[]';
      for (let n = 0; n < 2 * MAX_RECORDS; n += 1) {
        const by = { api: long, as: long, os: long, kubeconfig: long };
        const reconciled = { at: long, incident: long };
        const texts = { reason: long, before: long, after: long, detail: long, by, reconciled };
        annotation = withEmergency(parseEmergencies(annotation), record(n, texts));
      }
      expect(Buffer.byteLength(annotation)).toBeLessThan(128 * 1024);
      expect(parseEmergencies(annotation)).toHaveLength(MAX_RECORDS);
    }
  });
});

describe('parseEmergencies', () => {
  it.each([
    undefined,
    '',
    'null',
    '{}',
    '[',
    '[null, 1, "x", {}]',
    JSON.stringify([{ ...record(1), id: '../x' }]),
    JSON.stringify([{ ...record(1), what: 'delete' }]),
    JSON.stringify([{ ...record(1), at: 'yesterday' }]),
    JSON.stringify([{ ...record(1), state: 'unknown' }]),
  ])('finds none in %j', (annotation) => {
    expect(parseEmergencies(annotation)).toEqual([]);
  });

  it('makes text of others plain', () => {
    const [read] = parseEmergencies(
      JSON.stringify([{ ...record(1), reason: 'a\u001b[2J\u202eb', by: { api: 'x\ny', os: 7 } }]),
    );
    expect(read).toMatchObject({ reason: 'a[2Jb', by: { api: 'x y' } });
    expect(read?.by).not.toHaveProperty('os');
  });
});

describe('emergencyId', () => {
  it('tells when, and is known as a command that was one', () => {
    const id = emergencyId(Date.UTC(2026, 2, 1, 10, 2, 3), 'a1b2c3');
    expect(id).toBe('emergency-20260301t100203-a1b2c3');
    expect(isEmergencyCommand(id)).toBe(true);
    for (const other of [undefined, '', 'inc-1.1.divert', 'emergency', 'emergency-A'])
      expect(isEmergencyCommand(other)).toBe(false);
  });
});

describe('pointers', () => {
  it('are workloads, each once, and nothing else that stands there', () => {
    const text = writePointers([
      { kind: 'Deployment', name: 'a' },
      { kind: 'Deployment', name: 'a' },
      { kind: 'Rollout', name: 'b' },
    ]);
    expect(parsePointers(text)).toEqual([
      { kind: 'Deployment', name: 'a' },
      { kind: 'Rollout', name: 'b' },
    ]);
    const hostile = ['Secret/a', 'Deployment/../x', 'Deployment/', 'Deployment/a/b', 7, null, '__proto__/x'];
    expect(parsePointers(JSON.stringify(hostile))).toEqual([]);
  });
});

describe('sayEmergency', () => {
  it('says who, when, what and why, and that an end is not known', () => {
    expect(sayEmergency(record(1))).toBe(
      'Emergency rollback with a kubeconfig by ada (user ops of the machine) at 2026-03-01T10:00:00.000Z: revision 2 -> revision 1. Reason: harm',
    );
    expect(sayEmergency(record(1, { state: 'begun' }))).toContain('how it ended is not recorded');
    expect(sayEmergency(record(1, { state: 'failed', detail: 'no right' }))).toContain('it failed: no right');
  });
});
