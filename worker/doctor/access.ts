import type { Finding } from '../../domain/finding.ts';
import { loadRunbooks } from '../../runbooks/load.ts';
import { installationOf } from '../config/installation.ts';
import { http, type Probing, probe } from './probe.ts';

/** Whether decisions can be taken at all: by the groups that runbooks name, and by people who can be known. */
export function accessChecks(probing: Probing): Promise<Finding[]>[] {
  const { config } = probing;
  const { people, oidc } = config.access;
  const active = people.filter((person) => person.active);
  const found = [
    probe('access: people', async () => {
      if (active.length === 0) throw new Error('nobody can decide anything: add access.people');
      const unknowable = active.filter(
        ({ tokens, email, slackUserId }) =>
          tokens.length === 0 && email === undefined && slackUserId === undefined,
      );
      if (unknowable.length > 0)
        throw new Error(
          `${unknowable.map(({ id }) => id).join(', ')} cannot be told from anybody: give an e-mail, a Slack user id or a token`,
        );
      return `${active.length} active`;
    }),
    ...(['responder', 'commander'] as const).map((rule) =>
      probe(`access: ${rule}s`, async () => {
        const groups = config.access.rules[rule];
        const members = active.filter(
          ({ groups: own }) => groups.includes('*') || own.some((group) => groups.includes(group)),
        );
        if (members.length === 0)
          throw new Error(
            `nobody is a ${rule}: name groups under access.rules.${rule}, and put people in them`,
          );
        return members.map(({ id }) => id).join(', ');
      }),
    ),
    probe('access: approvers', () => approvers(probing)),
  ];
  if (oidc) found.push(probe('access: oidc', () => discovery(oidc)));
  return found.map(async (finding) => [await finding]);
}

/** Every approval of every runbook has as many people as it asks for. */
async function approvers({ config }: Probing): Promise<string> {
  const installation = installationOf(config);
  const { runbooks } = await loadRunbooks(config.runbooks.paths, {
    inputs: config.runbooks.inputs,
    installation,
  });
  const short: string[] = [];
  const groups = new Set<string>();
  for (const runbook of runbooks) {
    for (const { id, approval } of runbook.steps) {
      if (!approval) continue;
      for (const group of approval.from) groups.add(group);
      const people = new Set(approval.from.flatMap((group) => installation.groups?.[group] ?? []));
      if (people.size < approval.count)
        short.push(
          `${runbook.name}: ${id} wants ${approval.count} of ${approval.from.join(' or ')}, which have ${people.size}`,
        );
    }
  }
  if (short.length > 0) throw new Error(`${short.join('; ')}: nobody could approve these; see access.people`);
  return groups.size === 0 ? 'no runbook asks for an approval' : `enough people in ${[...groups].join(', ')}`;
}

/** OpenID Connect Discovery 1.0, section 4: the issuer names itself, and where its keys are. */
async function discovery({ issuer }: { issuer: string }): Promise<string> {
  const { status, data } = await http.get(`${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`);
  if (status !== 200)
    throw new Error(`its discovery document was answered ${status}: is access.oidc.issuer right?`);
  const document = data as { issuer?: string; jwks_uri?: string };
  if (document.issuer !== issuer)
    throw new Error(
      'its discovery document names another issuer: write access.oidc.issuer exactly as it does',
    );
  if (document.jwks_uri === undefined) throw new Error('its discovery document names no keys (jwks_uri)');
  const keys = await http.get(document.jwks_uri);
  if (keys.status !== 200) throw new Error(`its keys were answered ${keys.status}`);
  return 'its discovery document and keys are there';
}
