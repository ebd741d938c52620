import type { Finding } from '../../domain/finding.ts';
import { probeJira } from '../doctor-jira.ts';
import { http, PROBE_TIMEOUT_MS, type Probing, probe } from './probe.ts';

type GitHubConfig = NonNullable<Probing['config']['tickets']['github']>;

/** Whether tickets could be opened: no ticket is. */
export function ticketChecks({ config, secret }: Probing): Promise<Finding[]>[] {
  const { github, jira } = config.tickets;
  const found: Promise<Finding>[] = [];
  if (github) found.push(probe('tickets: github', () => gitHub(github, secret(github.token))));
  if (jira)
    found.push(probe('tickets: jira', () => probeJira(jira, secret(jira.apiToken), PROBE_TIMEOUT_MS)));
  return found.map(async (finding) => [await finding]);
}

/** An issue without a title is refused as invalid (422) where issues may be written, and as forbidden (403) where not. */
async function gitHub({ apiUrl, repository }: GitHubConfig, token: string): Promise<string> {
  const address = `${apiUrl.replace(/\/+$/, '')}/repos/${repository}`;
  const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json' };
  const { status, data } = await http.get(address, { headers });
  if (status === 401) throw new Error('the token is refused: make a new one with Issues: read and write');
  if (status !== 200)
    throw new Error(`repository ${repository} was answered ${status}: may the token see it?`);
  if ((data as { has_issues?: boolean }).has_issues === false)
    throw new Error(`issues are switched off in ${repository}`);
  if ((data as { archived?: boolean }).archived === true) throw new Error(`${repository} is archived`);
  const write = await http.post(`${address}/issues`, {}, { headers });
  if (write.status === 403 || write.status === 404)
    throw new Error(`the token may read ${repository} and not open issues: give it Issues: read and write`);
  if (write.status !== 422 && write.status !== 400)
    return `${repository} can be read; whether issues can be opened was not told (${write.status})`;
  return `issues can be opened in ${repository}; none was`;
}
