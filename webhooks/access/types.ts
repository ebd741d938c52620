import type { FirebreakConfig } from '../../worker/config/schema.ts';

export type AccessConfig = FirebreakConfig['access'];

/** A person as the edges know them: no tokens. */
export interface Person {
  id: string;
  name: string;
  groups: readonly string[];
}

/** `unavailable`: who it is could not be asked, which is no answer. `reason` never holds a token or an address. */
export type Authentication = { ok: true; person: Person } | { ok: false; reason: string; unavailable?: true };
