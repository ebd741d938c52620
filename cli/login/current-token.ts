import { refresh } from './sign-in.ts';
import { readLogin, type SavedLogin, whileLocked, writeLogin } from './store.ts';

/** A token that ends sooner could end on its way, or while an action is tried. */
const FRESH_FOR_MS = 60_000;

/**
 * The ID token of the saved sign-in at a server, refreshed where it is about to expire; undefined where nobody has signed in.
 * @throws CliError where the sign-in has ended.
 */
export async function currentToken(configDir: string, server: URL): Promise<string | undefined> {
  const login = await readLogin(configDir, server);
  if (login === undefined || isFresh(login)) return login?.idToken;
  return whileLocked(configDir, async () => {
    // Another command may have refreshed it while this one waited.
    const latest = await readLogin(configDir, server);
    if (latest === undefined || isFresh(latest)) return latest?.idToken;
    const renewed = await refresh(latest);
    await writeLogin(configDir, server, renewed);
    return renewed.idToken;
  });
}

function isFresh({ expiresAtMs }: SavedLogin): boolean {
  return expiresAtMs - Date.now() > FRESH_FOR_MS;
}
