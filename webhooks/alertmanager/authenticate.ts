import type { IncomingHttpHeaders } from 'node:http';
import { equalsOneOf } from '../constant-time.ts';

/** Secrets in clear, already read from where the configuration refers to. Several of a kind at once allow rotation. */
export interface AlertmanagerCredentials {
  bearerTokens: readonly string[];
  basic: readonly { username: string; password: string }[];
  /** mTLS ended at a proxy: the header in which that proxy, and nobody else, puts the verified client's subject. */
  trustedProxyCertHeader?: { header: string; values: readonly string[] };
}

/** Whether a request, by its headers alone, comes from an Alertmanager that is known. */
export type Authenticate = (headers: IncomingHttpHeaders) => boolean;

/** Shortest bearer token or password taken: anything shorter can be guessed over the network. */
const MIN_SECRET_LENGTH = 16;

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

/**
 * @throws Error when nothing is configured to authenticate with, unless `insecureNoAuth` on a loopback host; and when a
 * secret is too short. The server must not start then.
 */
export function createAuthenticate(
  credentials: AlertmanagerCredentials,
  options: { host: string; insecureNoAuth: boolean },
): Authenticate {
  const tokens = credentials.bearerTokens;
  const pairs = credentials.basic.map(({ username, password }) => `${username}:${password}`);
  const proxy = credentials.trustedProxyCertHeader;
  const tooShort = [...tokens, ...credentials.basic.map(({ password }) => password)].some(
    (secret) => secret.length < MIN_SECRET_LENGTH,
  );
  if (tooShort) {
    throw new Error(
      `server.alertmanager: a bearer token or password is shorter than ${MIN_SECRET_LENGTH} characters; make one with: openssl rand -hex 32`,
    );
  }

  if (tokens.length === 0 && pairs.length === 0 && proxy === undefined) {
    if (!options.insecureNoAuth) {
      throw new Error(
        'server.alertmanager: no secret is configured, so anybody could open incidents. ' +
          'Set server.alertmanager.bearerTokens (or basic, or trustedProxyCertHeader) in firebreak.yaml, ' +
          'or start with --insecure-no-auth on a loopback address.',
      );
    }
    if (!LOOPBACK.test(options.host)) {
      throw new Error(`--insecure-no-auth is only taken on a loopback address, not on ${options.host}.`);
    }
    return () => true;
  }

  return (headers) => {
    const authorization = headers.authorization ?? '';
    const bearer = /^Bearer +([^ ]+) *$/i.exec(authorization)?.[1];
    if (bearer !== undefined) return equalsOneOf(bearer, tokens);
    const basic = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(authorization)?.[1];
    if (basic !== undefined) return equalsOneOf(Buffer.from(basic, 'base64').toString('utf8'), pairs);
    if (proxy !== undefined) {
      const subject = headers[proxy.header.toLowerCase()];
      return typeof subject === 'string' && equalsOneOf(subject, proxy.values);
    }
    return false;
  };
}
