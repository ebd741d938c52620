import { createHash } from 'node:crypto';
import type { BreakerState } from '../../domain/breaker.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';

/**
 * Weights of an HTTPRoute's backends by breakers, and back. Pure: what is read and written is decided here.
 * https://gateway-api.sigs.k8s.io/reference/spec/#httpbackendref
 */

/** As the API's JSON has it, with every field that is not known here. */
export interface RawBackendRef {
  group?: string;
  kind?: string;
  namespace?: string;
  name: string;
  port?: number;
  weight?: number;
  [field: string]: unknown;
}

export interface RawRouteRule {
  backendRefs?: RawBackendRef[];
  [field: string]: unknown;
}

/** A breaker that is not closed, as it changes weights. */
export interface RouteBreaker {
  state: Exclude<BreakerState, 'closed'>;
  /** RFC 3339: tells an older breaker from a newer one. */
  since: string;
  /** Part (0..1) of its weight that the target keeps. */
  share: number;
  /** Services of the target. */
  services: string[];
  /** null: the rest is refused. */
  fallback: { service: string; port?: number } | null;
}

/** What is remembered on a route while any breaker changes it: enough to give everything back. */
export interface RouteMemory {
  /** By the breaker's key, such as `deployment.llm-api`. */
  breakers: Record<string, RouteBreaker>;
  /** The rules that are changed: which one, by its place and a digest of all but its backends, and its own backends. */
  rules: { index: number; rule: string; refs: RawBackendRef[] }[];
}

/**
 * A Service that must not exist: the specification has the part of the requests that goes to a backend which is not there
 * answered with 500. For a half-open breaker without a fallback, as weights alone cannot refuse a part. Whoever makes a
 * Service of that name serves a refusal of his own.
 */
export const REFUSING_SERVICE = 'firebreak-refused';

/** A weight of 1 in a thousandth: shares down to 0.1% can be told. */
const SCALE = 1_000;
/** Largest weight, and most backends of a rule, that the API takes. */
const MAX_WEIGHT = 1_000_000;
const MAX_BACKENDS = 16;

/** What the backends of one rule become. */
export interface Diverted {
  refs: RawBackendRef[];
  problems: string[];
}

/**
 * The backends of a rule by the breakers: each target keeps its share of its own weight, the rest goes to its fallback
 * (added where the rule has none), and other backends keep their part of the whole. Open without a fallback: all weights
 * are 0, which is answered with 500. A fallback that is diverted itself passes on what it gets.
 */
export function divertRefs(
  refs: readonly RawBackendRef[],
  breakers: readonly RouteBreaker[],
  namespace: string,
): Diverted {
  const byService = new Map(breakers.flatMap((breaker) => breaker.services.map((name) => [name, breaker])));
  const serviceOf = (ref: RawBackendRef) => localService(ref, namespace);
  // A target without weight has nothing that could be moved.
  const target = refs.find((ref) => byService.has(serviceOf(ref) ?? '') && weightOf(ref) > 0);
  if (target === undefined) return { refs: [...refs], problems: [] };

  const total = refs.reduce((sum, ref) => sum + weightOf(ref), 0);
  const scale = total * SCALE <= MAX_WEIGHT ? SCALE : (MAX_WEIGHT - MAX_BACKENDS) / total;
  const weights: number[] = refs.map(() => 0);
  const added: RawBackendRef[] = [];
  let refused = 0;
  let refuseAll = false;
  let full = false;

  const put = (amount: number, service: string, port: number | undefined, like: RawBackendRef): boolean => {
    if (amount === 0) return true;
    const own = refs.map((ref, index) => ({ ref, index })).filter(({ ref }) => serviceOf(ref) === service);
    const there = own.find(({ ref }) => ref.port === port) ?? own[0];
    if (there !== undefined) {
      weights[there.index] = (weights[there.index] ?? 0) + amount;
      return true;
    }
    const before = added.find((ref) => ref.name === service && ref.port === port);
    if (before !== undefined) {
      before.weight = weightOf(before) + amount;
      return true;
    }
    if (refs.length + added.length >= MAX_BACKENDS) {
      full = true;
      return false;
    }
    // Filters of the target's backend are not copied: they may rewrite for this one model.
    added.push({
      group: like.group ?? '',
      kind: like.kind ?? 'Service',
      name: service,
      port,
      weight: amount,
    });
    return true;
  };
  /** What a target keeps of an amount; the rest goes to its fallback, which may pass it on. */
  const pour = (amount: number, breaker: RouteBreaker, like: RawBackendRef, seen: RouteBreaker[]): number => {
    const kept = shareOf(amount, breaker);
    const rest = amount - kept;
    if (rest === 0) return kept;
    const { fallback } = breaker;
    const next = fallback === null ? undefined : byService.get(fallback.service);
    const circle = next !== undefined && (next === breaker || seen.includes(next));
    let refusedHere = rest;
    if (fallback !== null && !circle) {
      const onward = next === undefined ? rest : pour(rest, next, like, [...seen, breaker]);
      refusedHere = put(onward, fallback.service, fallback.port ?? like.port, like) ? 0 : onward;
    }
    refused += refusedHere;
    if (refusedHere > 0 && kept === 0) refuseAll = true;
    return kept;
  };

  refs.forEach((ref, index) => {
    const weight = weightOf(ref);
    const amount = weight === 0 ? 0 : Math.max(1, Math.round(weight * scale));
    const breaker = byService.get(serviceOf(ref) ?? '');
    weights[index] =
      (weights[index] ?? 0) + (breaker === undefined ? amount : pour(amount, breaker, ref, []));
  });
  if (!refuseAll && !put(refused, REFUSING_SERVICE, target.port, target)) refuseAll = true;
  const problems = full
    ? [`a rule has ${refs.length} backends, so that none can be added: its requests are refused`]
    : [];
  return {
    refs: [...refs.map((ref, index) => ({ ...ref, weight: weights[index] ?? 0 })), ...added].map((ref) =>
      refuseAll ? { ...ref, weight: 0 } : ref,
    ),
    problems,
  };
}

/** What a route's rules should be, and what is to be remembered of it. */
export interface RouteWanted {
  /** Backends of every rule, in their order; undefined: the rule has none. */
  refs: (RawBackendRef[] | undefined)[];
  /** Indexes of the rules whose backends are others now. */
  differing: number[];
  /** undefined: nothing is changed by any breaker any more. */
  memory: RouteMemory | undefined;
  /** Rules that name a Service of the target, and the weight that these give it when nothing is diverted. */
  rules: number;
  weight: number;
  problems: string[];
}

/**
 * @param namespace the route's.
 * @param rules its rules as they are.
 * @param memory what was remembered when they were written last; empty for a route that is as its owner made it.
 * @param key whose breaker it is.
 * @param services Services of the target.
 * @param breaker undefined: closed.
 */
export function wantedRoute(
  namespace: string,
  rules: readonly RawRouteRule[],
  memory: RouteMemory,
  key: string,
  services: readonly string[],
  breaker: RouteBreaker | undefined,
): RouteWanted {
  const originals = originalRefs(namespace, rules, memory);
  const breakers: Record<string, RouteBreaker> = Object.fromEntries(
    Object.entries(memory.breakers).filter(([other]) => other !== key),
  );
  if (breaker !== undefined) breakers[key] = breaker;
  const active = Object.values(breakers);
  const known = new Set(active.flatMap((one) => one.services));
  const problems: string[] = [];
  const remembered: RouteMemory['rules'] = [];
  const refs = originals.map((original, index) => {
    if (original === undefined) return undefined;
    if (original.some((ref) => known.has(localService(ref, namespace) ?? ''))) {
      remembered.push({ index, rule: ruleKey(rules[index] ?? {}), refs: original });
    }
    const diverted = divertRefs(original, active, namespace);
    problems.push(...diverted.problems);
    return diverted.refs;
  });
  const own = originals.map((original) =>
    (original ?? []).filter((ref) => services.includes(localService(ref, namespace) ?? '')),
  );
  return {
    refs,
    differing: refs.flatMap((wanted, index) =>
      wanted === undefined || sameRefs(wanted, rules[index]?.backendRefs ?? []) ? [] : [index],
    ),
    memory: active.length === 0 ? undefined : { breakers, rules: remembered },
    rules: own.filter((found) => found.length > 0).length,
    weight: own.flat().reduce((sum, ref) => sum + weightOf(ref), 0),
    problems,
  };
}

/**
 * The backends that the owner of the route wants, rule by rule: what is remembered where the rule is as we wrote it or as
 * it was before; otherwise somebody changed it meanwhile, and what is not ours in it is kept.
 */
function originalRefs(
  namespace: string,
  rules: readonly RawRouteRule[],
  memory: RouteMemory,
): (RawBackendRef[] | undefined)[] {
  const active = Object.values(memory.breakers);
  const left = memory.rules.map((entry) => ({
    ...entry,
    written: divertRefs(entry.refs, active, namespace).refs,
  }));
  const found = new Map<number, (typeof left)[number]>();
  // The surest sign first: two rules may have the same matches, and others may have been put before them.
  const signs: ((
    entry: (typeof left)[number],
    rule: string,
    refs: RawBackendRef[],
    index: number,
  ) => boolean)[] = [
    (entry, rule, refs, index) =>
      entry.index === index && entry.rule === rule && sameRefs(entry.written, refs),
    (entry, rule, refs) => entry.rule === rule && sameRefs(entry.written, refs),
    (entry, rule) => entry.rule === rule,
    // A rule whose matches were edited is still known by its backends.
    (entry, _rule, refs) => sameRefs(entry.written, refs),
  ];
  for (const isIt of signs) {
    rules.forEach((rule, index) => {
      const { backendRefs } = rule;
      if (backendRefs === undefined || found.has(index)) return;
      const at = left.findIndex((entry) => isIt(entry, ruleKey(rule), backendRefs, index));
      const [entry] = at < 0 ? [] : left.splice(at, 1);
      if (entry !== undefined) found.set(index, entry);
    });
  }
  return rules.map(({ backendRefs }, index) => {
    const entry = found.get(index);
    return backendRefs === undefined || entry === undefined
      ? backendRefs
      : unwritten(backendRefs, entry.refs, entry.written);
  });
}

function unwritten(
  now: readonly RawBackendRef[],
  original: readonly RawBackendRef[],
  written: readonly RawBackendRef[],
): RawBackendRef[] {
  if (sameRefs(now, written) || sameRefs(now, original)) return [...original];
  const added = written.slice(original.length).map(identity);
  // None of what we added is there: somebody applied a manifest of his own, whose weights are his.
  if (added.length > 0 && !now.some((ref) => added.includes(identity(ref)))) return [...now];
  // Weights of known backends are the remembered ones: those that stand there may be ours, or fiddled with.
  const known = original.map((ref) => ({ ref, id: identity(ref) }));
  return now.flatMap((ref) => {
    const id = identity(ref);
    const index = known.findIndex((one) => one.id === id);
    if (index >= 0) return known.splice(index, 1).map((one) => one.ref);
    return added.includes(id) ? [] : [ref];
  });
}

/** All of a rule but its backends. */
function ruleKey({ backendRefs: _backends, ...rest }: RawRouteRule): string {
  return createHash('sha256').update(canonicalJson(rest)).digest('hex').slice(0, 16);
}

function identity({ weight: _weight, ...rest }: RawBackendRef): string {
  return canonicalJson({ group: '', kind: 'Service', ...rest });
}

export function sameRefs(one: readonly RawBackendRef[], other: readonly RawBackendRef[]): boolean {
  const plain = (refs: readonly RawBackendRef[]) =>
    canonicalJson(refs.map((ref) => ({ group: '', kind: 'Service', weight: 1, ...ref })));
  return one.length === other.length && plain(one) === plain(other);
}

/** The name of the Service in the route's own namespace that is meant; undefined for anything else. */
function localService(
  { group = '', kind = 'Service', namespace: of, name }: RawBackendRef,
  namespace: string,
): string | undefined {
  return group === '' && kind === 'Service' && (of === undefined || of === namespace) ? name : undefined;
}

/** The API's default is 1. */
function weightOf({ weight }: RawBackendRef): number {
  return weight ?? 1;
}

/** A share above 0 keeps something, however small: a verification needs traffic. */
function shareOf(amount: number, { state, share }: RouteBreaker): number {
  if (state === 'open' || !(share > 0) || amount === 0) return 0;
  return Math.min(amount, Math.max(1, Math.round(amount * share)));
}
