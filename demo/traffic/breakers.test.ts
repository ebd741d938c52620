import { describe, expect, it } from 'vitest';
import { BreakerClient } from '../../clients/node/firebreak-breaker.ts';
import { asGateway } from './breakers.ts';
import { seededRandom } from './random.ts';
import { route } from './route.ts';

const START_MS = Date.parse('2026-01-01T12:00:00Z');
const half = {
  state: 'half-open',
  since: '2026-01-01T12:00:00Z',
  reason: 'r',
  fallback: 'spare',
  share: 0.5,
  commandId: 'c',
  validUntil: '2026-01-01T12:05:00Z',
};

describe("the demo's gateway", () => {
  it('sends nothing to the target any more when the lease of a half-open breaker is over', () => {
    let atMs = 0;
    const client = new BreakerClient({ wallClockMs: () => START_MS + atMs, monotonicMs: () => atMs });
    client.take(new Map([['deployment.llm-api', JSON.stringify(half)]]));
    const routed = () => route(1_000, asGateway(client.view('llm-api')), true, seededRandom(1));
    expect(routed().target).toBeGreaterThan(0);
    atMs = 300_000;
    expect(routed()).toEqual({ target: 0, diverted: { to: 'spare', requests: 1_000 }, blocked: 0 });
  });

  it('refuses what is for a target whose breaker it could never read', () => {
    const client = new BreakerClient();
    client.take(new Map([['deployment.llm-api', '{']]));
    expect(asGateway(client.view('llm-api'))).toEqual({ state: 'open', share: 0, fallback: null });
    expect(asGateway(client.view('another'))).toEqual({ state: 'closed', share: 1, fallback: null });
  });
});
