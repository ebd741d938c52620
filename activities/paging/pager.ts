import type { PageInput } from '../contract.ts';

export type PageAction = 'acknowledge' | 'resolve';

/** What names a page at a vendor. */
export type PageKey = Pick<PageInput, 'incidentId' | 'role' | 'dedupKey'>;

/**
 * One way to reach a person. Both calls throw ApplicationFailure only and may be repeated: the vendor is given the same
 * key every time, so one that dedupes shows one page.
 */
export interface Pager {
  /** Shown to people and kept in records; never a URL or a key. */
  name: string;
  /** Ends once the vendor has taken responsibility for the page; `reference` is the vendor's name for it. */
  send(page: PageInput): Promise<{ reference: string }>;
  /** A page the vendor does not know is no error. */
  update(page: PageKey, action: PageAction): Promise<void>;
}

/** Of one request. A vendor that takes longer is given up on, since another channel may reach somebody now. */
export const DEFAULT_PAGER_TIMEOUT_MS = 10_000;
