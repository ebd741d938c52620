import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createTestEdge, noRecords, SLACK } from './test-support/edge.ts';

const read = (path: string) => parse(readFileSync(new URL(`../deploy/${path}`, import.meta.url), 'utf8'));

describe('what deploy/ tells other systems', () => {
  let app: FastifyInstance;
  beforeAll(async () => {
    ({ app } = await createTestEdge({ records: noRecords, slack: SLACK }));
    await app.ready();
  });
  afterAll(() => app.close());
  const hasRoute = (url: string) => app.hasRoute({ method: 'POST', url: new URL(url).pathname });

  it('sends Alertmanager to a route that there is, with PagerDuty beside it', () => {
    const { receivers } = read('alertmanager/alertmanager.yml');
    const firebreak = receivers.find(({ name }: { name: string }) => name === 'firebreak');
    expect(hasRoute(firebreak.webhook_configs[0].url)).toBe(true);
    expect(firebreak.webhook_configs[0]).toMatchObject({ send_resolved: true, max_alerts: 0 });
    expect(firebreak.pagerduty_configs).toHaveLength(1);
  });

  it('sends Slack to routes that there are', () => {
    const { features, settings } = read('slack/manifest.yaml');
    expect(features.slash_commands.map(({ url }: { url: string }) => hasRoute(url))).toEqual([true]);
    expect(hasRoute(settings.interactivity.request_url)).toBe(true);
  });
});
