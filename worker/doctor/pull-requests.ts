import type { Finding } from '../../domain/finding.ts';
import { http, type Probing, probe } from './probe.ts';

interface Repository {
  archived?: boolean;
  permissions?: { push?: boolean };
}

/** Whether changes could be proposed in each repository: no branch and no pull request is made. */
export function pullRequestChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { github } = config.gitops.pullRequests;
  if (!github) return [];
  const base = github.apiUrl.replace(/\/+$/, '');
  const found = github.repositories.map((repository) =>
    probe(`pull requests: ${repository}`, async () => {
      const { status, data } = await http.get(`${base}/repos/${repository}`, {
        headers: {
          authorization: `Bearer ${secret(github.token)}`,
          accept: 'application/vnd.github+json',
        },
      });
      if (status === 401)
        throw new Error(
          'the token is refused: make a new one with Contents and Pull requests: read and write',
        );
      if (status !== 200) throw new Error(`it was answered ${status}: may the token see it?`);
      const { archived, permissions } = data as Repository;
      if (archived === true) throw new Error('it is archived');
      if (permissions?.push !== true)
        throw new Error('the token may read it and not write: give it Contents: read and write');
      return 'branches can be written; whether pull requests can be opened is not told before one is';
    }),
  );
  return found.map(async (finding) => [await finding]);
}
