/** The command line against a server of this process: what it really prints. Temporal and the vendors are stand-ins. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { createVault } from '../../activities/evidence/vault.ts';
import { readEnv } from '../../cli/env.ts';
import { run } from '../../cli/run.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { countMarks, describeReviews, type SampleMarks } from '../../domain/samples/precision.ts';
import { createAccess } from '../../webhooks/access/access.ts';
import { createOidcVerifier } from '../../webhooks/access/oidc.ts';
import { createTestEdge, noRecords, openTestRecords, TOKENS } from '../../webhooks/test-support/edge.ts';
import { viewOf } from '../../webhooks/test-support/incident.ts';
import { CLIENT_ID, startIssuer } from '../../webhooks/test-support/oidc-issuer.ts';
import { configSchema } from '../../worker/config/schema.ts';
import type { Picture } from './element.ts';
import { TERMINAL_WIDTH, terminal } from './terminal.ts';
import { DRILLED, SAMPLED } from './views.ts';

const SERVER = 'https://firebreak.example.com';
const ISSUER = 'https://login.example.com';
const ID = '3f9a';
const DAY_MS = 86_400_000;
const RETENTION_MS = 30 * DAY_MS;
/** Samples are kept this long before they are listed, less what listing takes: the minutes of the picture stay. */
const AHEAD_MS = 55_000;
/** What reviewers said before the picture. */
const MARKS: SampleMarks = {
  'out-88213': { kim: 'harmful' },
  'out-88191': { kim: 'harmful' },
  'out-88164': { kim: 'benign' },
};

interface Ran {
  command: string;
  output: string;
}

/** Runs one command line on a terminal with colours. @returns both its streams, as a terminal mixes them. */
async function shell(
  args: string[],
  env: Record<string, string>,
  hear = (_text: string) => {},
): Promise<Ran> {
  let output = '';
  const stream = () =>
    new Writable({
      write(chunk, _encoding, done) {
        output += String(chunk);
        hear(String(chunk));
        done();
      },
    });
  const stdin = Object.assign(new PassThrough(), { isTTY: false });
  const io = { env: readEnv({ FORCE_COLOR: '1', LC_ALL: 'C.UTF-8', ...env }), stdin };
  const code = await run(args, { ...io, stdout: stream(), stderr: stream() });
  if (code !== 0) throw new Error(`firebreak ${args.join(' ')} ended with ${code}: ${output}`);
  const typed = args.filter((arg) => arg !== '--no-browser');
  return { command: ['firebreak', ...typed].join(' '), output };
}

function picture(name: string, alt: string, [first, ...more]: readonly Ran[]): Picture {
  if (first === undefined) throw new Error(`nothing was run for ${name}`);
  const output = [first.output, ...more.map((ran) => `\n$ ${ran.command}\n${ran.output}`)].join('');
  return { name, alt, width: TERMINAL_WIDTH, element: terminal(first.command, output) };
}

export async function cliPictures(): Promise<Picture[]> {
  return [...(await withRecords()), await login()];
}

async function withRecords(): Promise<Picture[]> {
  const { records, close } = await openTestRecords();
  const { app, gateway } = await createTestEdge({ records, sendDeadlineMs: 500 });
  try {
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const env = { FIREBREAK_URL: `http://127.0.0.1:${port}`, FIREBREAK_TOKEN: TOKENS.mara };

    const reviewed = countMarks(MARKS);
    const view = viewOf({ samples: { ...SAMPLED, ...(reviewed && { reviewed }) } });
    gateway.views.set(view.workflowId, view);
    const vault = createVault(records.evidence, [{ id: 'k-test', key: Buffer.alloc(32, 7) }]);
    const nowMs = Date.now() + AHEAD_MS;
    const { incidentId } = view;
    const key = await vault.openKey({ incidentId, source: SAMPLED.from, retentionMs: RETENTION_MS, nowMs });
    for (const { ref = '' } of SAMPLED.items)
      await vault.keep(key, [{ ref, text: randomBytes(8).toString('hex') }], nowMs);
    gateway.answer = ({ argument }) => {
      // As workflows/incident/handlers.ts answers.
      const { sampleId, verdict } = argument as { sampleId: string; verdict: 'harmful' };
      const id = SAMPLED.items.find(({ ref }) => ref === sampleId)?.id ?? sampleId;
      const counted = countMarks({ ...MARKS, [id]: { mara: verdict } });
      return { message: `Marked ${verdict}; ${counted ? describeReviews(counted) : ''}` };
    };
    const listed = await shell(['sample', 'list', ID], env);
    const marked = await shell(['sample', 'mark', ID, SAMPLED.items[1]?.ref ?? '', 'harmful'], env);

    gateway.views.clear();
    const { signalWithStart } = gateway;
    gateway.signalWithStart = async (input) => {
      await signalWithStart.call(gateway, input);
      const drilled: IncidentView = viewOf({
        ...DRILLED,
        ...(input.start.drill && { drill: input.start.drill }),
      });
      gateway.views.set(input.workflowId, drilled);
      gateway.views.set(drilled.workflowId, drilled);
    };
    const drilled = await shell(
      ['drill', 'deployment/llm-api', '-n', 'models', '--runbook', 'ai-harm-response', '--yes'],
      env,
    );
    return [
      picture('cli-samples', 'firebreak sample list and firebreak sample mark in a terminal', [
        listed,
        marked,
      ]),
      picture('cli-drill', 'firebreak drill in a terminal: its plan, what happened, and what worked', [
        drilled,
      ]),
    ];
  } finally {
    await app.close();
    await close();
  }
}

/** Somebody signs in at a real OpenID provider. What is random in its address is left out. */
async function login(): Promise<Picture> {
  const issuer = await startIssuer();
  const home = await mkdtemp(join(tmpdir(), 'firebreak-picture-'));
  issuer.accounts.set('mara', { email: 'mara@example.com', email_verified: true });
  const oidc = { issuer: issuer.issuer, clientId: CLIENT_ID, scopes: ['openid', 'email', 'offline_access'] };
  const config = configSchema.shape.access.parse({
    people: [{ id: 'mara', name: 'Mara Lind', email: 'mara@example.com', groups: ['ml-oncall'] }],
    oidc,
  });
  const access = createAccess(config, {}, { oidc: createOidcVerifier(oidc) });
  const { app } = await createTestEdge({ records: noRecords, access, login: oidc });
  try {
    await app.listen({ host: '127.0.0.1', port: 0 });
    const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
    const env = { FIREBREAK_URL: url, XDG_CONFIG_HOME: home };
    const visits: Promise<unknown>[] = [];
    const shown = ({ command, output }: Ran): Ran => ({
      command,
      output: output
        .replaceAll(url, SERVER)
        .replaceAll(issuer.issuer, ISSUER)
        .replaceAll(/(\/auth\?)\S+/g, `$1client_id=${CLIENT_ID}&...`),
    });
    const signedIn = await shell(['login', '--no-browser'], env, (text) => {
      const address = /Sign in here:\s+(http\S+)/.exec(text)?.[1];
      if (address !== undefined) visits.push(issuer.signIn(address, 'mara'));
    });
    await Promise.all(visits);
    const who = await shell(['whoami'], env);
    return picture('cli-login', 'firebreak login and firebreak whoami in a terminal', [
      shown(signedIn),
      shown(who),
    ]);
  } finally {
    await app.close();
    await issuer.close();
    await rm(home, { recursive: true, force: true });
  }
}
