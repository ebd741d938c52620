import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeXml, junitReport } from './junit.ts';
import type { Rehearsed } from './rehearse.ts';

function rehearsed(change: Partial<Rehearsed>): Rehearsed {
  return { file: 'a.scenario.yaml', ok: true, problems: [], checks: [], tookMs: 1_234, ...change };
}

describe('the JUnit report', () => {
  it('tells failures from what could not be run, and counts both', () => {
    const report = junitReport([
      rehearsed({}),
      rehearsed({
        ok: false,
        checks: [{ name: 'state', ok: false, expected: 'closed', got: 'needs-human' }],
      }),
      rehearsed({ ok: false, error: 'workflow went wrong' }),
    ]);
    expect(report).toContain('<testsuites name="firebreak runbook test" tests="3" failures="1" errors="1"');
    expect(report).toContain(
      '<failure message="state: expected closed, got needs-human">state: expected closed, got needs-human</failure>',
    );
    expect(report).toContain('<error message="workflow went wrong">');
    expect(report).toContain('time="1.234"');
  });

  it('holds text of alerts and people as text, whatever it is', () => {
    const got = `</failure><!--"'&\u0000\u001b[31m\ud800\ufffe`;
    const report = junitReport([
      rehearsed({ ok: false, checks: [{ name: 'outcome', ok: false, expected: 'a\nb', got }] }),
    ]);
    expect(report).toContain('&lt;/failure&gt;&lt;!--&quot;&apos;&amp;\ufffd\ufffd[31m\ufffd\ufffd');
    expect(report).toContain('message="outcome: expected a&#10;b');
    expect(report.match(/<\/failure>/g)).toHaveLength(1);
  });

  it('escapes to characters that XML 1.0 allows, without markup (property)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeXml(text);
        expect(escaped).not.toMatch(/[<>"']/);
        expect(escaped).not.toMatch(/&(?!(?:amp|lt|gt|quot|apos|#13);)/);
        expect(escaped).toMatch(/^[\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]*$/u);
      }),
    );
  });
});
