/** The same alert delivered again: at once two hundred times, resolved only, and after the incident was closed. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { RunningNode } from '../../demo/world/node.ts';
import { type Installation, install } from '../e2e/installation.ts';
import {
  dedupKeyOf,
  deliver,
  deliverRaw,
  harmDelivery,
  type IntakeAnswer,
  workflowIdFor,
} from './alert-deliveries.ts';
import { type TemporalRights, takeTemporalRights } from './temporal-rights.ts';
import {
  apiOf,
  incidentIdOf,
  incidentWhen,
  openIncident,
  shipRevisions,
  stepOf,
} from './waiting-incident.ts';

const STORM = 'duplicates-storm';
const RESOLVED = 'duplicates-resolved';
const CLOSED = 'duplicates-closed';
const DELIVERIES = 200;
const REPEATS = 5;
const SOON_MS = 30_000;
/** Alertmanager's pauses between tries (cenkalti/backoff's defaults). */
const FIRST_PAUSE_MS = 500;
const PAUSE_GROWTH = 1.5;

let installation: Installation;
let temporal: TemporalRights;
const nodes: RunningNode[] = [];

beforeAll(async () => {
  installation = await install({
    name: 'duplicates',
    namespaces: { [STORM]: 'approve', [RESOLVED]: 'approve', [CLOSED]: 'approve' },
  });
  temporal = await takeTemporalRights(installation);
  for (const namespace of [STORM, RESOLVED, CLOSED]) nodes.push(await shipRevisions(installation, namespace));
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await temporal?.close();
  await installation?.close();
});

/** Roles paged under the first page's key, with how often each was triggered. */
async function pagesOf(namespace: string): Promise<Record<string, number>> {
  const pages: Record<string, number> = {};
  for (const role of ['ml-oncall', 'security-oncall', 'commander']) {
    const key = (
      await readFile(path.join(installation.firebreak.dir, 'secrets', `pagerduty-${role}`), 'utf8')
    ).trim();
    for (const page of installation.vendors.pagerDuty.pages()) {
      if (page.routingKey === key && page.dedupKey === dedupKeyOf(namespace))
        pages[role] = (pages[role] ?? 0) + page.triggers;
    }
  }
  return pages;
}

async function ticketsOf(incidentId: string) {
  const issues = await installation.vendors.emulators.github.issues();
  return issues.filter(
    ({ body, labels }) => labels.includes('firebreak-ticket') && body.includes(incidentId),
  );
}

describe('200 identical deliveries at once', () => {
  it('open one incident, with one page a role and one ticket', async () => {
    const bytes = JSON.stringify(harmDelivery(STORM));
    // As Alertmanager does it: again after a 503 (Temporal did not take it in time), later each time.
    let refused = 0;
    const send = async (pauseMs = FIRST_PAUSE_MS): Promise<IntakeAnswer> => {
      const answer = await deliverRaw(installation, bytes);
      if (answer.status !== 503) return answer;
      refused++;
      await setTimeout(pauseMs);
      return send(pauseMs * PAUSE_GROWTH);
    };
    const answers = await Promise.all(Array.from({ length: DELIVERIES }, () => send()));
    console.info(`${DELIVERIES} deliveries at once: ${refused} times 503`);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.flatMap(({ body }) => body.incidents))).toEqual(new Set([workflowIdFor(STORM)]));

    const incidentId = await incidentIdOf(installation, workflowIdFor(STORM));
    const view = await incidentWhen(
      installation,
      incidentId,
      'having taken all of them, paged and opened its ticket',
      (candidate) =>
        (candidate.alerts[0]?.deliveries ?? 0) >= DELIVERIES &&
        stepOf(candidate, 'page')?.status === 'succeeded' &&
        stepOf(candidate, 'ticket')?.status === 'succeeded',
    );
    expect(view.alerts).toHaveLength(1);
    // One that was answered 503 may have been taken all the same: counted, it changes nothing else.
    expect(view.duplicateDeliveries).toBeLessThanOrEqual(DELIVERIES - 1 + refused);
    expect(view.duplicateDeliveries).toBeGreaterThanOrEqual(DELIVERIES - 1);
    expect(view.timeline.filter(({ kind }) => kind === 'alert')).toHaveLength(1);
    expect(await apiOf(installation, 'maria').incidentsIn(STORM)).toHaveLength(1);
    expect(await pagesOf(STORM)).toEqual({ 'ml-oncall': 1, 'security-oncall': 1 });
    expect(await ticketsOf(incidentId)).toHaveLength(1);

    const ids = await pollUntil('the incident being listed by Temporal', SOON_MS, async () => {
      const all = await temporal.workflowIds();
      return all.includes(workflowIdFor(STORM)) ? all : undefined;
    });
    expect(ids.filter((id) => id.startsWith('incident-'))).toEqual([workflowIdFor(STORM)]);
    expect(ids.filter((id) => id.startsWith('paging-'))).toHaveLength(1);
  });
});

describe('a delivery with resolved alerts only', () => {
  it('is answered, and starts nothing', async () => {
    const answer = await deliver(installation, harmDelivery(RESOLVED, { status: 'resolved' }));
    expect(answer).toMatchObject({ status: 200, body: { accepted: 1, incidents: [] } });
    expect(await temporal.exists(workflowIdFor(RESOLVED))).toBe(false);
    expect(await apiOf(installation, 'maria').incidentsIn(RESOLVED)).toEqual([]);
    // The same alert does start one while it fires: what is checked above can be seen.
    const firing = await deliver(installation, harmDelivery(RESOLVED));
    expect(firing.body.incidents).toEqual([workflowIdFor(RESOLVED)]);
    expect(await temporal.exists(workflowIdFor(RESOLVED))).toBe(true);
  });
});

describe('after an incident was closed', () => {
  it('a still-firing alert is counted and told once, and one that fires anew opens a linked incident', async () => {
    const incidentId = await openIncident(installation, CLOSED);
    await incidentWhen(
      installation,
      incidentId,
      'having paged everybody and opened its ticket',
      (view) =>
        stepOf(view, 'ticket')?.status === 'succeeded' &&
        ['ml-oncall', 'security-oncall', 'commander'].every((role) =>
          view.pages.some((page) => page.role === role),
        ),
    );
    const resolved = await apiOf(installation, 'kim').call('POST', `/incidents/${incidentId}/resolve`, {
      reason: 'handed over to the team of the model',
    });
    expect(resolved.status).toBe(200);
    const closed = await incidentWhen(
      installation,
      incidentId,
      'being closed',
      (view) => view.state === 'closed',
    );
    expect(closed.alerts[0]?.status).toBe('firing');
    const triggersBefore = triggersOf(CLOSED);
    expect(triggersBefore).toBeGreaterThanOrEqual(2);

    for (let sent = 0; sent < REPEATS; sent++) {
      const startsAt = new Date(Date.UTC(2026, 2, 1, 10, sent)).toISOString();
      const answer = await deliver(installation, harmDelivery(CLOSED, { startsAt }));
      expect(answer.status).toBe(200);
    }
    const after = await incidentWhen(
      installation,
      incidentId,
      'having counted the repeats',
      (view) => view.alerts[0]?.deliveries === 1 + REPEATS,
    );
    expect(after.state).toBe('closed');
    expect(
      after.timeline.filter(({ text }) => text.includes('still firing after it was resolved')),
    ).toHaveLength(1);
    expect(await apiOf(installation, 'maria').incidentsIn(CLOSED)).toHaveLength(1);
    expect(triggersOf(CLOSED)).toBe(triggersBefore);
    expect(await ticketsOf(incidentId)).toHaveLength(1);

    await deliver(installation, harmDelivery(CLOSED, { status: 'resolved' }));
    await deliver(installation, harmDelivery(CLOSED, { startsAt: new Date().toISOString() }));
    const next = await pollUntil('a new incident', SOON_MS, async () =>
      (await apiOf(installation, 'maria').incidentsIn(CLOSED)).find((line) => line.incidentId !== incidentId),
    );
    const linked = await incidentWhen(
      installation,
      next.incidentId,
      'knowing the incident before it',
      (view) => view.predecessorId !== undefined,
    );
    expect(linked.predecessorId).toBe(incidentId);
  });
});

function triggersOf(namespace: string): number {
  return installation.vendors.pagerDuty
    .events()
    .filter((event) => event.event_action === 'trigger' && event.dedup_key.startsWith(dedupKeyOf(namespace)))
    .length;
}
