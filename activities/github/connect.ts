import { Octokit } from 'octokit';
import { fail } from '../failure.ts';

/**
 * A client that tries once: waiting and trying again are the workflow's.
 * @param options.apiUrl https://api.github.com, or https://HOST/api/v3 of GitHub Enterprise Server.
 * @param options.setting where both stand in the configuration, for messages.
 */
export function connectGitHub(options: { token: string; apiUrl: string; setting: string }): Octokit {
  const silent = () => undefined;
  const octokit = new Octokit({
    auth: options.token,
    baseUrl: options.apiUrl.replace(/\/+$/, ''),
    userAgent: 'firebreak',
    retry: { enabled: false },
    throttle: { enabled: false },
    log: { debug: silent, info: silent, warn: silent, error: silent },
  });
  // Pages for people are answered 200 too, and Octokit passes their text on: it would be taken for an empty list.
  octokit.hook.after('request', ({ data, status }) => {
    if (status === 204 || (typeof data === 'object' && data !== null)) return;
    throw fail(
      'Unavailable',
      `GitHub answered something else than JSON: is ${options.setting}.apiUrl right (https://HOST/api/v3 of an Enterprise Server)?`,
    );
  });
  return octokit;
}
