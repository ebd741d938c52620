import { stripControl, truncate } from './plain-text.ts';
import { type Target, WORKLOAD_KINDS } from './target.ts';
import { isObjectName } from './target-reference.ts';

/**
 * What a person did to a workload with a kubeconfig alone, on a day when nothing else answered: written on the workload
 * itself, so that it becomes an incident when Firebreak runs again. Anybody who may patch the workload can write it, so it
 * is read as text that others wrote.
 */

/** Annotation on the workload: a JSON list of records, newest last. */
export const EMERGENCY_ANNOTATION = 'firebreak.dev/emergency';

/**
 * Annotation on the breaker's ConfigMap of the namespace: a JSON list of the workloads that have records, `Deployment/llm-api`.
 * With it nobody needs the right to list workloads, or reads all of them, to find the few.
 */
export const EMERGENCIES_ANNOTATION = 'firebreak.dev/emergencies';

export interface EmergencyRecord {
  /** `emergency-<time>-<random>`; also the id of the command that wrote the breaker. */
  id: string;
  what: 'divert' | 'rollback';
  /** RFC 3339. */
  at: string;
  by: EmergencyActor;
  reason: string;
  /** begun: written before anything was changed; where it stays so, nobody knows how it ended. */
  state: 'begun' | 'done' | 'failed';
  before: string;
  after: string;
  /** How it ended, where there is more to say. */
  detail?: string;
  /** Which incident took it up. */
  reconciled?: { at: string; incident: string };
}

/** Who it was, from the strongest statement to the weakest. */
export interface EmergencyActor {
  /** As the API server says who these credentials are. */
  api?: string;
  /** The kubeconfig's user. */
  kubeconfig?: string;
  /** User of the machine. */
  os?: string;
  /** The name that the person gave. */
  as?: string;
}

/** A workload whose annotation holds more was in trouble for longer than anybody reads here. */
export const MAX_RECORDS = 10;
/** All annotations of an object together have at most 256 KiB. */
const MAX_TEXT = 300;
/** Above what MAX_RECORDS of ours can weigh, every character of their texts escaped: longer ones are not ours. */
const MAX_ANNOTATION = 96 * 1024;
const ID = /^emergency-[0-9a-z][0-9a-z-]{0,60}$/;

/** More workloads of one namespace in trouble than anybody acts on by hand. */
const MAX_POINTERS = 50;

/** A JSON list, of whatever is in it; empty for anything else. */
function parseList(annotation: string | undefined): unknown[] {
  if (annotation === undefined || annotation.length > MAX_ANNOTATION) return [];
  let value: unknown;
  try {
    value = JSON.parse(annotation);
  } catch {
    return [];
  }
  return Array.isArray(value) ? value : [];
}

/** Workloads that an annotation points to; what is none is left out. Never throws. */
export function parsePointers(annotation: string | undefined): Pick<Target, 'kind' | 'name'>[] {
  const found = parseList(annotation).flatMap((one: unknown) => {
    const [kindText, name = '', ...rest] = typeof one === 'string' ? one.split('/') : [];
    const kind = WORKLOAD_KINDS.find((known) => known === kindText);
    return kind !== undefined && rest.length === 0 && isObjectName(name) ? [{ kind, name }] : [];
  });
  return found.slice(-MAX_POINTERS);
}

export function writePointers(pointers: readonly Pick<Target, 'kind' | 'name'>[]): string {
  const texts = pointers.map(({ kind, name }) => `${kind}/${name}`);
  return JSON.stringify([...new Set(texts)].slice(-MAX_POINTERS));
}

/** @param random at least 6 characters of 0-9 and a-z. */
export function emergencyId(nowMs: number, random: string): string {
  const time = new Date(nowMs)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .toLowerCase();
  return `emergency-${time}-${random}`;
}

/** Whether a command that wrote a breaker was one. */
export function isEmergencyCommand(commandId: string | undefined): boolean {
  return commandId !== undefined && ID.test(commandId);
}

/** Records of an annotation, oldest first; what is no record of ours is left out. Never throws. */
export function parseEmergencies(annotation: string | undefined): EmergencyRecord[] {
  return parseList(annotation)
    .slice(-MAX_RECORDS)
    .flatMap((one: unknown) => recordOf(one) ?? []);
}

/** The annotation with this record put in place of the one with its id, or added; bounded. */
export function withEmergency(records: readonly EmergencyRecord[], record: EmergencyRecord): string {
  const bounded = boundRecord(record);
  const known = records.some(({ id }) => id === record.id);
  const all = known
    ? records.map((one) => (one.id === record.id ? bounded : one))
    : [...records.map(boundRecord), bounded];
  while (all.length > MAX_RECORDS) {
    // What became an incident is written down there: it makes room first.
    const reconciled = all.findIndex((one) => one.reconciled !== undefined && one.id !== record.id);
    all.splice(Math.max(reconciled, 0), 1);
  }
  return JSON.stringify(all);
}

/** The name by which people know somebody, strongest statement first. */
export function sayActor({ api, kubeconfig, os, as }: EmergencyActor): string {
  const name = api ?? kubeconfig ?? os ?? 'somebody unknown';
  const others = [
    ...(as === undefined ? [] : [`as ${as}`]),
    ...(os === undefined || os === name ? [] : [`user ${os} of the machine`]),
  ];
  return others.length === 0 ? name : `${name} (${others.join(', ')})`;
}

/** One sentence for a page, a ticket and a timeline. */
export function sayEmergency(record: EmergencyRecord): string {
  const how =
    record.state === 'done'
      ? `${record.before} -> ${record.after}`
      : record.state === 'failed'
        ? `it failed: ${record.detail ?? 'the reason is not recorded'}`
        : `how it ended is not recorded; it was ${record.before} and should become ${record.after}`;
  return `Emergency ${record.what} with a kubeconfig by ${sayActor(record.by)} at ${record.at}: ${how}. Reason: ${record.reason}`;
}

function boundRecord(record: EmergencyRecord): EmergencyRecord {
  const { detail, reconciled } = record;
  return {
    ...record,
    by: actorOf(record.by),
    reason: bound(record.reason),
    before: bound(record.before),
    after: bound(record.after),
    ...(detail === undefined ? {} : { detail: bound(detail) }),
    ...(reconciled === undefined ? {} : { reconciled: reconciledOf(reconciled) }),
  };
}

function recordOf(value: unknown): EmergencyRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, what, at, by, reason, state, before, after, detail, reconciled } = value as Record<
    string,
    unknown
  >;
  if (typeof id !== 'string' || !ID.test(id)) return undefined;
  if (what !== 'divert' && what !== 'rollback') return undefined;
  if (state !== 'begun' && state !== 'done' && state !== 'failed') return undefined;
  if (typeof at !== 'string' || Number.isNaN(Date.parse(at))) return undefined;
  const done = reconciledOf(reconciled);
  return {
    id,
    what,
    at: new Date(Date.parse(at)).toISOString(),
    by: actorOf(by),
    reason: textOf(reason),
    state,
    before: textOf(before),
    after: textOf(after),
    ...(detail === undefined ? {} : { detail: textOf(detail) }),
    ...(done === undefined ? {} : { reconciled: done }),
  };
}

function reconciledOf(value: unknown): EmergencyRecord['reconciled'] {
  if (typeof value !== 'object' || value === null) return undefined;
  const { at, incident } = value as Record<string, unknown>;
  return { at: textOf(at), incident: textOf(incident) };
}

function actorOf(value: unknown): EmergencyActor {
  const { api, kubeconfig, os, as } = (
    typeof value === 'object' && value !== null ? value : {}
  ) as EmergencyActor;
  const given = Object.entries({ api, kubeconfig, os, as }).filter(
    ([, text]) => typeof text === 'string' && text !== '',
  );
  return Object.fromEntries(given.map(([name, text]) => [name, bound(String(text))]));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? bound(value) : '';
}

function bound(text: string): string {
  return truncate(stripControl(text), MAX_TEXT);
}
