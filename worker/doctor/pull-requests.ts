import type { Finding } from '../../domain/finding.ts';
import { http, type Probing, probe } from './probe.ts';

/** What cannot be made as it is: refused as invalid where it may be made, and as forbidden where it may not. */
const IMPOSSIBLE = [
  { route: 'git/refs', right: 'Contents: read and write' },
  { route: 'pulls', right: 'Pull requests: read and write' },
];

/** Whether changes could be proposed in each repository: no branch and no pull request is made. */
export function pullRequestChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { github } = config.gitops.pullRequests;
  if (!github) return [];
  const base = github.apiUrl.replace(/\/+$/, '');
  const headers = {
    authorization: `Bearer ${secret(github.token)}`,
    accept: 'application/vnd.github+json',
  };
  const found = github.repositories.map((repository) =>
    probe(`pull requests: ${repository}`, async () => {
      const address = `${base}/repos/${repository}`;
      const { status, data } = await http.get(address, { headers });
      if (status === 401)
        throw new Error(
          'the token is refused: make a new one with Contents and Pull requests: read and write',
        );
      if (status !== 200) throw new Error(`it was answered ${status}: may the token see it?`);
      if ((data as { archived?: boolean }).archived === true) throw new Error('it is archived');
      const untold: string[] = [];
      for (const { route, right } of IMPOSSIBLE) {
        const answer = await http.post(`${address}/${route}`, {}, { headers });
        if (answer.status === 403 || answer.status === 404)
          throw new Error(`the token may read it and not write ${route}: give it ${right}`);
        if (answer.status !== 422 && answer.status !== 400) untold.push(`${right} (${answer.status})`);
      }
      return untold.length === 0
        ? 'branches and pull requests can be made; none was'
        : `it can be read; not told: ${untold.join(', ')}`;
    }),
  );
  return found.map(async (finding) => [await finding]);
}
