import { CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PagerDutySink, startPagerDutySink } from '../../demo/vendors/pagerduty-sink.ts';
import { startWebhookSink, type WebhookSink } from '../../demo/vendors/webhook-sink.ts';
import type { PageInput } from '../contract.ts';
import { createPagingActivities, type PagerChannel } from './index.ts';

const ROUTING_KEY = 'abcdef0123456789abcdef0123456789';
/** Answers come within milliseconds; this is for the one that never comes. */
const TIMEOUT_MS = 2_000;

const PAGE: PageInput = {
  incidentId: 'inc-1',
  role: 'ml-oncall',
  dedupKey: 'inc-1-r1',
  title: 'Harmful output of llm-api',
  severity: 'SEV2',
  details: {},
  links: [],
};
const KEY = { incidentId: PAGE.incidentId, role: PAGE.role, dedupKey: PAGE.dedupKey };

describe('paging a role', () => {
  let pagerDuty: PagerDutySink;
  let webhook: WebhookSink;
  beforeEach(async () => {
    [pagerDuty, webhook] = await Promise.all([startPagerDutySink(), startWebhookSink()]);
  });
  afterEach(async () => {
    await Promise.all([pagerDuty.close(), webhook.close()]);
  });

  function activities(channels?: PagerChannel[]) {
    const both: PagerChannel[] = [
      { type: 'pagerduty', routingKey: ROUTING_KEY, url: pagerDuty.url },
      { type: 'webhook', url: webhook.url },
    ];
    return createPagingActivities({
      roles: { 'ml-oncall': channels ?? both, nobody: [] },
      timeoutMs: TIMEOUT_MS,
    });
  }

  it('ends with the first channel that accepts', async () => {
    const { accepted } = await activities().sendPage(PAGE);
    expect(accepted).toMatchObject({ channel: 'pagerduty', reference: PAGE.dedupKey });
    expect(Math.abs(Date.now() - accepted.atMs)).toBeLessThan(60_000);
    expect(pagerDuty.pages()).toHaveLength(1);
    expect(webhook.requests()).toBe(0);
  });

  it.each([400, 429, 503])('falls over to the next channel when the first answers %i', async (status) => {
    pagerDuty.respondWith({ status, times: 1 });
    const { accepted } = await activities().sendPage(PAGE);
    expect(accepted.channel).toBe('webhook');
    expect(pagerDuty.pages()).toEqual([]);
    expect(webhook.pages()).toHaveLength(1);
  });

  it('falls over to the next channel when the first does not answer', async () => {
    pagerDuty.respondWith({ status: 503, times: 1, silent: true });
    expect((await activities().sendPage(PAGE)).accepted.channel).toBe('webhook');
  });

  it('names every channel and why when all fail, and is retried when one may recover', async () => {
    pagerDuty.respondWith({ status: 400, times: 1 });
    webhook.respondWith({ status: 503, times: 1 });
    await expect(activities().sendPage(PAGE)).rejects.toMatchObject({
      type: 'Unavailable',
      nonRetryable: false,
      message:
        'no channel accepted the page of ml-oncall: paging.roles.ml-oncall.channels[0] (pagerduty): PagerDuty trigger was answered 400; paging.roles.ml-oncall.channels[1] (webhook): the page to the webhook was answered 503',
    });
  });

  it('is not retried when no channel can recover', async () => {
    pagerDuty.respondWith({ status: 400, times: 1 });
    webhook.respondWith({ status: 401, times: 1 });
    await expect(activities().sendPage(PAGE)).rejects.toMatchObject({
      type: 'InvalidInput',
      nonRetryable: true,
    });
  });

  it('waits as long as the channel wants that may be tried first again', async () => {
    pagerDuty.respondWith({ status: 429, retryAfterSeconds: 30, times: 1 });
    webhook.respondWith({ status: 429, retryAfterSeconds: 4, times: 1 });
    await expect(activities().sendPage(PAGE)).rejects.toMatchObject({
      type: 'RateLimited',
      nextRetryDelay: 4_000,
    });
  });

  it('does not wait for a rate limit while another channel may be back at once', async () => {
    pagerDuty.respondWith({ status: 429, retryAfterSeconds: 30, times: 1 });
    webhook.respondWith({ status: 503, times: 1 });
    const failure = await activities()
      .sendPage(PAGE)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ type: 'Unavailable', nonRetryable: false });
    expect((failure as { nextRetryDelay?: number }).nextRetryDelay ?? undefined).toBeUndefined();
  });

  it('honours the delay of a rate limit when the other channels refuse for good', async () => {
    pagerDuty.respondWith({ status: 429, retryAfterSeconds: 30, times: 1 });
    webhook.respondWith({ status: 404, times: 1 });
    await expect(activities().sendPage(PAGE)).rejects.toMatchObject({
      type: 'RateLimited',
      nextRetryDelay: 30_000,
    });
  });

  it.each(['nobody', 'unknown', 'constructor'])('says what to configure for role "%s"', async (role) => {
    const refusal = {
      type: 'InvalidInput',
      nonRetryable: true,
      message: expect.stringContaining(`paging.roles.${role}`),
    };
    await expect(activities().sendPage({ ...PAGE, role })).rejects.toMatchObject(refusal);
    await expect(activities().updatePage({ ...KEY, role, action: 'resolve' })).rejects.toMatchObject(refusal);
  });

  it('tells channels of one kind apart', async () => {
    const pagers = activities([
      { type: 'webhook', url: `${webhook.url}/a` },
      { type: 'webhook', url: `${webhook.url}/b` },
    ]);
    webhook.respondWith({ status: 503, times: 1 });
    expect((await pagers.sendPage(PAGE)).accepted.channel).toBe('webhook-2');
    expect(await pagers.updatePage({ ...KEY, action: 'resolve' })).toEqual({
      updated: ['webhook', 'webhook-2'],
    });
  });

  it('updates the page wherever it may be, even where it seemed to fail', async () => {
    pagerDuty.respondWith({ status: 202, times: 1, silent: true });
    await activities().sendPage(PAGE);
    expect(await activities().updatePage({ ...KEY, action: 'acknowledge' })).toEqual({
      updated: ['pagerduty', 'webhook'],
    });
    expect(pagerDuty.pages()).toMatchObject([{ acknowledged: true }]);
    expect(webhook.pages()).toMatchObject([{ acknowledged: true }]);
  });

  it('resolves elsewhere when a channel refuses for good', async () => {
    await activities().sendPage(PAGE);
    webhook.respondWith({ status: 401, times: 1 });
    expect(await activities().updatePage({ ...KEY, action: 'resolve' })).toEqual({ updated: ['pagerduty'] });
    expect(pagerDuty.pages()).toMatchObject([{ resolved: true }]);
  });

  it('resolves elsewhere and is tried again when a channel may recover', async () => {
    await activities().sendPage(PAGE);
    webhook.respondWith({ status: 503, times: 1 });
    await expect(activities().updatePage({ ...KEY, action: 'resolve' })).rejects.toMatchObject({
      type: 'Unavailable',
      message: expect.stringContaining('channels[1] (webhook)'),
    });
    expect(pagerDuty.pages()).toMatchObject([{ resolved: true }]);
  });

  it('fails when no channel took an update', async () => {
    pagerDuty.respondWith({ status: 400, times: 1 });
    webhook.respondWith({ status: 404, times: 1 });
    const updating = activities().updatePage({ ...KEY, action: 'resolve' });
    await expect(updating).rejects.toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  });

  it('tries no further channel once it is cancelled', async () => {
    pagerDuty.respondWith({ status: 503, times: 1, silent: true });
    const environment = new MockActivityEnvironment();
    const sending = environment.run(activities().sendPage, PAGE);
    const outcome = sending.catch((error: unknown) => error);
    await vi.waitFor(() => expect(pagerDuty.requests()).toBe(1));
    environment.cancel();
    expect(await outcome).toBeInstanceOf(CancelledFailure);
    expect(webhook.requests()).toBe(0);
  });

  it('heartbeats while it waits for a vendor', async () => {
    pagerDuty.respondWith({ status: 503, times: 1, silent: true });
    const environment = new MockActivityEnvironment();
    let heartbeats = 0;
    environment.on('heartbeat', () => {
      heartbeats += 1;
    });
    await environment.run(activities().sendPage, PAGE);
    expect(heartbeats).toBeGreaterThan(0);
  });
});
