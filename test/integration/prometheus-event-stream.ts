/**
 * Pods that serve, classify, restart and vanish, event by event, and a Prometheus that scrapes them as well as it can. What
 * can be known of the events from the scrapes is told here from the events themselves, by no code of the counting.
 *
 * Times are milliseconds, T0 is 0.
 */
import fc from 'fast-check';
import type { WrittenSeries } from './prometheus-remote-write.ts';

export const BEGIN_MS = -290_000;
const COUNTERS = {
  requests: 'ai_requests_total',
  classified: 'ai_outputs_classified_total',
  harmful: 'ai_harmful_outputs_total',
} as const;
export type CounterName = keyof typeof COUNTERS;
export type Counts = Record<CounterName, number>;

const seconds = (min: number, max: number) => fc.integer({ min, max }).map((s) => s * 1_000);

const podArb = fc.record({
  revision: fc.constantFrom('old', 'new'),
  startMs: seconds(-280, 200),
  /** How long it lives; undefined: to the end. */
  livesMs: fc.option(seconds(5, 500), { nil: undefined }),
  /** Kubernetes tells when it started. */
  startKnown: fc.boolean(),
  /** Its process starts anew so long after the start of the pod. */
  restartsMs: fc.array(seconds(5, 400), { maxLength: 3 }),
  perSecond: fc.constantFrom(0.3, 1, 4),
  harmShare: fc.constantFrom(0, 0.05, 0.5, 1),
  /** From an output to its classification. */
  lagMs: fc.integer({ min: 0, max: 20_000 }),
  /** Counters of harm are exposed from their first increment on, and not at zero before. */
  lazy: fc.boolean(),
  /** The process forgets one of its counters of harm, which begins anew with the next such output. */
  forgetsMs: fc.option(seconds(10, 400), { nil: undefined }),
  offset: fc.double({ min: 0, max: 0.999, noNaN: true }),
  jitterMs: fc.constantFrom(0, 50, 700),
  /** A scrape is missed when its number modulo the length hits one. */
  missed: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }),
  /** Prometheus marks the end of series; senders that stop do not. */
  marksEnds: fc.boolean(),
  seed: fc.nat(),
});
export type Pod = typeof podArb extends fc.Arbitrary<infer T> ? T : never;

export const streamArb = fc.record({
  pods: fc.array(podArb, { minLength: 1, maxLength: 4 }),
  intervalMs: fc.constantFrom(5_000, 15_000, 30_000),
  atMs: seconds(60, 280),
  /** By how much the clock of Kubernetes is ahead of Prometheus'. */
  podClockAheadMs: fc.constantFrom(0, 0, 600_000, -600_000),
});
export type Stream = typeof streamArb extends fc.Arbitrary<infer T> ? T : never;

/** Numbers in [0, 1) that look random: mulberry32, in the public domain. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Event {
  counter: CounterName;
  /** Of harm. */
  category: 'a' | 'b';
  tMs: number;
}

/** A process of a pod, from its start to its end: its counters begin at zero. */
interface Life {
  fromMs: number;
  untilMs: number;
  events: Event[];
}

export interface ServedPod {
  pod: Pod;
  name: string;
  alive: boolean;
  /** As Kubernetes tells it. */
  startedAtMs: number | undefined;
  lives: Life[];
  scrapes: number[];
  /** When counter `a` of harm is forgotten; undefined: never. */
  forgetsAtMs: number | undefined;
}

/** Lets the pods of a stream serve until its end, and scrapes them. */
export function serve({ pods, intervalMs, atMs, podClockAheadMs }: Stream): ServedPod[] {
  return pods.map((pod, index) => {
    const endMs = pod.livesMs === undefined ? Number.POSITIVE_INFINITY : pod.startMs + pod.livesMs;
    const alive = endMs > atMs && pod.startMs <= atMs;
    const scrapes = scrapesOf(pod, intervalMs, endMs, atMs);
    let restarts = [...new Set(pod.restartsMs)]
      .map((afterMs) => pod.startMs + afterMs)
      .filter((tMs) => tMs < Math.min(endMs, atMs))
      .sort((a, b) => a - b);
    let lives = livesOf(pod, restarts, endMs, atMs);
    // Restarts that no counter shows are another test's.
    for (
      let hidden = hiddenRestart(lives, scrapes);
      hidden !== undefined;
      hidden = hiddenRestart(lives, scrapes)
    ) {
      const gone = hidden;
      restarts = restarts.filter((tMs) => tMs !== gone);
      lives = livesOf(pod, restarts, endMs, atMs);
    }
    const known = alive && pod.startKnown;
    return {
      pod,
      name: `${pod.revision}-rs-${index}`,
      alive,
      startedAtMs: known ? pod.startMs + podClockAheadMs : undefined,
      lives,
      scrapes,
      forgetsAtMs: forgettingOf(pod, lives, scrapes),
    };
  });
}

function scrapesOf(pod: Pod, intervalMs: number, endMs: number, atMs: number): number[] {
  const random = randomFrom(pod.seed ^ 0x5bd1e995);
  const times: number[] = [];
  const first = Math.ceil(BEGIN_MS / intervalMs);
  for (let number = first; number * intervalMs <= atMs; number += 1) {
    const tMs = Math.round((number + pod.offset) * intervalMs + random() * pod.jitterMs);
    const missed = pod.missed.includes((((number - first) % 10) + 10) % 10);
    if (!missed && tMs >= Math.max(BEGIN_MS, pod.startMs) && tMs < endMs && tMs <= atMs) times.push(tMs);
  }
  return times;
}

function livesOf(pod: Pod, restarts: number[], endMs: number, atMs: number): Life[] {
  const random = randomFrom(pod.seed);
  const edges = [pod.startMs, ...restarts];
  return edges.map((fromMs, index) => {
    const untilMs = edges[index + 1] ?? endMs;
    const events: Event[] = [];
    const lastMs = Math.min(untilMs, atMs);
    for (let tMs = fromMs; ; ) {
      tMs += -Math.log(1 - random()) * (1_000 / pod.perSecond);
      const [harmful, category] = [
        random() < pod.harmShare,
        random() < 0.5 ? ('a' as const) : ('b' as const),
      ];
      if (tMs >= lastMs) break;
      events.push({ counter: 'requests', category, tMs });
      const classifiedMs = tMs + pod.lagMs;
      if (classifiedMs >= lastMs) continue;
      events.push({ counter: 'classified', category, tMs: classifiedMs });
      if (harmful) events.push({ counter: 'harmful', category, tMs: classifiedMs });
    }
    return { fromMs, untilMs, events };
  });
}

/** A restart after which the counter of requests is no lower at the next scrape than it was at the one before. */
function hiddenRestart(lives: Life[], scrapes: number[]): number | undefined {
  const requestsAt = (tMs: number) => {
    const life = lives.find(({ fromMs, untilMs }) => fromMs <= tMs && tMs < untilMs);
    return life?.events.filter((event) => event.counter === 'requests' && event.tMs <= tMs).length ?? 0;
  };
  for (const { fromMs } of lives.slice(1)) {
    const before = scrapes.findLast((tMs) => tMs < fromMs);
    const after = scrapes.find((tMs) => tMs >= fromMs);
    if (before !== undefined && after !== undefined && requestsAt(after) >= requestsAt(before)) return fromMs;
  }
  return undefined;
}

/** A counter that is back before anybody saw it gone was never gone, as far as can be told. */
function forgettingOf(pod: Pod, lives: Life[], scrapes: number[]): number | undefined {
  if (pod.forgetsMs === undefined) return undefined;
  const tMs = pod.startMs + pod.forgetsMs;
  const life = lives.find(({ fromMs, untilMs }) => fromMs <= tMs && tMs < untilMs);
  const next = life?.events.find((event) => isOfA(event) && event.tMs > tMs);
  const backMs = next?.tMs ?? life?.untilMs ?? tMs;
  return scrapes.some((scrapeMs) => scrapeMs >= tMs && scrapeMs < backMs) ? tMs : undefined;
}

const isOfA = ({ counter, category }: Event) => counter === 'harmful' && category === 'a';

/** Series as Prometheus would have them, markers included. `shiftMs`: where T0 is. */
export function seriesOf(
  served: ServedPod,
  labels: Record<string, string>,
  shiftMs: number,
): WrittenSeries[] {
  const { pod, name, scrapes } = served;
  const kinds = [
    { counter: 'requests' as const, category: undefined },
    { counter: 'classified' as const, category: undefined },
    { counter: 'harmful' as const, category: 'a' as const },
    { counter: 'harmful' as const, category: 'b' as const },
  ];
  return kinds.map(({ counter, category }) => {
    const samples: WrittenSeries['samples'] = [];
    for (const tMs of scrapes) {
      const value = valueAt(served, counter, category, tMs);
      const exposed = value > 0 || category === undefined || !isForgotten(served, category, tMs);
      if (exposed) samples.push({ tMs: tMs + shiftMs, value });
      else if (pod.marksEnds && samples.length > 0 && samples.at(-1)?.value !== 'stale')
        samples.push({ tMs: tMs + shiftMs, value: 'stale' });
    }
    const lastMs = scrapes.at(-1);
    if (pod.marksEnds && !served.alive && lastMs !== undefined && samples.length > 0)
      samples.push({ tMs: lastMs + shiftMs + 1_000, value: 'stale' });
    return {
      labels: {
        ...labels,
        __name__: COUNTERS[counter],
        pod: name,
        instance: `${name}:8080`,
        ...(category ? { category } : {}),
      },
      samples,
    };
  });
}

function isForgotten({ pod, lives, forgetsAtMs }: ServedPod, category: 'a' | 'b', tMs: number): boolean {
  if (pod.lazy) return true;
  const life = lives.find(({ fromMs, untilMs }) => fromMs <= tMs && tMs < untilMs);
  const forgot = forgetsAtMs !== undefined && forgetsAtMs <= tMs && forgetsAtMs >= (life?.fromMs ?? 0);
  return category === 'a' && forgot;
}

function valueAt(
  { lives, forgetsAtMs }: ServedPod,
  counter: CounterName,
  category: 'a' | 'b' | undefined,
  tMs: number,
): number {
  const life = lives.find(({ fromMs, untilMs }) => fromMs <= tMs && tMs < untilMs);
  const forgotMs =
    category === 'a' && forgetsAtMs !== undefined && forgetsAtMs <= tMs
      ? forgetsAtMs
      : Number.NEGATIVE_INFINITY;
  return (
    life?.events.filter(
      (event) =>
        event.counter === counter &&
        (category === undefined || event.category === category) &&
        event.tMs <= tMs &&
        event.tMs > forgotMs,
    ).length ?? 0
  );
}

/** Events of a counter after one time that a scrape up to another time has seen before they were lost. */
export function seen(served: ServedPod, counter: CounterName, afterMs: number, untilMs: number): number {
  const { lives, scrapes, forgetsAtMs } = served;
  return lives
    .flatMap((life) =>
      life.events.map((event) => {
        const forgot = isOfA(event) && forgetsAtMs !== undefined && forgetsAtMs >= event.tMs;
        return { event, lostMs: forgot ? Math.min(life.untilMs, forgetsAtMs) : life.untilMs };
      }),
    )
    .filter(
      ({ event, lostMs }) =>
        event.counter === counter &&
        event.tMs > afterMs &&
        scrapes.some((tMs) => tMs >= event.tMs && tMs < lostMs && tMs <= untilMs),
    ).length;
}

/** All events of a counter after one time and up to another, whether or not anybody saw them. */
export function happened(
  { lives }: ServedPod,
  counter: CounterName,
  afterMs: number,
  untilMs: number,
): number {
  return lives
    .flatMap(({ events }) => events)
    .filter((event) => event.counter === counter && event.tMs > afterMs && event.tMs <= untilMs).length;
}

/**
 * From where on the events of a pod can be counted; several where it is a matter of judgement whether a scrape that was
 * late is still a baseline.
 */
export function countableFrom({ pod, scrapes, startedAtMs }: ServedPod, stream: Stream): number[] {
  const firstMs = scrapes.find((tMs) => tMs > 0);
  if (firstMs === undefined) return [Number.POSITIVE_INFINITY];
  const baselineMs = scrapes.findLast((tMs) => tMs <= 0);
  if (baselineMs !== undefined) {
    if (-baselineMs <= stream.intervalMs + pod.jitterMs * 2) return [baselineMs];
    return [baselineMs, firstMs];
  }
  const startIsKnown = startedAtMs !== undefined && stream.podClockAheadMs === 0;
  return startIsKnown && pod.startMs > 0 ? [pod.startMs] : [firstMs];
}
