import { Octokit } from 'octokit';

export interface GitHubClientOptions {
  /** Fine-grained token with Issues: read and write on the repository, or a GitHub App's installation token. */
  token: string;
  /** https://api.github.com, or https://HOST/api/v3 of an Enterprise Server. */
  apiUrl: string;
}

/**
 * A client that asks once and says what happened. Octokit's own retry and throttling would hold an activity for minutes
 * (a secondary rate limit is a minute and more), out of Temporal's sight; here the wait is Temporal's `nextRetryDelay`.
 */
export function createGitHubClient({ token, apiUrl }: GitHubClientOptions): Octokit {
  return new Octokit({
    auth: token,
    baseUrl: apiUrl.replace(/\/+$/, ''),
    userAgent: 'firebreak',
    retry: { enabled: false },
    throttle: { enabled: false },
    // Octokit logs failed requests and deprecations to the console; what matters comes back as an error.
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  });
}
