import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { IncidentView } from '../domain/incident.ts';
import type { PagesGateway } from './gateway/pages-gateway.ts';
import { measurePages, PageAttempts } from './paging-metrics.ts';
import { viewOf } from './test-support/incident.ts';

const UNDELIVERED = [{ role: 'ml-oncall', sinceMs: 1 }];

function measured(
  incidents: () => IncidentView[],
  watchdog?: Awaited<ReturnType<PagesGateway['describeWatchdog']>>,
) {
  const registry = new Registry();
  const attempts = new PageAttempts();
  let nowMs = 0;
  measurePages(registry, {
    records: { listIncidents: async () => incidents() },
    pages: { describeWatchdog: async () => watchdog } as PagesGateway,
    attempts,
    now: () => nowMs,
  });
  return {
    attempts,
    later: () => {
      nowMs += 10_000;
    },
    value: async (name: string) =>
      (await registry.metrics())
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length + 1),
  };
}

describe('the metrics of pages', () => {
  it('count pages of open incidents and of the watchdog that nobody has taken', async () => {
    const resolved = { ...viewOf(), undelivered: UNDELIVERED, milestones: { resolved: 5 } };
    const open = { ...viewOf(), undelivered: [...UNDELIVERED, { role: 'commander', sinceMs: 2 }] };
    const { value } = measured(() => [resolved, open, viewOf()], {
      settings: { alertname: 'Watchdog', withinMs: 1, roles: [] },
      lastSeenMs: 1_500,
      everSeen: true,
      undelivered: UNDELIVERED,
    });
    expect(await value('firebreak_pages_undelivered')).toBe('3');
    expect(await value('firebreak_watchdog_last_seen_timestamp_seconds')).toBe('1.5');
  });

  it('say that they do not know, instead of zero', async () => {
    let away = true;
    const { value, later } = measured(() => {
      if (away) throw new Error('the records are away');
      return [];
    });
    expect(await value('firebreak_pages_undelivered')).toBe('Nan');
    expect(await value('firebreak_watchdog_last_seen_timestamp_seconds')).toBe('Nan');
    away = false;
    later();
    expect(await value('firebreak_pages_undelivered')).toBe('0');
  });

  it('count attempts by what became of them', async () => {
    const { attempts, value } = measured(() => []);
    attempts.count('accepted');
    attempts.count('unavailable');
    attempts.count('unavailable');
    expect(await value('firebreak_page_attempts_total{result="accepted"}')).toBe('1');
    expect(await value('firebreak_page_attempts_total{result="unavailable"}')).toBe('2');
    expect(await value('firebreak_page_attempts_total{result="refused"}')).toBe('0');
  });
});
