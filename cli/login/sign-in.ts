/** Signing in at the installation's OpenID Connect issuer, with openid-client. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as oidc from 'openid-client';
import { CliError, EXIT } from '../exit-codes.ts';
import { plain } from '../output.ts';
import type { SavedLogin } from './store.ts';

/** Somebody has to find a password, a phone and a key. */
const BROWSER_TIMEOUT_MS = 5 * 60_000;
/** Issuers answer discovery and tokens within a second or two. */
const TIMEOUT_SECONDS = 15;
const CALLBACK = '/callback';

/** Where an installation signs people in, as GET /api/v1/login says. */
export interface LoginInfo {
  issuer: string;
  clientId: string;
  scopes: readonly string[];
}

export interface SignInOptions {
  /** Shows the person something: progress, addresses, codes. */
  tell(text: string): void;
  /** Opens an address in a browser; absent: the person does. */
  openBrowser?: ((url: string) => Promise<unknown>) | undefined;
}

/**
 * Authorization code with PKCE over a loopback redirect (RFC 8252, 7.3: http://127.0.0.1 and any port).
 * @throws CliError.
 */
export async function signInWithBrowser(info: LoginInfo, options: SignInOptions): Promise<SavedLogin> {
  const config = await discover(info);
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const nonce = oidc.randomNonce();
  const codeChallenge = await oidc.calculatePKCECodeChallenge(verifier);
  const listener = await listenForCallback(state);
  try {
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: `${listener.origin}${CALLBACK}`,
      scope: info.scopes.join(' '),
      code_challenge: codeChallenge,
      code_challenge_method: 'S256',
      state,
      nonce,
      // OpenID Connect Core 1.0, 11: offline_access is ignored without consent.
      ...(info.scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
    });
    options.tell(`Sign in here:\n  ${plain(url.href)}`);
    // Where no browser opens, the person has the address.
    await options.openBrowser?.(url.href).catch(() => undefined);
    const callback = await listener.callback;
    const tokens = await oidc
      .authorizationCodeGrant(config, callback, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
      })
      .catch(failed);
    return savedLogin(info, tokens);
  } finally {
    listener.close();
  }
}

/** Device flow (RFC 8628), for machines without a browser. @throws CliError. */
export async function signInWithDevice(info: LoginInfo, options: SignInOptions): Promise<SavedLogin> {
  const config = await discover(info);
  const device = await oidc
    .initiateDeviceAuthorization(config, { scope: info.scopes.join(' ') })
    .catch(failed);
  options.tell(
    `Open ${plain(device.verification_uri)} on any device and enter the code ${plain(device.user_code)}` +
      (device.verification_uri_complete ? `\n  or open ${plain(device.verification_uri_complete)}` : ''),
  );
  return savedLogin(info, await oidc.pollDeviceAuthorizationGrant(config, device).catch(failed));
}

/** A new ID token for an old sign-in. @throws CliError. */
export async function refresh(login: SavedLogin): Promise<SavedLogin> {
  if (login.refreshToken === undefined) throw signInAgain();
  const config = await discover(login);
  const tokens = await oidc.refreshTokenGrant(config, login.refreshToken).catch((error: unknown) => {
    // RFC 6749, 5.2: expired, revoked, or used before.
    throw (error as { error?: unknown }).error === 'invalid_grant' ? signInAgain() : failure(error);
  });
  // Both may stay away from the answer: the old refresh token goes on then; without an ID token there is nothing to show.
  if (tokens.id_token === undefined) throw signInAgain();
  return savedLogin(login, tokens, login.refreshToken);
}

/** Tells the issuer that the sign-in is over. @returns false where it could not be told. */
export async function revoke(login: SavedLogin): Promise<boolean> {
  if (login.refreshToken === undefined) return true;
  try {
    const config = await discover(login);
    if (config.serverMetadata().revocation_endpoint === undefined) return false;
    await oidc.tokenRevocation(config, login.refreshToken, { token_type_hint: 'refresh_token' });
    return true;
  } catch {
    return false;
  }
}

async function discover({ issuer, clientId }: Pick<LoginInfo, 'issuer' | 'clientId'>) {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const loopback = url !== undefined && /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(url.hostname);
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && loopback))) {
    throw new CliError(EXIT.refused, 'issuer_unsafe', 'The server names an issuer that is not https.');
  }
  const insecure = url.protocol === 'http:' ? { execute: [oidc.allowInsecureRequests] } : {};
  return await oidc
    .discovery(url, clientId, undefined, oidc.None(), { timeout: TIMEOUT_SECONDS, ...insecure })
    .catch(failed);
}

function savedLogin(
  { issuer, clientId, scopes }: LoginInfo,
  tokens: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers,
  formerRefreshToken?: string,
): SavedLogin {
  const claims = tokens.claims();
  if (tokens.id_token === undefined || claims === undefined) {
    throw new CliError(
      EXIT.failed,
      'no_id_token',
      'The issuer gave no ID token.',
      'Does the client have the scope openid?',
    );
  }
  const refreshToken = tokens.refresh_token ?? formerRefreshToken;
  return {
    issuer,
    clientId,
    scopes: [...scopes],
    idToken: tokens.id_token,
    ...(refreshToken === undefined ? {} : { refreshToken }),
    expiresAtMs: claims.exp * 1_000,
  };
}

/** One redirect with our `state` is taken; whatever else is asked of the port is answered 404. */
async function listenForCallback(
  state: string,
): Promise<{ origin: string; callback: Promise<URL>; close(): void }> {
  const { promise, resolve, reject } = Promise.withResolvers<URL>();
  // Nobody waits for it yet when the address is being shown.
  promise.catch(() => undefined);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', origin);
    const ours =
      request.method === 'GET' && url.pathname === CALLBACK && url.searchParams.get('state') === state;
    response.writeHead(ours ? 200 : 404, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'",
      'cache-control': 'no-store',
      connection: 'close',
    });
    response.end(
      ours
        ? '<!doctype html><title>Firebreak</title><p>You can close this window: the command line goes on.'
        : '<!doctype html><title>Firebreak</title><p>Nothing is here.',
    );
    if (ours) resolve(url);
  });
  let origin = '';
  const timer = setTimeout(
    () => reject(new CliError(EXIT.failed, 'login_timeout', 'Nobody signed in within five minutes.')),
    BROWSER_TIMEOUT_MS,
  );
  await new Promise<void>((listening, refused) => {
    server.once('error', refused);
    server.listen(0, '127.0.0.1', listening);
  });
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    callback: promise,
    close() {
      clearTimeout(timer);
      server.close();
      server.closeAllConnections();
    },
  };
}

function signInAgain(): CliError {
  return new CliError(
    EXIT.refused,
    'login_expired',
    'The sign-in has ended.',
    'Sign in again: firebreak login',
  );
}

/** What an issuer says (`error`, RFC 6749) is a word of a list; its descriptions are texts of anybody. */
function failure(error: unknown): CliError {
  if (error instanceof CliError) return error;
  const { error: said, code } = error as { error?: unknown; code?: unknown };
  if (typeof said === 'string') {
    return new CliError(
      EXIT.refused,
      'login_refused',
      `The issuer refused: ${plain(said).slice(0, 80)}.`,
      said === 'access_denied' ? undefined : 'See docs/access.md for how the client is set up there.',
    );
  }
  const word = typeof code === 'string' ? ` (${plain(code).slice(0, 80)})` : '';
  return new CliError(
    EXIT.unavailable,
    'issuer_unreachable',
    `The issuer does not answer as it should${word}.`,
  );
}

function failed(error: unknown): never {
  throw failure(error);
}
