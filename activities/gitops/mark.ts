import { z } from 'zod';
import type { RawMetadata } from '../kubernetes/raw-objects.ts';

/** On the tool's object: that its sync is suspended, what it was before, and for whom. JSON. */
export const SUSPENDED_ANNOTATION = 'firebreak.dev/suspended';

/** On the workload: which objects are suspended for it, so that they are found again by the workload alone. JSON. */
export const SUSPENDED_SYNC_ANNOTATION = 'firebreak.dev/suspended-sync';

/** Workloads of one application whose rollbacks hold its sync at once; an annotation has room for many more. */
export const MAX_HOLDERS = 50;

/** More rollbacks than a day has, while nobody resumed anything. */
const MAX_ALSO_BAD = 20;

const short = z.string().max(512);

const holder = z.object({
  /** `targetKey` of the workload. */
  target: short,
  incident: short,
  /** Hash of the plan that people approved. */
  plan: short,
  /** When it was suspended (RFC 3339). */
  since: short,
  /** What Git had then: it renders the template below. Absent where the tool did not say. */
  badRevision: short.optional(),
  /** Of earlier rollbacks of the workload while the object stayed suspended: newest first. */
  alsoBad: z.array(short).max(MAX_ALSO_BAD).optional(),
  /** Hash of the template that was rolled back from. */
  bad: short,
  /** Hash of the template that was rolled back to. */
  good: short,
  /**
   * The revision at which the tool said that Git renders another template than runs, since the rollback: without having
   * seen that, "in sync" could mean that the tool does not look at templates.
   */
  differedAt: short.optional(),
  /** Whether the tool called the workload in sync then: only with that does a later difference mean the template. */
  inSyncBefore: z.boolean().optional(),
});

const mark = z.object({
  /** JSON of the field before it was changed. */
  was: z.string().max(4_096),
  holders: z.array(holder).min(1).max(MAX_HOLDERS),
});

export type Holder = z.output<typeof holder>;
export type Mark = z.output<typeof mark>;

/** @returns undefined where there is none; `unreadable` where what is there was not written by this code. */
export function readMark({
  annotations = {},
}: Pick<RawMetadata, 'annotations'>): Mark | 'unreadable' | undefined {
  const text = annotations[SUSPENDED_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    return mark.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

/** With the holder added, or in the place of the target's former one: a target holds an object once. */
export function withHolder(before: Mark | undefined, was: string, added: Holder): Mark {
  const others = before?.holders.filter(({ target }) => target !== added.target) ?? [];
  return { was: before?.was ?? was, holders: [...others, added] };
}

/** Revisions of an earlier hold that stay bad when a new one takes its place. */
export function alsoBadAfter(earlier: Holder | undefined, badRevision: string | undefined): string[] {
  const all = [earlier?.badRevision, ...(earlier?.alsoBad ?? [])];
  const kept = all.filter((revision) => revision !== undefined && revision !== badRevision);
  return [...new Set(kept as string[])].slice(0, MAX_ALSO_BAD);
}

/** Without a target's holder; undefined when nobody is left. */
export function withoutHolder(before: Mark, target: string): Mark | undefined {
  const holders = before.holders.filter((other) => other.target !== target);
  return holders.length === 0 ? undefined : { ...before, holders };
}

/** JSON Patch that sets an annotation, or removes it. The map is made where there is none. */
export function annotationPatch(
  { annotations }: Pick<RawMetadata, 'annotations'>,
  key: string,
  value: string | undefined,
): object[] {
  const path = `/metadata/annotations/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  if (value === undefined) {
    return annotations !== undefined && Object.hasOwn(annotations, key) ? [{ op: 'remove', path }] : [];
  }
  return [
    ...(annotations === undefined ? [{ op: 'add', path: '/metadata/annotations', value: {} }] : []),
    { op: 'add', path, value },
  ];
}
