import axios from 'axios';
import type { WatchdogActivities } from '../contract.ts';
import { fromAxios } from '../failure.ts';

/** The service waits for minutes: a request that takes longer than this is better made anew. */
const TIMEOUT_MS = 10_000;

/**
 * Feeds an outside dead man's switch: a POST without a body while all is well, as Healthchecks.io
 * (https://healthchecks.io/docs/http_api: HEAD, GET and POST; 200 is success) and services like it take it. Nothing of an
 * incident is sent. Redirects are not followed, as the address is a secret.
 * @param options absent: none is configured.
 */
export function createWatchdogActivities(
  options: { url: string; timeoutMs?: number } | undefined,
): WatchdogActivities {
  return {
    /** @throws RateLimited, Unavailable (no answer, 5xx); others as answered: 404 is an address that is wrong. */
    async feedDeadMansSwitch() {
      if (options === undefined) return { fed: false };
      try {
        await axios.post(options.url, undefined, {
          signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
          maxRedirects: 0,
          maxContentLength: 64 * 1024,
        });
      } catch (error) {
        throw fromAxios(error, "the dead man's switch");
      }
      return { fed: true };
    },
  };
}
