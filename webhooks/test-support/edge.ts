import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createVault } from '../../activities/evidence/vault.ts';
import { openRecords } from '../../activities/records/open.ts';
import type { RecordsStore } from '../../activities/records/store.ts';
import { fixedRunbooks } from '../../runbooks/live.ts';
import { loadRunbooks } from '../../runbooks/load.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { createAccess } from '../access/access.ts';
import { createDecisionSigner } from '../decisions/sign.ts';
import { createWebhooks, type WebhooksDeps } from '../server.ts';
import { RecordingGateway } from './recording-gateway.ts';
import { RecordingTargets } from './recording-targets.ts';

export const ALERTMANAGER_TOKEN = 'alertmanager-token-for-tests-1';
export const TOKENS = {
  mara: 'token-of-mara-for-tests',
  ben: 'token-of-ben-for-tests',
  vic: 'token-of-vic-for-tests',
} as const;
export const SLACK = {
  botToken: 'xoxb-for-tests',
  signingSecrets: ['slack-signing-secret-new', 'slack-signing-secret-old'],
  teamId: 'T0TEAM',
};

/** mara is on call, ben commands and may approve alone, vic only views, gone has left. */
const ACCESS = configSchema.shape.access.parse({
  people: [
    { id: 'mara', name: 'Mara', groups: ['ml-oncall'], slackUserId: 'U0MARA' },
    { id: 'ben', name: 'Ben', groups: ['commander'], slackUserId: 'U0BEN' },
    { id: 'vic', name: 'Vic', groups: ['stakeholders'], slackUserId: 'U0VIC' },
    { id: 'gone', name: 'Gone', groups: ['commander'], slackUserId: 'U0GONE', active: false },
  ],
  rules: { viewer: ['*'], responder: ['ml-oncall'], commander: ['commander'], breakGlass: ['commander'] },
});

/** The embedded database initialises itself once: seconds on an idle machine, more where tests run side by side. */
export const RECORDS_START_MS = 60_000;

/** Real records (embedded PostgreSQL) in a folder of their own. */
export async function openTestRecords(): Promise<{ records: RecordsStore; close(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'firebreak-records-'));
  const records = await openRecords({ dir: join(dir, 'records') });
  return {
    records,
    async close() {
      await records.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A whole edge with real runbooks, access, signer and records; Temporal is a RecordingGateway. Logs are kept as text. */
export async function createTestEdge(change: Partial<WebhooksDeps> & Pick<WebhooksDeps, 'records'>) {
  const { runbooks } = await loadRunbooks();
  const keys = generateKeyPairSync('ed25519');
  const log: string[] = [];
  const gateway = new RecordingGateway();
  const targets = new RecordingTargets();
  const registry = new Registry();
  const app = createWebhooks({
    server: { host: '127.0.0.1' },
    alertmanager: { bearerTokens: [ALERTMANAGER_TOKEN], basic: [] },
    clusters: { local: { namespaces: { models: { mode: 'approve' } } } },
    runbooks: fixedRunbooks(runbooks),
    gateway,
    targets,
    access: createAccess(
      ACCESS,
      Object.fromEntries(Object.entries(TOKENS).map(([person, token]) => [person, [token]])),
    ),
    signer: createDecisionSigner({
      keyId: 'edge-1',
      privateKeyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }),
    logger: pino({ level: 'debug' }, { write: (line: string) => void log.push(line) }),
    registry,
    ...(change.records.evidence && {
      vault: createVault(change.records.evidence, [{ id: 'k-test', key: Buffer.alloc(32, 7) }]),
    }),
    ...change,
  });
  return {
    app,
    gateway: (change.gateway as RecordingGateway | undefined) ?? gateway,
    targets: (change.targets as RecordingTargets | undefined) ?? targets,
    registry,
    log,
    publicKeyPem: keys.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** Where a part must not be reached: every use of it fails the test. */
export const noRecords = new Proxy({} as RecordsStore, {
  get: (_target, name) => () => {
    throw new Error(`the records must not be used here: ${String(name)}`);
  },
});
