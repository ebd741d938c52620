import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SlackSide } from '../test-support/slack-side.ts';
import { respondTo, slackOnlyFetch } from './outbound.ts';

describe('what is sent to Slack', () => {
  let slack: SlackSide;
  beforeEach(async () => {
    slack = new SlackSide();
    await slack.start();
  });
  afterEach(() => slack.stop());
  const ours = () => slackOnlyFetch(`${slack.origin}/api/`, { waitsForRateLimits: true });

  it('is sent again after as long as Slack says', async () => {
    slack.rateLimited.set('/respond/9', { times: 2, retryAfterSeconds: 1 });
    const from = performance.now();
    await respondTo(ours(), `${slack.origin}/respond/9`)({ text: 'recorded' });
    expect(slack.received).toHaveLength(3);
    expect(performance.now() - from).toBeGreaterThanOrEqual(2_000);
  });

  it('is not waited for longer than a stop of the process waits', async () => {
    slack.rateLimited.set('/respond/9', { times: 1, retryAfterSeconds: 31 });
    await expect(respondTo(ours(), `${slack.origin}/respond/9`)({ text: 'recorded' })).rejects.toThrow('429');
    expect(slack.received).toHaveLength(1);
  });

  it('is not waited for at all where it would be too late, or was not asked for', async () => {
    slack.rateLimited.set('/api/views.open', { times: 2, retryAfterSeconds: 1 });
    expect((await ours()(`${slack.origin}/api/views.open`, { method: 'POST' })).status).toBe(429);
    const other = slackOnlyFetch(`${slack.origin}/api/`);
    expect((await other(`${slack.origin}/api/views.open`, { method: 'POST' })).status).toBe(429);
  });

  it.each([
    'http://hooks.slack.com/x',
    'https://hooks.slack.com.evil.example/x',
    'https://evil.example/',
    'http://169.254.169.254/latest/meta-data',
  ])('never goes to %s', async (url) => {
    await expect(ours()(url)).rejects.toThrow('not Slack');
  });
});
