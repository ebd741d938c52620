import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../workflows/messages.ts';

/** A server that accepts a call and says nothing must not keep the worker from trying again. */
const DEADLINE_MS = 20_000;
/** `INDEXED_VALUE_TYPE_KEYWORD` of the Temporal API. */
const KEYWORD = 2;

/**
 * Registers the search attributes that are missing, where that is allowed (self-hosted servers).
 * @returns the names that are still missing, and why: each start of an incident would be refused.
 * @throws gRPC's error where Temporal does not say in time which there are.
 */
export async function registerSearchAttributes(
  client: Client,
): Promise<{ missing: string[]; problem?: string }> {
  const { namespace } = client.options;
  const { operatorService } = client.connection;
  const soon = <T>(call: () => Promise<T>) => client.connection.withDeadline(Date.now() + DEADLINE_MS, call);
  const names = Object.values(SEARCH_ATTRIBUTES);
  const listed = await soon(() => operatorService.listSearchAttributes({ namespace }));
  const missing = names.filter((name) => !(name in (listed.customAttributes ?? {})));
  if (missing.length === 0) return { missing };
  try {
    await soon(() =>
      operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
      }),
    );
    return { missing: [] };
  } catch (error) {
    return { missing, problem: error instanceof Error ? error.message : String(error) };
  }
}
