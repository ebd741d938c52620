import type { FastifyInstance } from 'fastify';
import { EdgeError } from '../errors.ts';

/** What a command line needs to sign somebody in. All of it is public: it stands in every browser's address bar. */
export interface LoginInfo {
  issuer: string;
  clientId: string;
  scopes: readonly string[];
}

/** GET /login: where people of this installation sign in. Asked before anybody is anybody, so without a token. */
export async function loginRoutes(
  app: FastifyInstance,
  { login }: { login?: LoginInfo | undefined },
): Promise<void> {
  app.get('/login', async () => {
    if (login === undefined) {
      throw new EdgeError('not_found', 'This installation has no sign-in with a browser.', {
        hint: 'Use an API token of the access file, or configure access.oidc.',
      });
    }
    const { issuer, clientId, scopes } = login;
    return { issuer, clientId, scopes };
  });
}
