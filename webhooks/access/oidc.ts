/** Bearer tokens of the configured OpenID Connect issuer. */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { allowInsecureRequests, discovery, None } from 'openid-client';
import type { AccessConfig } from './types.ts';

/** Asymmetric ones only: with a symmetric one, or `none`, whoever knows the client's secret, or nothing, could sign. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Clocks of servers that keep time differ by less. */
const CLOCK_TOLERANCE_SECONDS = 30;
/** A person waits for it. */
const TIMEOUT_MS = 3_000;
/** After this the issuer's document is read again: jwks_uri may move. */
const DISCOVERY_KEPT_MS = 3_600_000;
/**
 * How much longer the document that was read last counts while the issuer does not give another: an outage just then must
 * not end sign-ins that its known keys can still verify.
 */
const FORMER_KEPT_MS = 3_600_000;
/** While the issuer does not answer, requests must not each wait for it. */
const FAILURE_KEPT_MS = 5_000;
/** A key that is new to us is looked for at most so often, whatever tokens are sent. */
const KEYS_COOLDOWN_MS = 10_000;
/** `typ` of what may be shown to an API: ID tokens (JWT or none) and access tokens (RFC 9068). Logout tokens are neither. */
const TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt']);
/** Longest token that is looked at. */
const MAX_TOKEN_LENGTH = 16 * 1024;

export type OidcVerified = { ok: true; email: string } | { ok: false; reason: string; unavailable?: true };

interface Discovered {
  keys: JWTVerifyGetKey;
  issuer: string;
}

/** Never throws; `reason` holds nothing of the token. */
export interface OidcVerifier {
  verify(token: string): Promise<OidcVerified>;
}

/**
 * Verifies signature, issuer, audience, times and `email_verified` of a JWT (OpenID Connect Core 1.0, 3.1.3.7:
 * https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation). Keys come from the issuer's discovery document
 * and follow its rotation. While the issuer does not answer, keys count for ten minutes after they were fetched (jose's
 * cacheMaxAge: https://github.com/panva/jose/blob/main/docs/jwks/remote/interfaces/RemoteJWKSetOptions.md).
 */
export function createOidcVerifier(
  { issuer, clientId, audience }: NonNullable<AccessConfig['oidc']>,
  options: { timeoutMs?: number; now?: () => number; keysCooldownMs?: number } = {},
): OidcVerifier {
  const now = options.now ?? Date.now;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  let keys: { get: Promise<Discovered | undefined>; untilMs: number } | undefined;
  let former: { found: Discovered; untilMs: number } | undefined;

  async function discover(): Promise<Discovered | undefined> {
    try {
      const config = await discovery(new URL(issuer), clientId, undefined, None(), {
        timeout: Math.ceil(timeoutMs / 1_000),
        // Refused by the configuration but for this machine.
        ...(issuer.startsWith('http:') ? { execute: [allowInsecureRequests] } : {}),
      });
      const metadata = config.serverMetadata();
      if (metadata.jwks_uri === undefined) return undefined;
      const remote = createRemoteJWKSet(new URL(metadata.jwks_uri), {
        timeoutDuration: timeoutMs,
        cooldownDuration: options.keysCooldownMs ?? KEYS_COOLDOWN_MS,
      });
      return { keys: remote, issuer: metadata.issuer };
    } catch {
      return undefined;
    }
  }

  async function source() {
    if (keys === undefined || keys.untilMs <= now()) {
      const get = discover();
      const fresh = { get, untilMs: now() + DISCOVERY_KEPT_MS };
      keys = fresh;
      const found = await get;
      if (found === undefined) fresh.untilMs = now() + FAILURE_KEPT_MS;
      else former = { found, untilMs: fresh.untilMs + FORMER_KEPT_MS };
    }
    const found = await keys.get;
    if (found !== undefined) return found;
    return former !== undefined && former.untilMs > now() ? former.found : undefined;
  }

  return {
    async verify(token) {
      if (token.length > MAX_TOKEN_LENGTH) return { ok: false, reason: 'the token is too long' };
      const found = await source();
      if (found === undefined) return unavailable();
      try {
        const { payload, protectedHeader } = await jwtVerify(token, found.keys, {
          issuer: found.issuer,
          audience: [clientId, ...(audience === undefined ? [] : [audience])],
          algorithms: ALGORITHMS,
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
          requiredClaims: ['exp', 'iat', 'sub'],
          currentDate: new Date(now()),
        });
        return judge(payload, protectedHeader.typ, clientId);
      } catch (error) {
        return refusal(error);
      }
    },
  };
}

function judge(payload: JWTPayload, typ: string | undefined, clientId: string): OidcVerified {
  const refuse = (reason: string): OidcVerified => ({ ok: false, reason });
  if (typ !== undefined && !TYPES.has(typ.toLowerCase())) return refuse('the token is of another kind');
  // OpenID Connect Back-Channel Logout 1.0, 2.4: told from an ID token by this claim where `typ` is not set.
  if (payload.events !== undefined) return refuse('the token is of another kind');
  const party = payload.azp ?? payload.client_id;
  if (Array.isArray(payload.aud) && payload.aud.length > 1 && party === undefined) {
    return refuse('the token is for several audiences and does not say whose it is (azp)');
  }
  if (party !== undefined && party !== clientId) return refuse('the token was made for another client');
  const { email, email_verified: verified } = payload;
  if (typeof email !== 'string') return refuse('the token has no e-mail: ask for the scope email');
  if (verified !== true) return refuse('the issuer has not verified the e-mail (email_verified)');
  return { ok: true, email };
}

function refusal(error: unknown): OidcVerified {
  const refuse = (reason: string): OidcVerified => ({ ok: false, reason });
  if (error instanceof errors.JWTExpired) return refuse('the token has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    const claim = error.claim.replace(/[^a-z_]/g, '');
    return refuse(
      error.reason === 'missing' ? `the token has no ${claim}` : `the token's ${claim} does not fit`,
    );
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return refuse('the issuer has no such key');
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse("the token's algorithm is not allowed");
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse("the token's signature is wrong");
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid)
    return refuse('the token is malformed');
  if (error instanceof errors.JOSENotSupported) return refuse("the token's algorithm is not supported");
  return unavailable();
}

function unavailable(): OidcVerified {
  return { ok: false, unavailable: true, reason: 'the issuer that signs people in does not answer' };
}
