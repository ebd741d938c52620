import { createWebhookChannel } from '../pager-webhook/channel.ts';
import { createPagerDutyChannel } from '../pagerduty/channel.ts';
import type { PagerChannel } from './channel.ts';

/** A channel of the configuration with its secrets read. */
export type PagerChannelConfig =
  | { type: 'pagerduty'; routingKey: string; url: string }
  | { type: 'webhook'; url: string; bearerToken?: string | undefined };

/** Makes a role's channels; names are the types, numbered where a type comes twice (`pagerduty`, `pagerduty-2`). */
export function createPagerChannels(configs: readonly PagerChannelConfig[]): PagerChannel[] {
  const seen = new Map<string, number>();
  return configs.map((config) => {
    const count = (seen.get(config.type) ?? 0) + 1;
    seen.set(config.type, count);
    const name = count === 1 ? config.type : `${config.type}-${count}`;
    return config.type === 'pagerduty'
      ? createPagerDutyChannel({ name, routingKey: config.routingKey, url: config.url })
      : createWebhookChannel({ name, url: config.url, bearerToken: config.bearerToken });
  });
}
