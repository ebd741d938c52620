import type { Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../workflows/messages.ts';

/** `INDEXED_VALUE_TYPE_KEYWORD` of the Temporal API. */
const KEYWORD = 2;

/**
 * Registers the search attributes that are missing, where that is allowed (self-hosted servers).
 * @returns the names that are still missing, and why: each start of an incident would be refused.
 */
export async function registerSearchAttributes(
  client: Client,
): Promise<{ missing: string[]; problem?: string }> {
  const { namespace } = client.options;
  const names = Object.values(SEARCH_ATTRIBUTES);
  const listed = await client.connection.operatorService.listSearchAttributes({ namespace });
  const missing = names.filter((name) => !(name in (listed.customAttributes ?? {})));
  if (missing.length === 0) return { missing };
  try {
    await client.connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
    return { missing: [] };
  } catch (error) {
    return { missing, problem: error instanceof Error ? error.message : String(error) };
  }
}
