/** `firebreak doctor` with one thing missing: its checks and its lines, against one server that plays every vendor. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { findingLine } from '../../domain/finding.ts';
import { configSchema } from '../../worker/config/schema.ts';
import { integrationChecks } from '../../worker/doctor.ts';
import type { Picture } from './element.ts';
import { TERMINAL_WIDTH, terminal } from './terminal.ts';

type Reply = { status?: number; body?: unknown; headers?: Record<string, string> };

/** As the vendors answer; the app in Slack lacks the scope for channels of incidents. */
const REPLIES: Record<string, (base: string) => Reply> = {
  'POST /slack/auth.test': () => ({
    body: { ok: true, team_id: 'T0ACME' },
    headers: { 'x-oauth-scopes': 'chat:write,commands,users:read,users:read.email' },
  }),
  'POST /slack/conversations.info': () => ({ body: { ok: true, channel: { is_member: true } } }),
  'POST /slack/users.lookupByEmail': () => ({
    body: { ok: true, user: { id: 'U0MARA', is_email_confirmed: true } },
  }),
  'GET /github/repos/acme/ai-operations': () => ({ body: { has_issues: true } }),
  'POST /github/repos/acme/ai-operations/issues': () => ({ status: 422 }),
  'POST /pagerduty/v2/enqueue': () => ({ status: 202, body: { status: 'success' } }),
  'GET /pagerduty-rest/oncalls': () => ({ body: { oncalls: [] } }),
  'GET /pagerduty-rest/schedules/PI7DH85': () => ({ body: {} }),
  'GET /oidc/.well-known/openid-configuration': (base) => ({
    body: { issuer: `${base}/oidc`, jwks_uri: `${base}/oidc/jwks` },
  }),
  'GET /oidc/jwks': () => ({ body: { keys: [] } }),
};

export async function doctorPicture(): Promise<Picture> {
  const server = createServer(async (request, response) => {
    await readText(request);
    const { pathname } = new URL(request.url ?? '/', base);
    const reply = REPLIES[`${request.method} ${pathname}`]?.(base) ?? { status: 404 };
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers });
    response.end(JSON.stringify(reply.body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const checks = integrationChecks({ config: configOf(base), secret: () => 'x'.repeat(32), env: {} });
    const findings = (await Promise.all(checks)).flat();
    const missing = findings.filter(({ ok }) => !ok);
    if (missing.length !== 1) throw new Error(`one thing was to be missing: ${JSON.stringify(missing)}`);
    return {
      name: 'cli-doctor',
      alt: 'firebreak doctor in a terminal: one line a check, and one scope of the Slack app missing',
      width: TERMINAL_WIDTH,
      element: terminal('firebreak doctor', findings.map(findingLine).join('\n')),
    };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function configOf(base: string) {
  return configSchema.parse({
    paging: {
      roles: {
        'ml-oncall': {
          channels: [{ type: 'pagerduty', routingKey: 'env:PAGERDUTY_ML', url: `${base}/pagerduty` }],
        },
        commander: {
          channels: [{ type: 'pagerduty', routingKey: 'env:PAGERDUTY_COMMANDER', url: `${base}/pagerduty` }],
        },
      },
      watchdog: { roles: ['ml-oncall'], deadMansSwitch: { url: 'env:HEARTBEAT_URL' } },
    },
    chat: {
      slack: {
        botToken: 'env:SLACK_BOT_TOKEN',
        signingSecrets: ['env:SLACK_SIGNING_SECRET'],
        channel: 'C0123456789',
        teamId: 'T0ACME',
        apiUrl: `${base}/slack/`,
        incidentChannels: {},
      },
    },
    tickets: {
      github: { token: 'env:GITHUB_TOKEN', repository: 'acme/ai-operations', apiUrl: `${base}/github` },
    },
    access: {
      people: [
        { id: 'mara', name: 'Mara', email: 'mara@example.com', groups: ['ml-oncall', 'security-oncall'] },
        { id: 'kim', name: 'Kim', email: 'kim@example.com', groups: ['commander'] },
        { id: 'lee', name: 'Lee', email: 'lee@example.com', groups: ['ai-governance', 'privacy-oncall'] },
      ],
      rules: { responder: ['ml-oncall'], commander: ['commander'] },
      oidc: { issuer: `${base}/oidc`, clientId: 'firebreak' },
      pagerduty: { apiToken: 'env:PAGERDUTY_REST', url: `${base}/pagerduty-rest` },
      onCall: { 'ml-oncall': { pagerduty: { schedules: ['PI7DH85'] } } },
    },
  });
}
