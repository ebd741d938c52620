import type { RawBackendRef, RouteBreaker, RouteMemory } from './route-weights.ts';

/** On an HTTPRoute, while a breaker changes its weights: what its backends were, and by which breakers they are others now. */
export const ORIGINAL_BACKENDS_ANNOTATION = 'firebreak.dev/original-backends';

/** @returns undefined for an annotation that cannot be read: somebody edited it. An absent one remembers nothing. */
export function readMemory(text: string | undefined): RouteMemory | undefined {
  if (text === undefined) return { breakers: {}, rules: [] };
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || !isObject(value.breakers) || !Array.isArray(value.rules)) return undefined;
    const { breakers, rules } = value;
    if (!Object.values(breakers).every(isBreaker) || !rules.every(isRule)) return undefined;
    return { breakers: breakers as Record<string, RouteBreaker>, rules };
  } catch {
    return undefined;
  }
}

export function writeMemory(memory: RouteMemory): string {
  return JSON.stringify(memory);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBreaker(value: unknown): value is RouteBreaker {
  if (!isObject(value)) return false;
  const { state, since, share, services, fallback } = value;
  return (
    (state === 'open' || state === 'half-open') &&
    typeof since === 'string' &&
    !Number.isNaN(Date.parse(since)) &&
    typeof share === 'number' &&
    share >= 0 &&
    share <= 1 &&
    Array.isArray(services) &&
    services.every((name) => typeof name === 'string') &&
    (fallback === null ||
      (isObject(fallback) && typeof fallback.service === 'string' && isPort(fallback.port)))
  );
}

function isRule(value: unknown): value is RouteMemory['rules'][number] {
  return (
    isObject(value) &&
    Number.isInteger(value.index) &&
    typeof value.rule === 'string' &&
    Array.isArray(value.refs) &&
    value.refs.every(isRef)
  );
}

function isRef(value: unknown): value is RawBackendRef {
  return (
    isObject(value) &&
    typeof value.name === 'string' &&
    isPort(value.port) &&
    (value.weight === undefined || (typeof value.weight === 'number' && value.weight >= 0))
  );
}

function isPort(value: unknown): boolean {
  return value === undefined || Number.isInteger(value);
}
