import { createEmulator, type Emulator } from 'emulate';

interface SlackSeed {
  /** Logins; each has an e-mail at acme.example. */
  users: readonly string[];
  channel: { name: string; topic: string };
  /** Each with the scopes of the app's manifest that it needs, and no others: more would hide a missing one. */
  tokens: readonly { token: string; user: string; scopes: readonly string[] }[];
}

/** Slack's stateful emulator with one workspace, strict about scopes. */
export function startSlackEmulator({ users, channel, tokens }: SlackSeed): Promise<Emulator> {
  return createEmulator({
    service: 'slack',
    port: 0,
    seed: {
      slack: {
        team: { name: 'Acme', domain: 'acme' },
        users: users.map((name) => ({
          name,
          real_name: `${name.charAt(0).toUpperCase()}${name.slice(1).replace('-', ' ')}`,
          email: `${name}@acme.example`,
        })),
        channels: [channel],
        tokens: tokens.map(({ scopes, ...one }) => ({ ...one, scopes: [...scopes] })),
        strict_scopes: true,
      },
    },
  });
}
