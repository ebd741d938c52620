import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAccess } from '../../webhooks/access/access.ts';
import { createOidcVerifier } from '../../webhooks/access/oidc.ts';
import { createTestEdge, noRecords } from '../../webhooks/test-support/edge.ts';
import { CLIENT_ID, type Issuer, startIssuer } from '../../webhooks/test-support/oidc-issuer.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { readEnv } from '../env.ts';
import { EXIT } from '../exit-codes.ts';
import { run } from '../run.ts';

const API_TOKEN = 'token-of-ben-for-tests';
/** Longer than the longest life of a token that counts as about to expire. */
const SOON_SECONDS = 30;

let issuer: Issuer;
let app: FastifyInstance;
let url: string;
let home: string;

beforeAll(async () => {
  issuer = await startIssuer();
  issuer.accounts.set('sub-mara', { email: 'Mara@Example.com', email_verified: true });
  issuer.accounts.set('sub-nobody', { email: 'nobody@example.com', email_verified: true });
  issuer.accounts.set('sub-unverified', { email: 'mara@example.com', email_verified: false });
  const oidc = {
    issuer: issuer.issuer,
    clientId: CLIENT_ID,
    scopes: ['openid', 'email', 'offline_access'],
  };
  const config = configSchema.shape.access.parse({
    people: [
      { id: 'mara', name: 'Mara', email: 'mara@example.com', groups: ['ml-oncall'] },
      { id: 'ben', name: 'Ben', groups: ['commander'] },
    ],
    oidc,
  });
  const access = createAccess(config, { ben: [API_TOKEN] }, { oidc: createOidcVerifier(oidc) });
  ({ app } = await createTestEdge({ records: noRecords, access, login: oidc }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await app.close();
  await issuer.close();
});
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'firebreak-login-'));
  issuer.down = false;
  issuer.idTokenSeconds = 3_600;
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Runs a command line whose shown address somebody opens, as this subject. */
async function firebreak(args: string[], more: { as?: string; env?: Record<string, string> } = {}) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const shown: string[] = [];
  const visits: Promise<{ status: number; body: string }>[] = [];
  stderr.on('data', (chunk: Buffer) => {
    shown.push(chunk.toString());
    const address = /(?:Sign in here:\s+|or open )(http\S+)/.exec(chunk.toString())?.[1];
    if (address !== undefined) visits.push(issuer.signIn(address, more.as ?? 'sub-mara'));
  });
  const env = readEnv({ FIREBREAK_URL: url, XDG_CONFIG_HOME: home, ...more.env });
  const stdin = Object.assign(new PassThrough(), { isTTY: false });
  const code = await run(args, { env, stdin, stdout, stderr });
  const [visit] = await Promise.all(visits);
  return { code, out: String(stdout.read() ?? ''), err: shown.join(''), visit };
}
const file = () => join(home, 'firebreak', 'login.json');
const saved = async () => JSON.parse(await readFile(file(), 'utf8')).logins[url] as Record<string, string>;
const refreshes = () => issuer.requests.filter((path) => path === '/token').length;

describe('firebreak login', () => {
  it('signs in with a browser, and the next commands are that person', async () => {
    const login = await firebreak(['login', '--no-browser']);
    expect(login).toMatchObject({ code: EXIT.ok, out: `Signed in at ${url} as Mara (mara).\n` });
    expect(login.visit?.body).toContain('You can close this window');
    expect(await firebreak(['whoami'])).toMatchObject({
      code: EXIT.ok,
      out: 'Mara (mara), in ml-oncall; by firebreak login\n',
    });
  });

  it('asks with PKCE, state and nonce, for a redirect to this machine', async () => {
    const { err } = await firebreak(['login', '--no-browser']);
    const address = new URL(/http\S+/.exec(err)?.[0] ?? '');
    const asked = Object.fromEntries(address.searchParams);
    expect(asked).toMatchObject({ code_challenge_method: 'S256', response_type: 'code', prompt: 'consent' });
    expect(asked.redirect_uri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    for (const random of [asked.state, asked.nonce, asked.code_challenge]) {
      expect(random?.length).toBeGreaterThan(40);
    }
  });

  it('signs in on another device', async () => {
    const login = await firebreak(['login', '--device']);
    expect(login.err).toMatch(/enter the code [A-Z0-9-]+/);
    expect(login).toMatchObject({ code: EXIT.ok });
    expect((await firebreak(['whoami'])).out).toContain('Mara (mara)');
  }, 30_000);

  it.each([
    ['whom the access file does not know', 'sub-nobody'],
    ['whose address the issuer has not verified', 'sub-unverified'],
  ])('keeps nothing of somebody %s', async (_what, as) => {
    expect(await firebreak(['login', '--no-browser'], { as })).toMatchObject({ code: EXIT.refused, out: '' });
    await expect(stat(file())).rejects.toThrow('ENOENT');
  });

  it('says so when the person says no', async () => {
    const login = await firebreak(['login', '--no-browser'], { as: 'sub-stranger' });
    expect(login).toMatchObject({ code: EXIT.refused });
    expect(login.err).toContain('The issuer refused: access_denied.');
  });

  it('says so when the issuer does not answer', async () => {
    issuer.down = true;
    expect(await firebreak(['login', '--no-browser'])).toMatchObject({ code: EXIT.unavailable });
  });

  it('says so where there is no sign-in with a browser', async () => {
    const { app: other } = await createTestEdge({ records: noRecords });
    await other.listen({ host: '127.0.0.1', port: 0 });
    const address = `http://127.0.0.1:${(other.server.address() as AddressInfo).port}`;
    const login = await firebreak(['login', '--no-browser', '--url', address]);
    await other.close();
    expect(login).toMatchObject({ code: EXIT.notFound });
    expect(login.err).toContain('no sign-in with a browser');
  });
});

describe('the kept sign-in', () => {
  it('is in a file that only its owner can read, and nothing else is left there', async () => {
    await firebreak(['login', '--no-browser']);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await stat(join(home, 'firebreak'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(home, 'firebreak'))).toEqual(['login.json']);
  });

  it('is not used where others could have read it', async () => {
    await firebreak(['login', '--no-browser']);
    await chmod(file(), 0o644);
    const who = await firebreak(['whoami']);
    expect(who).toMatchObject({ code: EXIT.refused, out: '' });
    expect(who.err).toContain('Others can read');
  });

  it('is told when it cannot be read, and repeats nothing of it', async () => {
    await firebreak(['login', '--no-browser']);
    await writeFile(file(), '{"secret', { mode: 0o600 });
    const who = await firebreak(['whoami']);
    expect(who.code).toBe(EXIT.failed);
    expect(who.err).not.toContain('secret');
  });

  it('is refreshed before its token expires, once for commands that run side by side', async () => {
    issuer.idTokenSeconds = SOON_SECONDS;
    await firebreak(['login', '--no-browser']);
    const { refreshToken } = await saved();
    issuer.idTokenSeconds = 3_600;
    const before = refreshes();
    const who = await Promise.all([1, 2, 3].map(() => firebreak(['whoami'])));
    expect(who.map(({ code }) => code)).toEqual([EXIT.ok, EXIT.ok, EXIT.ok]);
    expect(refreshes() - before).toBe(1);
    // Rotated by the issuer, and kept.
    expect((await saved()).refreshToken).not.toBe(refreshToken);
    expect((await firebreak(['whoami'])).code).toBe(EXIT.ok);
    expect(refreshes() - before).toBe(1);
  });

  it('that the issuer has ended asks to sign in again', async () => {
    issuer.idTokenSeconds = SOON_SECONDS;
    await firebreak(['login', '--no-browser']);
    const contents = JSON.parse(await readFile(file(), 'utf8'));
    contents.logins[url].refreshToken = 'revoked-meanwhile';
    await writeFile(file(), JSON.stringify(contents), { mode: 0o600 });
    const who = await firebreak(['whoami']);
    expect(who).toMatchObject({ code: EXIT.refused });
    expect(who.err).toContain('Sign in again: firebreak login');
  });

  it('gives way to FIREBREAK_TOKEN', async () => {
    await firebreak(['login', '--no-browser']);
    const who = await firebreak(['whoami'], { env: { FIREBREAK_TOKEN: API_TOKEN } });
    expect(who.out).toBe('Ben (ben), in commander; by FIREBREAK_TOKEN\n');
  });

  it('belongs to one server', async () => {
    await firebreak(['login', '--no-browser']);
    const who = await firebreak(['whoami', '--url', 'http://127.0.0.1:1']);
    expect(who).toMatchObject({ code: EXIT.refused });
    expect(who.err).toContain('Nobody is signed in here.');
  });
});

describe('firebreak logout', () => {
  it('forgets the sign-in and ends it at the issuer', async () => {
    await firebreak(['login', '--no-browser']);
    const { refreshToken = '' } = await saved();
    expect(await firebreak(['logout'])).toMatchObject({ code: EXIT.ok, out: `Signed out at ${url}.\n` });
    expect((await firebreak(['whoami'])).code).toBe(EXIT.refused);
    const again = await fetch(`${issuer.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: refreshToken,
        client_id: CLIENT_ID,
      }),
    });
    expect(await again.json()).toMatchObject({ error: 'invalid_grant' });
  });

  it('forgets it also when the issuer cannot be told, and says so', async () => {
    await firebreak(['login', '--no-browser']);
    issuer.down = true;
    const logout = await firebreak(['logout']);
    expect(logout).toMatchObject({ code: EXIT.ok });
    expect(logout.err).toContain('could not be told');
    expect((await firebreak(['whoami'])).code).toBe(EXIT.refused);
  });

  it('is fine where nobody is signed in', async () => {
    expect((await firebreak(['logout'])).out).toBe(`Nobody was signed in at ${url}.\n`);
  });
});

describe('an issuer that is away', () => {
  it('is told by the server as unavailable, not as a refusal', async () => {
    await firebreak(['login', '--no-browser']);
    const oidc = { issuer: 'http://127.0.0.1:1', clientId: CLIENT_ID, scopes: ['openid'] };
    const access = createAccess(configSchema.shape.access.parse({}), {}, { oidc: createOidcVerifier(oidc) });
    const { app: other } = await createTestEdge({ records: noRecords, access });
    const { idToken } = await saved();
    const response = await other.inject({
      url: '/api/v1/me',
      headers: { authorization: `Bearer ${idToken}` },
    });
    await other.close();
    expect(response.statusCode).toBe(503);
    expect(response.json()).toMatchObject({ error: { code: 'identity_unavailable' } });
  });
});
