import { ApplicationFailure } from '@temporalio/common';
import { fail } from '../../failure.ts';
import { bearer, getJson } from './http.ts';
import type { HttpJsonSource, SourceQuestion, SourceRows } from './types.ts';

/** Asks a source that answers docs/samples.md's shape. */
export async function readHttpJson(source: HttpJsonSource, question: SourceQuestion): Promise<SourceRows> {
  const { candidates, wanted, what } = question;
  const ask = (limit: number) =>
    getJson(addressOf(source.url, question, limit), {
      headers: bearer(source.bearerToken),
      timeoutMs: question.timeoutMs,
      what,
    });
  const answer = await ask(candidates).catch((error: unknown) => {
    // More to choose from is better, but not needed: long outputs may fit when only those are asked for.
    const tooLarge = error instanceof ApplicationFailure && error.message.includes('larger than');
    if (!tooLarge || wanted >= candidates) throw error;
    return ask(wanted);
  });
  if (typeof answer !== 'object' || answer === null || !('items' in answer)) {
    throw fail('InvalidInput', `${what}: the answer is not as documented; see docs/samples.md`);
  }
  if (!Array.isArray(answer.items)) {
    throw fail('InvalidInput', `${what}: items is not as documented; see docs/samples.md`);
  }
  return { rows: answer.items, ownShape: true };
}

function addressOf(base: string, { target, fromMs, toMs }: SourceQuestion, limit: number): string {
  const url = new URL(base);
  const query = {
    namespace: target.namespace,
    deployment: target.name,
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    limit: String(limit),
    harmful: 'true',
  };
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  return url.href;
}
