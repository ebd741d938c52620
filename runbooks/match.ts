import { RE2JS } from 're2js';
import type { CompiledRunbook, Matcher } from '../domain/runbook.ts';
import type { TargetResolution } from '../domain/target.ts';
import { renderTemplate } from './templates.ts';

/** The runbook that opens for alerts with the label `rmf_function` that match no other. */
export const DEFAULT_RUNBOOK = 'default';
/** The runbook of rollbacks that a person declares: no alert opens it. */
export const MANUAL_ROLLBACK_RUNBOOK = 'manual-rollback';
/** Runbooks that something else than their matchers calls for by name; used as shipped where an installation has none of the name. */
export const NAMED_RUNBOOKS: readonly string[] = [DEFAULT_RUNBOOK, MANUAL_ROLLBACK_RUNBOOK];
/** Label by which alerts say that they are about AI risk (NIST AI RMF function). */
const RMF_LABEL = 'rmf_function';
/** Most text of an alert that a reason repeats. */
const MAX_ECHO_LENGTH = 100;

/** Kubernetes: names of namespaces are RFC 1123 labels, those of workloads RFC 1123 subdomains. */
const RFC1123_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const RFC1123_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_SUBDOMAIN_LENGTH = 253;

const compiled = new WeakMap<Matcher, RE2JS>();

/**
 * The regular expression of a matcher, RE2 (linear in the input, whatever the pattern), to be matched as a whole: the
 * anchoring of Alertmanager, where `.` does not match a line break.
 * @throws Error where the pattern is no RE2 syntax; the compiler of runbooks tells that before.
 */
export function regexOf(matcher: Matcher): RE2JS {
  const cached = compiled.get(matcher);
  if (cached !== undefined) return cached;
  const regex = RE2JS.compile(matcher.value);
  compiled.set(matcher, regex);
  return regex;
}

/** True when all matchers match; a label that is absent counts as empty, as in Alertmanager. No matchers match nothing. */
export function matchesLabels(matchers: readonly Matcher[], labels: Record<string, string>): boolean {
  return (
    matchers.length > 0 && matchers.every((matcher) => matchesOne(matcher, labelOf(labels, matcher.label)))
  );
}

function matchesOne(matcher: Matcher, value: string): boolean {
  switch (matcher.op) {
    case '=':
      return value === matcher.value;
    case '!=':
      return value !== matcher.value;
    case '=~':
      return regexOf(matcher).matches(value);
    case '!~':
      return !regexOf(matcher).matches(value);
  }
}

/**
 * The runbook for an alert: the first that matches, in the order given (that of the paths, then of file names in a folder).
 * Alerts with the label `rmf_function` that match none get the runbook named `default`; any others none.
 */
export function chooseRunbook(
  runbooks: readonly CompiledRunbook[],
  labels: Record<string, string>,
): { runbook: CompiledRunbook; by: 'match' | 'default' } | undefined {
  const matching = runbooks.find((runbook) => matchesLabels(runbook.match, labels));
  if (matching !== undefined) return { runbook: matching, by: 'match' };
  if (labelOf(labels, RMF_LABEL) === '') return undefined;
  const fallback = runbooks.find((runbook) => runbook.name === DEFAULT_RUNBOOK);
  return fallback && { runbook: fallback, by: 'default' };
}

/** Values of the runbook's `correlateBy` labels; absent labels are empty. Equal values are one incident. */
export function correlationOf(
  runbook: CompiledRunbook,
  labels: Record<string, string>,
): Record<string, string> {
  return Object.fromEntries(runbook.correlateBy.map((label) => [label, labelOf(labels, label)]));
}

/**
 * What the incident acts on, from the labels of `correlateBy` alone.
 * @param clusters names of the configured clusters; the only one is used where the labels name none.
 * @returns the target, or a reason for people that repeats at most 100 characters of the alert.
 */
export function resolveTarget(
  runbook: CompiledRunbook,
  labels: Record<string, string>,
  clusters: readonly string[],
): TargetResolution {
  if (runbook.target === undefined) return refuse('the runbook names no target');
  // Only what identifies the incident may choose what it acts on, whatever else the alert carries.
  const allowed = correlationOf(runbook, labels);

  const cluster = resolveCluster(runbook.target.cluster, allowed, clusters);
  if (!cluster.ok) return cluster;
  const namespace = renderTemplate(runbook.target.namespace, allowed);
  if (namespace.missing.length > 0) return refuse(missing(namespace.missing, 'namespace'));
  if (!RFC1123_LABEL.test(namespace.value))
    return refuse(`${quote(namespace.value)} is no name of a namespace`);
  const name = renderTemplate(runbook.target.name, allowed);
  if (name.missing.length > 0) return refuse(missing(name.missing, runbook.target.kind));
  if (name.value.length > MAX_SUBDOMAIN_LENGTH || !RFC1123_SUBDOMAIN.test(name.value)) {
    return refuse(`${quote(name.value)} is no name of a ${runbook.target.kind}`);
  }
  return {
    ok: true,
    target: {
      cluster: cluster.name,
      namespace: namespace.value,
      kind: runbook.target.kind,
      name: name.value,
    },
  };
}

function resolveCluster(
  template: string,
  labels: Record<string, string>,
  clusters: readonly string[],
): { ok: true; name: string } | { ok: false; reason: string } {
  const rendered = renderTemplate(template, labels);
  if (template === '' || rendered.missing.length > 0) {
    const [only] = clusters;
    if (only !== undefined && clusters.length === 1) return { ok: true, name: only };
    return refuse(`the alert names no cluster, and ${clusters.length} are configured`);
  }
  if (!clusters.includes(rendered.value)) return refuse(`cluster ${quote(rendered.value)} is not configured`);
  return { ok: true, name: rendered.value };
}

function labelOf(labels: Record<string, string>, name: string): string {
  return Object.hasOwn(labels, name) ? (labels[name] ?? '') : '';
}

function missing(labels: string[], what: string): string {
  return `the alert has no label ${labels.join(', ')}, which names the ${what}`;
}

function refuse(reason: string): { ok: false; reason: string } {
  return { ok: false, reason };
}

/** Text of an alert for a reason: no control or bidirectional characters, cut to a length. */
function quote(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '');
  const characters = [...clean];
  return `"${characters.slice(0, MAX_ECHO_LENGTH - 1).join('')}${characters.length >= MAX_ECHO_LENGTH ? '…' : ''}"`;
}
