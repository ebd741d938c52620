import { generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../worker/config/schema.ts';
import { CLIENT_ID, type Issuer, startIssuer } from '../test-support/oidc-issuer.ts';
import { createAccess } from './access.ts';
import { createOidcVerifier, type OidcVerifier } from './oidc.ts';

let issuer: Issuer;
let verifier: OidcVerifier;
const scopes = ['openid', 'email'];

beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(() => issuer.close());
beforeEach(() => {
  issuer.down = false;
  verifier = createOidcVerifier(
    { issuer: issuer.issuer, clientId: CLIENT_ID, scopes, audience: 'firebreak-api' },
    { keysCooldownMs: 0, timeoutMs: 1_000 },
  );
});

const nowSeconds = () => Math.floor(Date.now() / 1_000);

describe('a token of the issuer', () => {
  it('is taken, and says whose address was verified', async () => {
    expect(await verifier.verify(await issuer.sign({}))).toEqual({ ok: true, email: 'mara@example.com' });
  });

  it.each([
    ['for the other audience', { aud: 'firebreak-api' }],
    ['for several audiences, made for our client', { aud: [CLIENT_ID, 'other'], azp: CLIENT_ID }],
    ['that expired within the clock tolerance', { exp: 0 }],
  ])('is taken %s', async (_what, claims) => {
    const exp = 'exp' in claims ? { exp: nowSeconds() - 10 } : {};
    expect((await verifier.verify(await issuer.sign({ ...claims, ...exp }))).ok).toBe(true);
  });

  it.each<[string, JWTPayload, object, RegExp]>([
    ['without email_verified', { email_verified: undefined }, {}, /has not verified/],
    ['whose email is not verified', { email_verified: false }, {}, /has not verified/],
    ['whose email_verified is a word', { email_verified: 'true' }, {}, /has not verified/],
    ['without an e-mail', { email: undefined }, {}, /has no e-mail/],
    ['for another client', { aud: 'other' }, {}, /aud does not fit/],
    ['for several audiences, of nobody', { aud: [CLIENT_ID, 'other'] }, {}, /several audiences/],
    ['made for another client', { azp: 'other' }, {}, /another client/],
    ['made for another client (RFC 9068)', { client_id: 'other' }, {}, /another client/],
    ['of another issuer', { iss: 'https://elsewhere.example' }, {}, /iss does not fit/],
    ['that does not expire', { exp: undefined }, {}, /has no exp/],
    ['that has expired', { exp: 1 }, {}, /has expired/],
    ['that is not valid yet', { nbf: 9_999_999_999 }, {}, /nbf does not fit/],
    ['that ends a session', { events: {} }, {}, /another kind/],
    ['of the type of logout tokens', {}, { typ: 'logout+jwt' }, /another kind/],
    ['of a key that there is not', {}, { kid: 'other' }, /no such key/],
  ])('is refused %s', async (_what, claims, header, reason) => {
    const verified = await verifier.verify(await issuer.sign(claims, header));
    expect(verified).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });
});

describe('a forged token', () => {
  it('with the key of somebody else is refused', async () => {
    const genuine = await issuer.sign({});
    const [header = ''] = genuine.split('.');
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string };
    const { privateKey } = await generateKeyPair('RS256');
    const forged = await new SignJWT({ email: 'ben@example.com', email_verified: true })
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer(issuer.issuer)
      .setAudience(CLIENT_ID)
      .setSubject('ben')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    expect(await verifier.verify(forged)).toEqual({ ok: false, reason: "the token's signature is wrong" });
  });

  it('whose claims were changed is refused', async () => {
    const [header, payload = '', signature] = (await issuer.sign({})).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const changed = Buffer.from(JSON.stringify({ ...claims, email: 'ben@example.com' })).toString(
      'base64url',
    );
    expect((await verifier.verify([header, changed, signature].join('.'))).ok).toBe(false);
  });

  it.each(['none', 'HS256'])('with the algorithm %s is refused', async (alg) => {
    const claims = {
      iss: issuer.issuer,
      aud: CLIENT_ID,
      sub: 'ben',
      email: 'ben@example.com',
      email_verified: true,
    };
    const forged =
      alg === 'none'
        ? new UnsecuredJWT(claims).setIssuedAt().setExpirationTime('5m').encode()
        : await new SignJWT(claims)
            .setProtectedHeader({ alg })
            .setIssuedAt()
            .setExpirationTime('5m')
            // What everybody can fetch, used as a secret.
            .sign(new TextEncoder().encode(CLIENT_ID.repeat(4)));
    expect(await verifier.verify(forged)).toMatchObject({ ok: false });
  });

  it('that is no token is refused without an answer that repeats it', async () => {
    const verified = await verifier.verify('eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2VjcmV0');
    expect(verified.ok).toBe(false);
    expect(JSON.stringify(verified)).not.toContain('c2VjcmV0');
  });
});

describe('the issuer', () => {
  it('may rotate its keys: new ones are fetched, old ones are gone', async () => {
    const old = await issuer.sign({});
    expect((await verifier.verify(old)).ok).toBe(true);
    await issuer.rotate();
    expect((await verifier.verify(await issuer.sign({}))).ok).toBe(true);
    expect(await verifier.verify(old)).toEqual({ ok: false, reason: 'the issuer has no such key' });
  });

  it('that does not answer is no refusal, and is asked again when it does', async () => {
    let nowMs = Date.now();
    const patient = createOidcVerifier(
      { issuer: issuer.issuer, clientId: CLIENT_ID, scopes },
      { now: () => nowMs, timeoutMs: 1_000 },
    );
    issuer.down = true;
    const before = issuer.requests.length;
    const token = await issuer.sign({});
    expect(await patient.verify(token)).toMatchObject({ ok: false, unavailable: true });
    expect(await patient.verify(token)).toMatchObject({ ok: false, unavailable: true });
    // The second one was not made to wait.
    expect(issuer.requests.length - before).toBe(1);
    issuer.down = false;
    nowMs += 6_000;
    expect((await patient.verify(token)).ok).toBe(true);
  });

  it('whose document cannot be read again is needed for new keys only, for another hour', async () => {
    const HOUR_MS = 3_600_000;
    let nowMs = Date.now();
    const patient = createOidcVerifier(
      { issuer: issuer.issuer, clientId: CLIENT_ID, scopes },
      { now: () => nowMs, timeoutMs: 1_000 },
    );
    const signed = () => {
      const iat = Math.floor(nowMs / 1_000);
      return issuer.sign({ iat, exp: iat + 300 });
    };
    expect((await patient.verify(await signed())).ok).toBe(true);
    issuer.down = true;
    nowMs += HOUR_MS + 1_000;
    const token = await signed();
    const before = issuer.requests.length;
    // Side by side: neither finds nothing while the other is asking.
    const answers = await Promise.all([patient.verify(token), patient.verify(token)]);
    expect(answers.map(({ ok }) => ok)).toEqual([true, true]);
    expect(issuer.requests.length - before).toBe(1);
    nowMs += HOUR_MS;
    expect(await patient.verify(await signed())).toMatchObject({ ok: false, unavailable: true });
    issuer.down = false;
    nowMs += 6_000;
    expect((await patient.verify(await signed())).ok).toBe(true);
  });

  it('that goes away later is needed for new keys only', async () => {
    expect((await verifier.verify(await issuer.sign({}))).ok).toBe(true);
    issuer.down = true;
    expect((await verifier.verify(await issuer.sign({}))).ok).toBe(true);
  });
});

describe('the bearer of a token', () => {
  const config = configSchema.shape.access.parse({
    people: [
      { id: 'mara', name: 'Mara', email: 'Mara@Example.com', groups: ['ml-oncall'], tokens: [] },
      { id: 'gone', name: 'Gone', email: 'gone@example.com', active: false },
    ],
  });
  const headerOf = async (claims: JWTPayload) => `Bearer ${await issuer.sign(claims)}`;
  const access = () => createAccess(config, { mara: ['token-of-mara-for-tests'] }, { oidc: verifier });

  it('is the person with that e-mail, who may be active or not, or nobody', async () => {
    expect(await access().authenticateHeader(await headerOf({}))).toMatchObject({
      ok: true,
      person: { id: 'mara', groups: ['ml-oncall'] },
    });
    expect(await access().authenticateHeader(await headerOf({ email: 'gone@example.com' }))).toEqual({
      ok: false,
      reason: 'gone is not active',
    });
    expect(await access().authenticateHeader(await headerOf({ email: 'mara+x@example.com' }))).toEqual({
      ok: false,
      reason: 'nobody in the access file has this e-mail',
    });
  });

  it('of an API token needs no issuer', async () => {
    issuer.down = true;
    expect((await access().authenticateHeader('Bearer token-of-mara-for-tests')).ok).toBe(true);
    expect(await access().authenticateHeader('Bearer another-token-that-is-not')).toEqual({
      ok: false,
      reason: 'the token is not known',
    });
  });
});
