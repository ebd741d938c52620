import type { Calls } from './calls.ts';

/** Who the app is in the workspace; asked once. */
export function createOwnUser(): (calls: Calls) => Promise<string | undefined> {
  let known: string | undefined;
  return async (calls) => {
    known ??= (await calls.call('auth.test', (client) => client.auth.test())).user_id;
    return known;
  };
}
