import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApplicationFailure } from '@temporalio/common';
import { Webhook } from 'standardwebhooks';
import type { BreakerProjection } from '../../domain/breaker.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { fail } from '../failure.ts';
import { postJson } from '../paging/post-json.ts';

/**
 * The breaker as a signed webhook (https://www.standardwebhooks.com), for gateways that read neither ConfigMaps nor
 * HTTPRoutes: an edge, a vendor's gateway, another cluster.
 */

/** The specification asks for 24 to 64 bytes of key; a longer one does no harm. */
const MIN_SECRET_BYTES = 24;
/** A lost answer, and one more: the caller comes again every half minute while there is a problem. */
const MAX_ATTEMPTS = 3;
const FIRST_PAUSE_MS = 200;
/** Messages that receivers have taken, remembered so that they are not told the same again and again. */
const MAX_REMEMBERED = 1_000;

export interface TrafficWebhook {
  url: string;
  /** `whsec_` and Base64, or Base64 alone: the key itself. */
  secret: string;
  /** Of one attempt. */
  timeoutMs: number;
}

export interface BreakerWebhooks {
  /**
   * Tells every receiver, each once a message as far as this process knows.
   * @returns what went wrong, by receiver. Never throws.
   */
  send(target: Target, projection: BreakerProjection, budgetMs: number): Promise<string[]>;
}

/**
 * @param cluster its name, for messages.
 * @throws Error naming the webhook whose secret is none: a mistake of configuration.
 */
export function createBreakerWebhooks(cluster: string, webhooks: readonly TrafficWebhook[]): BreakerWebhooks {
  const receivers = webhooks.map((webhook, index) => {
    const where = `clusters.${cluster}.traffic.webhooks[${index}]`;
    return { ...webhook, where, signer: signerOf(webhook.secret, where) };
  });
  const taken = new Set<string>();
  return {
    async send(target, projection, budgetMs) {
      const id = messageId(target, projection);
      // What is sent is what was signed.
      const body = JSON.stringify({ target, projection });
      const deadlineMs = performance.now() + budgetMs;
      const problems = await Promise.all(
        receivers.map(async (receiver) => {
          const key = `${receiver.where} ${id}`;
          if (taken.has(key)) return undefined;
          const problem = await deliver(receiver, id, body, deadlineMs);
          if (problem === undefined) remember(taken, key);
          return problem;
        }),
      );
      return problems.filter((problem) => problem !== undefined);
    },
  };
}

interface Receiver extends TrafficWebhook {
  where: string;
  signer: Webhook;
}

async function deliver(
  { url, where, signer, timeoutMs }: Receiver,
  id: string,
  body: string,
  deadlineMs: number,
): Promise<string | undefined> {
  const what = `breaker webhook ${where} (${new URL(url).host})`;
  let last = fail('Unavailable', `${what}: no time was left for it`);
  for (let attempt = 1, pauseMs = 0; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const leftMs = deadlineMs - performance.now() - pauseMs;
    if (leftMs <= 0) break;
    if (pauseMs > 0) await delay(pauseMs);
    try {
      const now = new Date();
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
        'webhook-signature': signer.sign(id, now, body),
      };
      await postJson({ what, url, body, headers, timeoutMs: Math.ceil(Math.min(timeoutMs, leftMs)) });
      return undefined;
    } catch (error) {
      last = error as ApplicationFailure;
      if (last.nonRetryable) break;
      const wantedMs = typeof last.nextRetryDelay === 'number' ? last.nextRetryDelay : 0;
      pauseMs = Math.max(wantedMs, FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
  return last.message;
}

/**
 * The same for every attempt of one message: command, state, and the lease that it renews. A digest, as the specification
 * separates what is signed by full stops, which ids of commands have.
 */
function messageId(target: Target, { commandId, state, share, validUntil }: BreakerProjection): string {
  const text = JSON.stringify([targetKey(target), commandId, state, share, validUntil]);
  return `msg_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

function signerOf(secret: string, where: string): Webhook {
  const base64 = secret.replace(/^whsec_/, '');
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(base64) && base64.length % 4 === 0;
  if (!isBase64 || Buffer.from(base64, 'base64').length < MIN_SECRET_BYTES) {
    throw new Error(
      `${where}.secret is no key for signing: it takes whsec_ and the Base64 of at least ${MIN_SECRET_BYTES} random bytes`,
    );
  }
  return new Webhook(base64);
}

function remember(taken: Set<string>, key: string): void {
  taken.add(key);
  const [oldest] = taken;
  if (taken.size > MAX_REMEMBERED && oldest !== undefined) taken.delete(oldest);
}
