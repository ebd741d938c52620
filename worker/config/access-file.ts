/** The access section, inline or in a file of its own: what its values may be together, and how the file is read. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { emailKey } from '../../webhooks/access/email.ts';
import { accessFileSchema, type FirebreakConfig } from './schema.ts';
import {
  type ConfigProblem,
  type Flat,
  type Path,
  type ReadDocument,
  readDocument,
} from './yaml-document.ts';

type AccessConfig = FirebreakConfig['access'];

/** Ten thousand people fit; more is the wrong file. */
export const MAX_ACCESS_FILE_BYTES = 4 * 1024 * 1024;
/** What stays in firebreak.yaml beside `file`: where identities and the pager are asked is the installation's. */
const BESIDE_FILE = new Set(['file', 'oidc', 'pagerduty']);

/** What a text makes of the access section that names it. */
export type ReadAccess =
  | { ok: true; access: AccessConfig }
  | { ok: false; problems: readonly ConfigProblem[] };

/**
 * The configuration with what its access file holds, where it names one.
 * @param folder of firebreak.yaml.
 */
export function mergeAccessFile(
  read: Extract<ReadDocument<FirebreakConfig>, { ok: true }>,
  folder: string,
): { config: FirebreakConfig; problems: ConfigProblem[] } {
  const config = read.value;
  const { file } = config.access;
  if (file === undefined) return { config, problems: [] };
  const path = resolve(folder, file.startsWith('~/') ? join(homedir(), file.slice(2)) : file);
  const problems = besideFile(read.raw).map((key) =>
    read.place({ path: ['access', key], message: 'the access file holds this: write it there' }),
  );
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = code === 'ENOENT' ? 'there is no such file' : `the file cannot be read (${code})`;
    return { config, problems: [...problems, read.place({ path: ['access', 'file'], message })] };
  }
  const merged = parseAccessFile(text, path, config.access);
  if (!merged.ok) return { config, problems: [...problems, ...merged.problems] };
  return { config: { ...config, access: merged.access }, problems };
}

/**
 * Checks the text of an access file.
 * @param file its absolute path: relative `file:` secrets are seen from its folder.
 * @param section what firebreak.yaml says beside it.
 */
export function parseAccessFile(text: string, file: string, section: AccessConfig): ReadAccess {
  if (text.length > MAX_ACCESS_FILE_BYTES) {
    return {
      ok: false,
      problems: [{ path: '', message: `it is larger than ${MAX_ACCESS_FILE_BYTES} bytes`, file }],
    };
  }
  const read = readDocument(text, accessFileSchema);
  if (!read.ok) return { ok: false, problems: read.problems.map((problem) => ({ ...problem, file })) };
  const people = read.value.people.map((person) => ({
    ...person,
    tokens: person.tokens.map((reference) => absoluteSecret(reference, dirname(file))),
  }));
  const access = { ...section, ...read.value, people };
  const problems = accessProblems(access).map((problem) => ({ ...read.place(problem), file }));
  return problems.length > 0 ? { ok: false, problems } : { ok: true, access };
}

/** What each value of the section may be, and all together may not. Paths start below the section. */
export function accessProblems({ people, rules, onCall, oidc, pagerduty }: AccessConfig): Flat[] {
  const found: Flat[] = [];
  const groups = new Set(people.flatMap((person) => person.groups));
  const firstWith = new Map<string, string>();
  people.forEach((person, index) => {
    const email = person.email === undefined ? undefined : emailKey(person.email);
    if (person.email !== undefined && email === undefined) {
      found.push({ path: ['people', index, 'email'], message: 'this is no e-mail address' });
    }
    const claims: [string, Path][] = [
      [`the id ${person.id}`, ['people', index, 'id']],
      ...optional(person.slackUserId, (id): [string, Path] => [
        `the Slack user ${id}`,
        ['people', index, 'slackUserId'],
      ]),
      ...optional(email, (key): [string, Path] => [`the e-mail ${key}`, ['people', index, 'email']]),
      ...person.tokens.map((token, at): [string, Path] => [
        `the token ${token}`,
        ['people', index, 'tokens', at],
      ]),
    ];
    for (const [claim, path] of claims) {
      const owner = firstWith.get(claim);
      if (owner !== undefined) found.push({ path, message: `${claim} is ${owner}'s already` });
      else firstWith.set(claim, person.id);
    }
  });
  for (const role of ['viewer', 'responder', 'commander'] as const) {
    rules[role].forEach((group, index) => {
      if (group !== '*' && !groups.has(group)) {
        found.push({ path: ['rules', role, index], message: `nobody is in the group ${group}` });
      }
    });
  }
  for (const group of Object.keys(onCall)) {
    const members = people.filter((person) => person.groups.includes(group));
    const problem =
      pagerduty === undefined
        ? 'who is on call is asked at PagerDuty: configure access.pagerduty'
        : members.length === 0
          ? `nobody is in the group ${group}`
          : members.every(({ email }) => email === undefined)
            ? `nobody in the group ${group} has an email, so nobody would be found on call`
            : undefined;
    if (problem !== undefined) found.push({ path: ['onCall', group], message: problem });
  }
  if (oidc !== undefined && !isSafe(oidc.issuer)) {
    found.push({
      path: ['oidc', 'issuer'],
      message: 'an issuer that is not on this machine has to be https',
    });
  }
  return found;
}

/** Keys of another kind stay beside `file`; `access` is an object here, or the schema would have refused it. */
function besideFile(raw: unknown): string[] {
  const { access } = raw as { access: Record<string, unknown> };
  return Object.keys(access).filter((key) => !BESIDE_FILE.has(key));
}

function absoluteSecret(reference: string, folder: string): string {
  if (!reference.startsWith('file:')) return reference;
  const path = reference.slice('file:'.length);
  return `file:${resolve(folder, path.startsWith('~/') ? join(homedir(), path.slice(2)) : path)}`;
}

/** Keys that are fetched over plain HTTP are whoever's sits between. */
function isSafe(issuer: string): boolean {
  const { protocol, hostname } = new URL(issuer);
  return protocol === 'https:' || /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname);
}

function optional<T, U>(value: T | undefined, make: (value: T) => U): U[] {
  return value === undefined ? [] : [make(value)];
}
