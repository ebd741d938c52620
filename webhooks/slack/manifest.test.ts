import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = ['deploy/slack/manifest.yaml', 'deploy/slack/manifest-socket-mode.yaml'];
/** Where the Web API is called with the bot token. */
const CALLERS = [
  'activities/slack',
  'activities/notifications',
  'webhooks/slack',
  'webhooks/access',
  'worker',
];

/**
 * The bot scopes of each method that is called, for public and private channels
 * (https://docs.slack.dev/reference/methods, "Scopes" of each). `optional`: of a feature that has to be switched on.
 */
const SCOPES: Record<string, { scopes: readonly string[]; optional?: true }> = {
  'auth.test': { scopes: [] },
  'views.open': { scopes: [] },
  'chat.getPermalink': { scopes: [] },
  'chat.postMessage': { scopes: ['chat:write'] },
  'chat.postEphemeral': { scopes: ['chat:write'] },
  'chat.update': { scopes: ['chat:write'] },
  'conversations.history': { scopes: ['channels:history', 'groups:history'] },
  'conversations.replies': { scopes: ['channels:history', 'groups:history'] },
  'users.info': { scopes: ['users:read', 'users:read.email'] },
  'users.lookupByEmail': { scopes: ['users:read.email'] },
  'conversations.info': { scopes: ['channels:read', 'groups:read'], optional: true },
  'conversations.list': { scopes: ['channels:read', 'groups:read'], optional: true },
  'conversations.create': { scopes: ['channels:manage', 'groups:write'], optional: true },
  'conversations.setTopic': { scopes: ['channels:manage', 'groups:write'], optional: true },
  'conversations.setPurpose': { scopes: ['channels:manage', 'groups:write'], optional: true },
  'conversations.invite': { scopes: ['channels:manage', 'groups:write'], optional: true },
  'conversations.archive': { scopes: ['channels:manage', 'groups:write'], optional: true },
  'usergroups.users.list': { scopes: ['usergroups:read'], optional: true },
};
const FAMILIES =
  'api|apps|auth|bookmarks|canvases|chat|conversations|dnd|emoji|files|pins|reactions|usergroups|views';
const METHOD = new RegExp(
  `\\b(?:${FAMILIES})\\s*\\.\\s*(?:connections\\s*\\.\\s*|users\\s*\\.\\s*)?[a-z]\\w*(?=\\s*[(\`]|',\\s*\\{)|\\busers\\s*\\.\\s*(?:info|list|lookupByEmail|getPresence|profile)(?=\\s*[(\`.]|',\\s*\\{)`,
  'g',
);

/** Methods that the sources call, by `client.family.method(`, by the address, or as `call(..., 'method', { arguments })`. */
function calledMethods(): Set<string> {
  const sources = CALLERS.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(path.join(ROOT, folder, name), 'utf8')),
  );
  const code = sources
    .filter((text) => text.includes('lack'))
    .map((text) => text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, ''));
  return new Set(
    code.flatMap((text) => [...text.matchAll(METHOD)].map(([found]) => found.replace(/\s+/g, ''))),
  );
}

interface Manifest {
  display_information: {
    name: string;
    description: string;
    long_description: string;
    background_color: string;
  };
  features: {
    app_home: { messages_tab_enabled: boolean; messages_tab_read_only_enabled: boolean };
    bot_user: { display_name: string };
    slash_commands: {
      command: string;
      url?: string;
      description: string;
      usage_hint: string;
      should_escape: boolean;
    }[];
  };
  oauth_config: { scopes: { bot: string[]; user?: string[] } };
  settings: { socket_mode_enabled: boolean; interactivity: { is_enabled: boolean; request_url?: string } };
}

describe.each(FILES)('%s', (file) => {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  const manifest = parse(text) as Manifest;

  /** https://docs.slack.dev/reference/app-manifest */
  it('keeps the limits of manifests', () => {
    const { display_information: shown, features } = manifest;
    expect(shown.name.length).toBeLessThanOrEqual(35);
    expect(shown.description.length).toBeLessThanOrEqual(140);
    expect(shown.long_description.length).toBeGreaterThanOrEqual(174);
    expect(shown.long_description.length).toBeLessThanOrEqual(4_000);
    expect(shown.background_color).toMatch(/^#([0-9a-f]{3}|[0-9a-f]{6})$/i);
    expect(features.bot_user.display_name).toMatch(/^[a-z0-9_.-]{1,80}$/);
    expect(features.slash_commands.length).toBeLessThanOrEqual(50);
    for (const { command, description, usage_hint, url } of features.slash_commands) {
      expect(command).toMatch(/^\/[a-z0-9_-]{1,31}$/);
      expect(description.length).toBeLessThanOrEqual(2_000);
      expect(usage_hint.length).toBeLessThanOrEqual(1_000);
      if (url !== undefined) expect(url).toMatch(/^https:\/\//);
    }
  });

  it('sends mentions as ids: a name is not who somebody is', () => {
    expect(manifest.features.slash_commands.map(({ should_escape }) => should_escape)).toEqual([true]);
  });

  /** chat.postMessage answers messages_tab_disabled else: https://docs.slack.dev/reference/methods/chat.postMessage#errors */
  it('takes direct messages of reminders, and no replies that nobody reads', () => {
    expect(manifest.features.app_home).toMatchObject({
      messages_tab_enabled: true,
      messages_tab_read_only_enabled: true,
    });
  });

  it('has addresses over HTTP, and none in Socket Mode', () => {
    const { settings, features } = manifest;
    const addresses = [settings.interactivity.request_url, ...features.slash_commands.map(({ url }) => url)];
    expect(settings.interactivity.is_enabled).toBe(true);
    expect(addresses.every((address) => (address === undefined) === settings.socket_mode_enabled)).toBe(true);
  });

  it('asks for the scopes of the methods that are called, and for no others', () => {
    const called = [...calledMethods()];
    expect(called.filter((method) => SCOPES[method] === undefined)).toEqual([]);
    const unused = Object.entries(SCOPES).filter(
      ([method, { scopes }]) => scopes.length > 0 && !called.includes(method),
    );
    expect(unused).toEqual([]);
    const needed = (optional: true | undefined) =>
      Object.values(SCOPES).flatMap((method) => (method.optional === optional ? method.scopes : []));
    expect(manifest.oauth_config.scopes.user ?? []).toEqual([]);
    expect(new Set(manifest.oauth_config.scopes.bot)).toEqual(new Set(['commands', ...needed(undefined)]));
    // Those of features that are off are there to be switched on.
    const offered = [...text.matchAll(/^ +# - ([a-z:.]+)$/gm)].map(([, scope]) => scope);
    expect(new Set(offered)).toEqual(new Set(needed(true)));
  });
});
