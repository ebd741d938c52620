/** A real OpenID provider (npm oidc-provider, certified) on loopback, and somebody who signs in at it as a browser would. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';
import { Provider } from 'oidc-provider';

export const CLIENT_ID = 'firebreak-cli';
/** Redirects and pages of one sign-in; more is a loop. */
const MAX_HOPS = 25;

export interface Account {
  email?: string;
  email_verified?: boolean;
}
type Key = Awaited<ReturnType<typeof newKey>>;

export interface Issuer {
  issuer: string;
  /** By subject; whom `signIn` signs in. */
  accounts: Map<string, Account>;
  /** Answers every request with 503 while set. */
  down: boolean;
  /** Paths that were asked. */
  requests: string[];
  /** Signs in at this address and follows redirects to their end. @returns the last address and its answer. */
  signIn(url: string, subject: string): Promise<{ url: string; status: number; body: string }>;
  /** A token signed with the issuer's key; claims that are undefined are left out. */
  sign(claims: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>;
  /** Other signing keys from now on. */
  rotate(): Promise<void>;
  /** ID tokens live this long from now on. */
  idTokenSeconds: number;
  close(): Promise<void>;
}

export async function startIssuer(): Promise<Issuer> {
  const accounts = new Map<string, Account>();
  let key = await newKey();
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  let signingIn = '';
  const server = createServer((request, response) => {
    made.requests.push(new URL(request.url ?? '/', made.issuer).pathname);
    if (made.down) return void response.writeHead(503).end();
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const made: Issuer = {
    issuer,
    accounts,
    down: false,
    requests: [],
    idTokenSeconds: 3_600,

    async signIn(url, subject) {
      signingIn = subject;
      return browse(url);
    },

    async sign(claims, header = {}) {
      const nowSeconds = Math.floor(Date.now() / 1_000);
      const whole = {
        iss: issuer,
        aud: CLIENT_ID,
        sub: 'mara',
        iat: nowSeconds,
        exp: nowSeconds + 300,
        email: 'mara@example.com',
        email_verified: true,
        ...claims,
      };
      return new SignJWT(whole)
        .setProtectedHeader({ alg: 'RS256', kid: key.jwk.kid, ...header })
        .sign(key.privateKey);
    },

    async rotate() {
      key = await newKey();
      handle = serveWith(key);
    },

    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  handle = serveWith(key);
  return made;

  function serveWith({ jwk }: Key) {
    const provider = new Provider(issuer, {
      jwks: { keys: [jwk] },
      clients: [
        {
          client_id: CLIENT_ID,
          application_type: 'native',
          token_endpoint_auth_method: 'none',
          // RFC 8252, 7.3: any port of the loopback address.
          redirect_uris: ['http://127.0.0.1/callback'],
          response_types: ['code'],
          grant_types: [
            'authorization_code',
            'refresh_token',
            'urn:ietf:params:oauth:grant-type:device_code',
          ],
        },
      ],
      cookies: { keys: ['for-tests-only'] },
      claims: { openid: ['sub'], email: ['email', 'email_verified'] },
      scopes: ['openid', 'email', 'offline_access'],
      // As the hosted issuers do: claims of scopes are in the ID token.
      conformIdTokenClaims: false,
      features: {
        deviceFlow: { enabled: true },
        revocation: { enabled: true },
        devInteractions: { enabled: false },
      },
      ttl: {
        IdToken: () => made.idTokenSeconds,
        AccessToken: 600,
        AuthorizationCode: 60,
        DeviceCode: 600,
        Grant: 3_600,
        Interaction: 600,
        RefreshToken: 3_600,
        Session: 3_600,
      },
      rotateRefreshToken: true,
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      findAccount: (_context, subject) => {
        const account = accounts.get(subject);
        return account && { accountId: subject, claims: () => ({ sub: subject, ...account }) };
      },
    });
    const callback = provider.callback();
    return (request: IncomingMessage, response: ServerResponse): void => {
      if (!request.url?.startsWith('/interaction/')) return void callback(request, response);
      interact(provider, request, response).catch(() => response.writeHead(500).end());
    };
  }

  /** Says yes to everything, as whoever is signing in. */
  async function interact(provider: Provider, request: IncomingMessage, response: ServerResponse) {
    const { prompt, params, grantId, session } = await provider.interactionDetails(request, response);
    if (!accounts.has(signingIn)) {
      const refused = { error: 'access_denied', error_description: 'said no' };
      return provider.interactionFinished(request, response, refused, { mergeWithLastSubmission: false });
    }
    if (prompt.name === 'login') {
      return provider.interactionFinished(
        request,
        response,
        { login: { accountId: signingIn } },
        { mergeWithLastSubmission: false },
      );
    }
    const grant =
      (grantId === undefined ? undefined : await provider.Grant.find(grantId)) ??
      new provider.Grant({ accountId: session?.accountId ?? signingIn, clientId: String(params.client_id) });
    grant.addOIDCScope(String(params.scope));
    const consent = { grantId: await grant.save() };
    return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
  }

  /** Cookies, redirects, and the forms of the device pages. */
  async function browse(start: string): Promise<{ url: string; status: number; body: string }> {
    const cookies = new Map<string, string>();
    let url = start;
    let form: URLSearchParams | undefined;
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const response = await fetch(url, {
        method: form === undefined ? 'GET' : 'POST',
        redirect: 'manual',
        headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        ...(form === undefined ? {} : { body: form }),
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        if (value === '' || /expires=Thu, 01 Jan 1970/i.test(cookie)) cookies.delete(name);
        else cookies.set(name, value);
      }
      const body = await response.text();
      const location = response.headers.get('location');
      form = undefined;
      if (location !== null) {
        url = new URL(location, url).href;
        continue;
      }
      form = formOf(body);
      if (form === undefined) return { url, status: response.status, body };
      url = new URL(/<form[^>]*action="([^"]+)"/.exec(body)?.[1]?.replaceAll('&amp;', '&') ?? url, url).href;
    }
    throw new Error(`signing in did not end within ${MAX_HOPS} pages`);
  }
}

function formOf(page: string): URLSearchParams | undefined {
  if (!page.includes('<form')) return undefined;
  const form = new URLSearchParams();
  for (const [input] of page.matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]+)"/.exec(input)?.[1];
    if (name !== undefined && name !== 'abort') form.set(name, /value="([^"]*)"/.exec(input)?.[1] ?? '');
  }
  return form;
}

async function newKey() {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = crypto.randomUUID();
  return { privateKey, publicKey, jwk: { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' } };
}
