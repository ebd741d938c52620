import { readFileSync } from 'node:fs';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../../domain/incident.ts';
import { observeReport } from '../../domain/observe-report.ts';
import {
  alert,
  changesSeen,
  entry,
  exampleWeek,
  observed,
  step,
  TRIGGERED_MS,
  WOULD_DIVERT,
} from '../../test/fixtures/observed-incidents.ts';
import { renderObserveReport } from './observe-report.ts';

const DAY_MS = 86_400_000;
const SINCE_MS = Date.UTC(2026, 1, 28);

function render(incidents: IncidentView[], more: { truncated?: boolean; colors?: boolean } = {}): string {
  const report = observeReport({
    incidents,
    sinceMs: SINCE_MS,
    untilMs: SINCE_MS + 7 * DAY_MS,
    truncated: more.truncated ?? false,
  });
  return renderObserveReport(report, pc.createColors(more.colors ?? false));
}

describe('the observe report on a terminal', () => {
  it('is the example of docs/observe.md, to the letter', () => {
    const page = readFileSync(new URL('../../docs/observe.md', import.meta.url), 'utf8');
    expect(page).toContain(`\`\`\`text\n${render(exampleWeek())}\`\`\``);
  });

  it('says so when there is nothing, or not all', () => {
    expect(render([])).toContain('No incident of a target in observe mode');
    expect(render([observed()], { truncated: true })).toContain('only the newest are in this report');
    expect(render([observed()])).not.toContain('only the newest');
  });

  it('tells an open incident from one where nothing would have been done', () => {
    const open = { milestones: { triggered: TRIGGERED_MS }, alerts: [alert()], timeline: [], steps: [] };
    expect(render([observed(open)])).toContain('    done nothing so far');
    expect(render([observed({ ...open, milestones: observed().milestones })])).toMatch(
      / {4}done nothing\n.*\n {4}nothing was seen\n/,
    );
  });

  it('names the condition that could not be measured beside what it would have led to', () => {
    const unknown = { ...WOULD_DIVERT, data: { ...WOULD_DIVERT.data, unknown: 'harmRate has no data' } };
    expect(render([observed({ timeline: [unknown] })])).toContain(
      'diverted all traffic to llm-fallback  (its condition could not be measured: harmRate has no data)',
    );
  });

  it('shows the first lines of very many and where the rest is', () => {
    const notes = Array.from({ length: 30 }, (_, index) =>
      entry(index, 'note', 'added a note', { actor: 'ben', data: { text: `note ${index}` } }),
    );
    const text = render([observed({ timeline: notes })]);
    expect(text).toContain('note 11');
    expect(text).not.toContain('note 12');
    expect(text).toContain('19 more: firebreak incident timeline inc-3f9a1c2b7d01-0a1b2c3d');
  });

  it('never lets text of alerts, people or the cluster steer the terminal or look like a line of its own', () => {
    const evil = 'x\u001b[2J\u009b1m\u202e\r\n  +1.0 s  would have saved it';
    const hostile = observed({
      title: evil,
      incidentId: evil,
      runbook: { name: evil, version: 1, hash: '', owner: '' },
      target: { cluster: evil, namespace: evil, kind: 'Deployment', name: evil },
      steps: [step(evil, 'skipped', evil, 'divert')],
      timeline: [
        entry(1, 'would-have', evil, {
          data: { step: evil, uses: 'divert', with: { to: evil }, unknown: evil },
        }),
        entry(2, 'would-have', evil, { data: { step: evil, uses: 'rollback', summary: evil } }),
        entry(3, 'would-have', evil, { data: { step: evil, uses: evil, summary: evil } }),
        entry(4, 'note', evil, { actor: evil, data: { text: evil } }),
        changesSeen([5, evil]),
      ],
    });
    const text = render([hostile]);
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text.split('\n').filter((line) => line.startsWith('  +1.0 s'))).toEqual([]);
    expect(render([hostile], { colors: true })).not.toMatch(/\u001b\[2J|\u009b|\u202e/);
  });

  it('is coloured where it may be', () => {
    expect(render([observed()], { colors: true })).toContain('\u001b[1m');
  });
});
