import type { Command } from 'commander';
import type { ApiOptions } from '../api-client.ts';
import { type Io, type Output, plain } from '../output.ts';

interface Context {
  io: Io;
  output: Output;
}
interface Common extends ApiOptions {
  json?: boolean;
}

/** `firebreak login`, `logout` and `whoami`. */
export function addLoginCommands(program: Command, { io, output }: Context): void {
  const warn = (text: string) => output.note(output.colors.yellow(text));
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--url <url>', 'base URL of the server (FIREBREAK_URL; default http://127.0.0.1:8787)')
      .option('--json', 'print JSON');

  add('login', 'sign in with a browser, as one person')
    .option('--device', 'show a code to enter on another device instead')
    .option('--no-browser', 'show the address and open no browser')
    .addHelpText(
      'after',
      `
The server's configuration says where people sign in (access.oidc). The sign-in is kept in a file that only you can read,
and renewed as long as the issuer allows. FIREBREAK_TOKEN and --token-file go before it.`,
    )
    .action(async (options: Common & { device?: boolean; browser: boolean }) => {
      const { apiUrl, createApiClient, readLoginInfo } = await import('../api-client.ts');
      const { signInWithBrowser, signInWithDevice } = await import('../login/sign-in.ts');
      const { whileLocked, writeLogin } = await import('../login/store.ts');
      const server = apiUrl(options, io.env);
      const info = await readLoginInfo(server);
      const openBrowser = async (url: string) => (await import('open')).default(url);
      const tell = (text: string) => output.note(text);
      const login = options.device
        ? await signInWithDevice(info, { tell })
        : await signInWithBrowser(info, { tell, openBrowser: options.browser ? openBrowser : undefined });
      // Not kept before the server has taken it: the issuer knows many people that the access file does not.
      const client = await createApiClient({ ...options, token: login.idToken }, io.env, warn);
      const person = await client.me();
      await whileLocked(io.env.configDir, () => writeLogin(io.env.configDir, server, login));
      if (options.json) return output.json({ person, expiresAtMs: login.expiresAtMs });
      output.print(`Signed in at ${server.origin} as ${plain(person.name)} (${plain(person.id)}).`);
      if (login.refreshToken === undefined) {
        const until = new Date(login.expiresAtMs).toISOString();
        warn(`The issuer gave no refresh token: this lasts until ${until}.`);
      }
    });

  add('logout', 'forget the sign-in, and tell the issuer').action(async (options: Common) => {
    const { apiUrl } = await import('../api-client.ts');
    const { revoke } = await import('../login/sign-in.ts');
    const { readLogin, whileLocked, writeLogin } = await import('../login/store.ts');
    const server = apiUrl(options, io.env);
    const login = await whileLocked(io.env.configDir, async () => {
      const found = await readLogin(io.env.configDir, server);
      // Forgotten first: an issuer that is away keeps nobody signed in here.
      if (found !== undefined) await writeLogin(io.env.configDir, server, undefined);
      return found;
    });
    const revoked = login === undefined ? undefined : await revoke(login);
    if (options.json) return output.json({ signedOut: login !== undefined, revoked: revoked ?? false });
    if (login === undefined) return output.print(`Nobody was signed in at ${server.origin}.`);
    output.print(`Signed out at ${server.origin}.`);
    if (!revoked)
      warn('The issuer could not be told: end the session there as well if this machine is not safe.');
  });

  add('whoami', 'who the server takes you for')
    .option('--token-file <path>', 'file with your API token (instead of FIREBREAK_TOKEN)')
    .action(async (options: Common) => {
      const { createApiClient } = await import('../api-client.ts');
      const client = await createApiClient(options, io.env, warn);
      const person = await client.me();
      if (options.json) return output.json({ person, signedInBy: client.tokenFrom });
      const groups = person.groups.length === 0 ? 'no group' : person.groups.map(plain).join(', ');
      output.print(`${plain(person.name)} (${plain(person.id)}), in ${groups}; by ${client.tokenFrom}`);
    });
}
