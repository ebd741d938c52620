/** An access file under `firebreak serve`: a process, a Temporal server, an OpenID provider, and the command line as users run it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { readEnv } from '../../cli/env.ts';
import { run } from '../../cli/run.ts';
import { Api } from '../../demo/run/api.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { CLIENT_ID, type Issuer, startIssuer } from '../../webhooks/test-support/oidc-issuer.ts';
import { type Installation, install } from '../e2e/installation.ts';
import { deliver, harmDelivery } from '../faults/alert-deliveries.ts';

const NAMESPACE = 'access-file';
/** Twice `runbooks.watchEvery` and the time that files need to settle, on a machine that is busy. */
const RELOADED_MS = 30_000;
const SHOWN_MS = 60_000;

interface AccessSection {
  people: { id: string; name: string; groups: string[]; email?: string; active?: boolean }[];
  rules: Record<string, string[]>;
}

let installation: Installation;
let issuer: Issuer;
let home: string;
let accessFile: string;
let access: AccessSection;

beforeAll(async () => {
  issuer = await startIssuer();
  issuer.accounts.set('sub-nora', { email: 'Nora@Example.com', email_verified: true });
  home = await mkdtemp(path.join(tmpdir(), 'firebreak-access-'));
  installation = await install({ name: NAMESPACE, namespaces: { [NAMESPACE]: 'observe' } });
  const { firebreak } = installation;
  await firebreak.stop();
  const configFile = path.join(firebreak.dir, 'firebreak.yaml');
  const config = parse(await readFile(configFile, 'utf8'));
  accessFile = path.join(firebreak.dir, 'access.yaml');
  // Nora has no token and no Slack user: her e-mail alone says who she is.
  const nora = { id: 'nora', name: 'Nora', groups: ['ml-oncall'], email: 'nora@example.com' };
  access = { ...config.access, people: [...config.access.people, nora] };
  await writeFile(accessFile, stringify(access));
  await writeFile(
    configFile,
    stringify({
      ...config,
      access: { file: 'access.yaml', oidc: { issuer: issuer.issuer, clientId: CLIENT_ID } },
    }),
  );
  await firebreak.start();
});
afterAll(async () => {
  await installation?.close();
  await issuer?.close();
  await rm(home, { recursive: true, force: true });
});

/** As Nora on her own machine; what is shown to sign in at is opened. */
async function firebreak(...args: string[]) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let err = '';
  const visits: Promise<unknown>[] = [];
  stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
    const address = /Sign in here:\s+(http\S+)/.exec(chunk.toString())?.[1];
    if (address !== undefined) visits.push(issuer.signIn(address, 'sub-nora'));
  });
  const env = readEnv({ FIREBREAK_URL: installation.firebreak.url, XDG_CONFIG_HOME: home });
  const stdin = Object.assign(new PassThrough(), { isTTY: false });
  const code = await run(args, { env, stdin, stdout, stderr });
  await Promise.all(visits);
  return { code, out: String(stdout.read() ?? ''), err };
}

async function readiness() {
  const answer = await fetch(`${installation.firebreak.url}/readyz`);
  const body = (await answer.json()) as {
    checks: { name: string; degraded?: string[]; details?: { accessVersion: string; people: number } }[];
  };
  const found = body.checks.find(({ name }) => name === 'access');
  return { status: answer.status, degraded: found?.degraded ?? [], ...found?.details };
}

it('lets somebody sign in and act, follows changes of the file, and keeps what works when it is broken', async () => {
  const { firebreak: served } = installation;
  expect(await readiness()).toMatchObject({ status: 200, degraded: [], people: access.people.length });
  expect(await firebreak('login', '--no-browser')).toMatchObject({
    code: 0,
    out: expect.stringContaining('as Nora (nora)'),
  });

  const answer = await deliver(installation, harmDelivery(NAMESPACE, { labels: { deployment: 'first' } }));
  expect(answer.status).toBe(200);
  const maria = new Api(served.url, served.tokens.maria);
  const { incidentId } = await pollUntil('the incident', SHOWN_MS, async () => (await maria.incidents())[0]);
  expect((await firebreak('incident', 'note', incidentId, 'I am looking at it')).err).toBe('');
  const attempts = JSON.parse((await firebreak('incident', 'attempts', incidentId, '--json')).out).attempts;
  expect(attempts).toMatchObject([
    {
      person: 'nora',
      decision: 'note',
      verdict: 'accepted',
      via: 'cli',
      reason: 'member of ml-oncall (responder)',
    },
  ]);

  // She leaves: SIGHUP looks at once.
  const { accessVersion } = await readiness();
  const without = access.people.map((person) =>
    person.id === 'nora' ? { ...person, active: false } : person,
  );
  await writeFile(accessFile, stringify({ ...access, people: without }));
  process.kill(served.pid, 'SIGHUP');
  await pollUntil('the changed file', RELOADED_MS, async () =>
    (await readiness()).accessVersion === accessVersion ? undefined : true,
  );
  expect(await firebreak('whoami')).toMatchObject({ code: 3, out: '' });
  expect((await maria.incidents()).length).toBe(1);

  // A broken file takes nobody's rights away, and gives none.
  await writeFile(accessFile, stringify({ ...access, people: [...access.people, access.people[0]] }));
  await pollUntil('the broken file being refused', RELOADED_MS, async () =>
    (await readiness()).degraded.length > 0 ? true : undefined,
  );
  expect((await readiness()).status).toBe(200);
  expect((await firebreak('whoami')).code).toBe(3);
  expect((await maria.incidents()).length).toBe(1);

  await writeFile(accessFile, stringify(access));
  await pollUntil('the mended file', RELOADED_MS, async () =>
    (await readiness()).degraded.length === 0 ? true : undefined,
  );
  expect((await readiness()).accessVersion).toBe(accessVersion);
  expect((await firebreak('whoami')).out).toContain('Nora (nora)');
});
