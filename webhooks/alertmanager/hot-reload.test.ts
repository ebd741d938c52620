/** Runbook files are swapped while deliveries come in: each is answered from one set, and from none that is broken. */
import { mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as letOthersRun } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileRunbook } from '../../runbooks/compile.ts';
import { ConfigMapMount, smallRunbook } from '../../runbooks/test-support/runbook-files.ts';
import { type RunbookWatch, watchRunbooks } from '../../runbooks/watch.ts';
import { alertOf, deliveryOf } from '../test-support/deliveries.ts';
import { ALERTMANAGER_TOKEN, createTestEdge, noRecords } from '../test-support/edge.ts';
import type { RecordingGateway } from '../test-support/recording-gateway.ts';

const SENDERS = 4;
/** Good, broken, other good: each way of writing does so many of these. */
const ROUNDS = 3;
/** Senders, server and reloads share one thread: seconds on an idle machine, more where others work too. */
const LOAD_TIMEOUT_MS = 60_000;
/** Short, so that a round is; what is written in place is broken until it is whole. */
const SETTLE_MS = 20;

let folder: string;
let app: FastifyInstance;
let gateway: RecordingGateway;
let watch: RunbookWatch;
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-load-'));
});
afterEach(async () => {
  await app?.close();
  await watch?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(): Promise<void> {
  watch = await watchRunbooks({ paths: [folder], everyMs: SETTLE_MS, settleMs: SETTLE_MS });
  const records = { ...noRecords, ping: async () => undefined };
  ({ app, gateway } = await createTestEdge({ records, runbooks: watch }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

const deploymentOf = (sender: number, count: number) => `llm-${sender}-${count}`;

/** An alert for each of two runbooks, about one deployment. @returns the status. */
async function deliver(deployment: string): Promise<number> {
  const alerts = ['a', 'b'].map((alertname) =>
    alertOf({ fingerprint: `${deployment}-${alertname}` }, { alertname, deployment }),
  );
  const answer = await fetch(`${url}/webhooks/alertmanager`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ALERTMANAGER_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(deliveryOf(alerts)),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** Several senders deliver, one after the other, for as long as `change` takes. @returns the statuses by deployment. */
async function underLoad(change: () => Promise<void>): Promise<Map<string, number>> {
  const statuses = new Map<string, number>();
  let changing = true;
  const senders = Array.from({ length: SENDERS }, async (_, sender) => {
    for (let count = 0; changing; count += 1) {
      const deployment = deploymentOf(sender, count);
      statuses.set(deployment, await deliver(deployment));
    }
  });
  const swapping = change().finally(() => {
    changing = false;
  });
  await Promise.all([swapping, ...senders]);
  return statuses;
}

const textOf = (name: string, version: number) => smallRunbook(name, version);
/** The text of a version with a mistake in its last step. */
const broken = (text: string) => text.replace('uses: ticket', 'uses: tikcet');

function planHash(text: string): string {
  const compiled = compileRunbook('good.yaml', text);
  if (!compiled.ok) throw new Error('the text is no right runbook');
  return compiled.runbook.hash;
}

interface ReadyAnswer {
  ready: boolean;
  degraded: boolean;
  checks: { name: string; ok: boolean; details?: { problems: string[] } }[];
}

async function readyz() {
  const answer = await fetch(`${url}/readyz`);
  const body = (await answer.json()) as ReadyAnswer;
  const runbooks = body.checks.find(({ name }) => name === 'runbooks');
  return { status: answer.status, ready: body.ready, degraded: body.degraded, runbooks };
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

/** What the reports say while a set is refused, and when it is mended. */
async function expectReported(expected: 'refused' | 'fine'): Promise<void> {
  const { status, ready, degraded, runbooks } = await readyz();
  expect([status, ready, runbooks?.ok]).toEqual([200, true, true]);
  expect(degraded).toBe(expected === 'refused');
  expect(await metric('firebreak_runbook_reload_success')).toBe(expected === 'refused' ? 0 : 1);
  // Two of the folder, and those that are called for by name: default and manual-rollback.
  expect(await metric('firebreak_runbooks_loaded')).toBe(4);
  expect(runbooks?.details?.problems).toEqual(
    expected === 'refused' ? [`${join(folder, 'b.yaml')}:10:27 steps/unknown-type`] : [],
  );
}

function expectEachFromOneOf(statuses: Map<string, number>, good: readonly string[]): void {
  expect(new Set(statuses.values())).toEqual(new Set([200]));
  // More than one a sender, so that the load lasted.
  expect(statuses.size).toBeGreaterThan(SENDERS);
  const seen = new Set(gateway.started.flatMap(({ alerts }) => alerts.alerts.map((one) => one.fingerprint)));
  const sent = [...statuses.keys()].flatMap((deployment) => [`${deployment}-a`, `${deployment}-b`]);
  expect(sent.filter((fingerprint) => !seen.has(fingerprint))).toEqual([]);
  const hashes = new Set(gateway.started.map(({ start: { runbook } }) => runbook.hash));
  expect([...hashes].filter((hash) => !good.includes(hash))).toEqual([]);
}

/** In place, in pieces: whoever reads meanwhile sees a beginning that is no right runbook. */
async function writeInPieces(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w');
  const cuts = [0, text.indexOf('spec:') + 5, text.indexOf('id: ticket') + 8, text.length];
  for (const [index, cut] of cuts.slice(1).entries()) {
    const part = text.slice(0, cut);
    if (cut < text.length) expect(compileRunbook(file, part).ok).toBe(false);
    await handle.write(text.slice(cuts[index], cut));
    await letOthersRun();
  }
  await handle.close();
}

async function writeAndRename(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

describe('deliveries while runbook files are swapped', { timeout: LOAD_TIMEOUT_MS }, () => {
  it.each([
    ['by a rename', writeAndRename],
    ['in place', writeInPieces],
  ])('%s: none is lost or refused, and each has a plan of a set that was right', async (_how, write) => {
    await writeFile(join(folder, 'a.yaml'), textOf('a', 1));
    await writeFile(join(folder, 'b.yaml'), textOf('b', 1));
    await start();
    const file = join(folder, 'b.yaml');
    const versions = Array.from({ length: ROUNDS + 1 }, (_, index) => index + 1);

    const statuses = await underLoad(async () => {
      for (const version of versions.slice(1)) {
        await write(file, broken(textOf('b', version)));
        await watch.reload();
        await expectReported('refused');
        await write(file, textOf('b', version));
        await watch.reload();
        await expectReported('fine');
      }
    });

    expectEachFromOneOf(statuses, [
      planHash(textOf('a', 1)),
      ...versions.map((version) => planHash(textOf('b', version))),
    ]);
    const used = new Set(gateway.started.map(({ start: { runbook } }) => runbook.version));
    expect([...used].sort()).toEqual(versions);
    expect(await metric('firebreak_runbook_reloads_total{result="success"}')).toBe(ROUNDS);
    // What stays half written for longer than a look is refused like anything else.
    expect(await metric('firebreak_runbook_reloads_total{result="failure"}')).toBeGreaterThanOrEqual(ROUNDS);
  });

  it('of a mounted ConfigMap: the alerts of one delivery get plans of one set', async () => {
    const mount = new ConfigMapMount(folder);
    const files = (version: number) => ({ 'a.yaml': textOf('a', version), 'b.yaml': textOf('b', version) });
    await mount.write(files(1));
    await start();
    const hashes = [await metric('firebreak_runbooks_hash')];

    const statuses = await underLoad(async () => {
      for (let version = 2; version <= ROUNDS + 1; version += 1) {
        await mount.write({ ...files(version), 'b.yaml': broken(textOf('b', version)) });
        await watch.reload();
        await expectReported('refused');
        await mount.write(files(version));
        await watch.reload();
        await expectReported('fine');
        hashes.push(await metric('firebreak_runbooks_hash'));
      }
    });

    expectEachFromOneOf(
      statuses,
      Array.from({ length: ROUNDS + 1 }, (_, index) => index + 1).flatMap((version) =>
        Object.values(files(version)).map(planHash),
      ),
    );
    const versionsOf = new Map<string, Set<number>>();
    for (const { start: one } of gateway.started) {
      const deployment = one.correlation.deployment ?? '';
      versionsOf.set(deployment, (versionsOf.get(deployment) ?? new Set()).add(one.runbook.version));
    }
    expect([...versionsOf].filter(([, versions]) => versions.size !== 1)).toEqual([]);
    expect(new Set(hashes).size).toBe(ROUNDS + 1);
  });
});
