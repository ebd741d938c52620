import type { PagerChannel } from '../activities/paging/index.ts';
import { urlOf } from './config/paging.ts';
import type { FirebreakConfig } from './config/schema.ts';

/** The channels of each role, in order of preference, with the secrets themselves. */
export function pagerChannels(
  config: FirebreakConfig,
  secret: (reference: string) => string,
): Record<string, PagerChannel[]> {
  return Object.fromEntries(
    Object.entries(config.paging.roles).map(([role, { channels }]) => [
      role,
      channels.map(
        (channel): PagerChannel =>
          channel.type === 'pagerduty'
            ? { type: channel.type, url: channel.url, routingKey: secret(channel.routingKey) }
            : {
                type: channel.type,
                template: channel.template,
                url: urlOf(channel.url, secret),
                bearerToken: channel.bearerToken === undefined ? undefined : secret(channel.bearerToken),
              },
      ),
    ]),
  );
}
