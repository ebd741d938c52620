import type { CompiledRunbook } from './runbook.ts';

/** How CEL reads a label: alert.labels.name, alert.labels["name"], "name" in alert.labels. In JSON, quotes are escaped. */
const READS = [
  /\balert\.labels\.([A-Za-z_]\w*)/g,
  /\balert\.labels\[\\?["']([^"'\\]+)/g,
  /["']([^"'\\]+)\\?["']\s+in\s+alert\.labels\b/g,
];
const ALWAYS = ['alertname'];

/**
 * Names of the labels that a runbook has to do with: it matches, correlates or decides by them. Other labels may say anything,
 * and are neither shown to people nor recorded.
 */
export function shownLabels(runbook: CompiledRunbook): ReadonlySet<string> {
  const text = JSON.stringify(runbook);
  return new Set([
    ...ALWAYS,
    ...runbook.match.map(({ label }) => label),
    ...runbook.correlateBy,
    ...READS.flatMap((read) => [...text.matchAll(read)].map(([, name = '']) => name)),
  ]);
}

/** Those of the labels that are shown. */
export function withOnly(
  shown: ReadonlySet<string>,
  labels: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => shown.has(name)));
}
