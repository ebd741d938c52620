import { sayCheck } from './expectations.ts';
import type { Rehearsed } from './rehearse.ts';

/** What XML 1.0 cannot hold at all, escaped or not (https://www.w3.org/TR/xml/#charsets). */
const NOT_XML = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

/** Text for XML: markup and quotes are escaped, what XML has no way to write becomes U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(NOT_XML, '\ufffd')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;')
    .replaceAll('\r', '&#13;');
}

/** Parsers turn line breaks and tabs in attributes into spaces, unless they are escaped. */
function escapeAttribute(text: string): string {
  return escapeXml(text).replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');
}

interface Attributes {
  [name: string]: string | number;
}

function open(name: string, attributes: Attributes): string {
  const written = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escapeAttribute(String(value))}"`,
  );
  return `${name}${written.join('')}`;
}

/**
 * A JUnit report as CI systems read it (the format of Ant's junitreport; there is no standard): a suite for each runbook, a
 * case for each scenario. A scenario that came otherwise is a failure, one that could not be run an error.
 */
export function junitReport(rehearsed: readonly Rehearsed[]): string {
  const suites = new Map<string, Rehearsed[]>();
  for (const one of rehearsed) {
    const name = one.loaded?.runbook.name ?? 'not run';
    suites.set(name, [...(suites.get(name) ?? []), one]);
  }
  const all = open('testsuites', { name: 'firebreak runbook test', ...countsOf(rehearsed) });
  const parts = [...suites].map(([name, cases]) => suite(name, cases));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${all}>\n${parts.join('')}</testsuites>\n`;
}

function suite(name: string, cases: readonly Rehearsed[]): string {
  const body = cases.map((one) => testCase(name, one)).join('');
  return `  <${open('testsuite', { name, ...countsOf(cases) })}>\n${body}  </testsuite>\n`;
}

function testCase(
  suiteName: string,
  { file, ok, problems, error, loaded, checks, tookMs }: Rehearsed,
): string {
  const name = loaded?.scenario.metadata.name ?? file;
  const start = open('testcase', { name, classname: suiteName, file, time: seconds(tookMs) });
  if (ok) return `    <${start}/>\n`;
  const failed = checks.filter((check) => !check.ok);
  const kind = failed.length > 0 ? 'failure' : 'error';
  const lines =
    failed.length > 0
      ? failed.map(sayCheck)
      : (error ?? '') !== ''
        ? [error ?? '']
        : problems.map((one) => `${one.file}:${one.line}:${one.column} ${one.message} [${one.rule}]`);
  const told = open(kind, { message: lines[0] ?? 'it failed' });
  return `    <${start}>\n      <${told}>${escapeXml(lines.join('\n'))}</${kind}>\n    </testcase>\n`;
}

function countsOf(cases: readonly Rehearsed[]): Attributes {
  const failures = cases.filter(({ checks }) => checks.some(({ ok }) => !ok)).length;
  const broken = cases.filter(({ ok }) => !ok).length - failures;
  const tookMs = cases.reduce((sum, one) => sum + one.tookMs, 0);
  return { tests: cases.length, failures, errors: broken, time: seconds(tookMs) };
}

function seconds(durationMs: number): string {
  return (durationMs / 1_000).toFixed(3);
}
