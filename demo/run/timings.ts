/**
 * The demo runs the shipped runbook and alert with shortened timings, so that an incident takes a minute instead of an
 * hour. What is shortened, and from what, is in one table; nothing else differs.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { LIBRARY_PATH } from '../../runbooks/load.ts';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

interface Shortened {
  /** Path in the runbook; a step is named by its id. */
  at: (string | number)[];
  value: string | number;
}

/** `verify.timeout` is long enough for a verdict by 60 classified outputs a second, and short for one without any. */
const RUNBOOK_TIMINGS: Shortened[] = [
  { at: ['spec', 'metrics', 'harmRate', 'window'], value: '10s' },
  { at: ['spec', 'watchEvery'], value: '2s' },
  { at: ['spec', 'resolveAfter'], value: '3s' },
  { at: ['steps', 'rollback', 'with', 'servedFor'], value: '10s' },
  { at: ['steps', 'sample', 'with', 'window'], value: '2m' },
  { at: ['steps', 'verify', 'with', 'timeout'], value: '45s' },
  { at: ['steps', 'verify', 'with', 'minDuration'], value: '5s' },
  { at: ['steps', 'verify', 'with', 'maxSampleAge'], value: '10s' },
  { at: ['steps', 'verify', 'with', 'classifierLag'], value: '1s' },
  { at: ['steps', 'verify', 'with', 'pollEvery'], value: '1s' },
  { at: ['steps', 'restore', 'with', 'every'], value: '2s' },
  // The demo's harm is independent of one output to the next, which production's is not.
  { at: ['steps', 'verify', 'with', 'designEffect'], value: 1 },
];

/** The shipped runbook as YAML, with the demo's timings. @throws Error when the runbook has no such place. */
export function demoRunbook(): string {
  const document = parseDocument(readFileSync(path.join(LIBRARY_PATH, 'ai-harm-response.yaml'), 'utf8'));
  const { spec } = document.toJS() as { spec: { steps: { id: string }[] } };
  for (const { at, value } of RUNBOOK_TIMINGS) {
    const [first, second, ...rest] = at;
    if (first !== 'steps') {
      document.setIn(at, value);
      continue;
    }
    const index = spec.steps.findIndex((step) => step.id === second);
    if (index < 0) throw new Error(`the shipped runbook has no step ${second}`);
    document.setIn(['spec', 'steps', index, ...rest], value);
  }
  return document.toString();
}

/** Window and pending time of the guide's alert, and the demo's. */
const RULE_TIMINGS = [
  { from: /\[5m\]/g, to: '[10s]' },
  { from: /for: 2m/g, to: 'for: 5s' },
] as const;

/** The shipped alert rules with the demo's timings. @throws Error when the rules no longer hold what is shortened. */
export function demoRules(): string {
  let text = readFileSync(path.join(ROOT, 'deploy/prometheus/firebreak.rules.yml'), 'utf8');
  for (const { from, to } of RULE_TIMINGS) {
    const shortened = text.replace(from, to);
    if (shortened === text) throw new Error(`the shipped alert rules no longer hold ${from.source}`);
    text = shortened;
  }
  return text;
}

/** What people are told about it. */
export const TIMINGS_NOTE =
  'Timings are shortened for the demo: the alert looks at 10 s instead of 5 m and waits 5 s instead of 2 m; "served well" means 10 s instead of 1 h; a verification ends after 45 s instead of 30 m; each step of restoring is watched for 2 s instead of 1 m.';
