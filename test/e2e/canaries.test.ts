/**
 * Texts that nobody may find: planted in outputs, labels and annotations of an incident that uses every vendor, and searched
 * for afterwards in all that Temporal, the log, the vendors and the records hold.
 */
import { createHash, randomInt } from 'node:crypto';
import { cp, readdir, readFile, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument, type YAMLSeq } from 'yaml';
import { deliverAlert, incidentOf } from '../../demo/run/deliver-alert.ts';
import { shipV2, startWorld } from '../../demo/run/start-world.ts';
import { demoRunbook } from '../../demo/run/timings.ts';
import { startOutages, type VendorsWithOutages } from '../../demo/run/vendor-outages.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { scenarioOf } from '../../demo/world/scenarios.ts';
import type { IncidentView } from '../../domain/incident.ts';
import { apiOf, incidentWhen } from '../faults/waiting-incident.ts';
import { encodingsIn, encodingsOf } from './encodings.ts';
import { histories, textOf } from './histories.ts';
import { type Installation, install } from './installation.ts';

const NAMESPACE = 'canaries';
const ALERT = 'CanaryHarm';
const MODEL = 'llm-api';
/** Outputs of each source: their texts differ, so that none is merged into another. */
const OUTPUTS = 5;
/** Before anything asks for them: what is newer than the question is left out. */
const OUTPUT_AGE_MS = 5_000;
const TICKET_TOLD_MS = 90_000;

/** Letters only: neither a redaction nor an escape changes them. */
function canary(name: string): string {
  const letters = Array.from({ length: 20 }, () => String.fromCharCode(97 + randomInt(26))).join('');
  return `${name}${letters}`;
}

const OUTPUT = { kept: canary('kept'), dropped: canary('dropped') };
const ALERT_TEXT = {
  'a label': canary('label'),
  'an annotation': canary('annotation'),
  'the name of a label': canary('name'),
};
/** What is written for people: found in each place, or looking there proves nothing. */
const SUMMARY = canary('summary');
const REASON = canary('reason');

let installation: Installation;
let outages: VendorsWithOutages;
let sources: { kept: Source; dropped: Source };
let view: IncidentView;
let revealed: string;
let places: Record<string, Buffer>;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  sources = { kept: await startSource(OUTPUT.kept), dropped: await startSource(OUTPUT.dropped) };
  installation = await install({
    name: NAMESPACE,
    // Files to look for canaries in.
    records: 'embedded',
    namespaces: { [NAMESPACE]: 'approve' },
    adjust: async (world, vendors) => {
      outages = await startOutages(vendors);
      const adjusted = outages.adjust(world);
      return {
        ...adjusted,
        runbooks: { canaries: canaryRunbook() },
        settings: {
          ...adjusted.settings,
          samples: {
            outputs: { type: 'http-json', url: sources.kept.url, text: 'keep', retention: '1h' },
            hidden: { type: 'http-json', url: sources.dropped.url, text: 'never' },
          },
          log: { level: 'debug' },
        },
      };
    },
  });
  const world = {
    scenario: scenarioOf('rollback'),
    stack: installation.stack,
    samples: installation.vendors.samples,
    namespace: NAMESPACE,
    canary: OUTPUT.kept,
    story: () => undefined,
  };
  await shipV2(world, await startWorld(world, stops));
  ({ view, revealed } = await playIncident());
  places = await everyPlace();
}, 240_000);
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
  await installation?.stack.prometheus.writeTargets(NAMESPACE, []);
  await installation?.close();
  await outages?.close();
  await sources?.kept.close();
  await sources?.dropped.close();
});

describe('looking for a text', () => {
  it.each(Object.keys(encodingsOf('x')))('finds it in %s', (encoding) => {
    const text = canary('any');
    const around = [
      Buffer.from('a'),
      ...(encoding.startsWith('Base64')
        ? [Buffer.from(Buffer.from(`${'z'.repeat(Number(encoding.at(-1)))}${text}zzz`).toString('base64'))]
        : [encodingsOf(text)[encoding] ?? Buffer.alloc(0)]),
      Buffer.from('b'),
    ];
    expect(encodingsIn(Buffer.concat(around), text)).toContain(encoding);
  });
});

describe('after an incident with every vendor', () => {
  it('shows what is meant for people where it is meant to be', () => {
    expect(revealed).toContain(OUTPUT.kept);
    for (const place of ['tickets', 'records', 'api']) {
      expect(encodingsIn(places[place] ?? Buffer.alloc(0), SUMMARY), place).not.toEqual([]);
    }
    const ids: Record<string, string> = {
      pager: view.incidentId,
      slack: view.incidentId,
      'questions to sources': NAMESPACE,
      notifications: view.incidentId,
      log: view.workflowId,
      'files of Temporal': view.workflowId,
      'histories, decrypted': ALERT_TEXT['a label'],
      'data folder': view.incidentId,
    };
    for (const [place, id] of Object.entries(ids)) {
      expect(encodingsIn(places[place] ?? Buffer.alloc(0), id), place).not.toEqual([]);
    }
    expect(encodingsIn(places.records ?? Buffer.alloc(0), REASON)).not.toEqual([]);
  });

  it.each(Object.entries(OUTPUT))('holds no text of outputs that are %s, anywhere', (_name, text) => {
    expect(foundIn(places, text)).toEqual([]);
  });

  it.each(Object.entries(ALERT_TEXT))('holds %s nowhere in clear', (_name, text) => {
    const { 'histories, decrypted': _decrypted, ...inClear } = places;
    expect(foundIn(inClear, text)).toEqual([]);
  });

  it('shows the summary of the alert, and a reason, where docs/vendor-outages.md says so', () => {
    const placesOf = (text: string) => [
      ...new Set(foundIn(places, text).map((found) => found.split(':')[0])),
    ];
    // Files of the database hold it as well, compressed or not.
    const beside = (names: unknown[]) => names.filter((name) => name !== 'data folder');
    expect(beside(placesOf(SUMMARY))).toEqual(['tickets', 'histories, decrypted', 'records', 'api']);
    expect(beside(placesOf(REASON))).toEqual(['records', 'api']);
    expect(beside(placesOf(ALERT))).toEqual([
      'pager',
      'slack',
      'tickets',
      'notifications',
      'files of Temporal',
      'histories, decrypted',
      'records',
      'api',
    ]);
  });

  it('keeps what people read out of the files of Temporal as well', () => {
    for (const text of [SUMMARY, REASON]) {
      expect(encodingsIn(places['files of Temporal'] ?? Buffer.alloc(0), text)).toEqual([]);
    }
  });
});

function foundIn(where: Record<string, Buffer>, text: string): string[] {
  return Object.entries(where).flatMap(([place, content]) =>
    encodingsIn(content, text).map((encoding) => `${place}: ${encoding}`),
  );
}

function alertOf(status: 'firing' | 'resolved') {
  return {
    status,
    labels: {
      alertname: ALERT,
      cluster: 'local',
      namespace: NAMESPACE,
      deployment: MODEL,
      customer: ALERT_TEXT['a label'],
      [ALERT_TEXT['the name of a label']]: 'x',
    },
    annotations: {
      summary: `Harmful outputs ${SUMMARY}`,
      description: `An output was ${ALERT_TEXT['an annotation']}`,
      runbook_url: `https://runbooks.example.com/${ALERT_TEXT['an annotation']}`,
    },
  };
}

/** To its end: approved, proved, a sample revealed and marked, told, closed, and the ticket finished. */
async function playIncident(): Promise<{ view: IncidentView; revealed: string }> {
  const sam = apiOf(installation, 'sam');
  const workflowId = await deliverAlert(installation.firebreak, alertOf('firing'));
  const incidentId = await incidentOf(sam, workflowId);
  const at = `/incidents/${incidentId}`;
  const when = (what: string, wanted: (one: IncidentView) => boolean) =>
    incidentWhen(installation, incidentId, what, wanted);
  const act = async (person: 'maria' | 'sam' | 'kim', action: string, body: unknown) => {
    const answer = await apiOf(installation, person).call('POST', `${at}/${action}`, body);
    if (answer.status !== 200) throw new Error(`${action}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const asked = await when(
    'being contained and waiting for approval',
    ({ milestones, pendingApprovals }) => milestones.contained !== undefined && pendingApprovals.length > 0,
  );
  await act('maria', 'approve', { planHash: asked.pendingApprovals[0]?.planHash });
  await when('being sampled', ({ steps }) => steps.some((step) => step.id === 'sample' && step.endedAtMs));
  const read = await act('sam', `samples/${refOf('outputs', 'out-0')}/reveal`, {
    reason: `is this ${REASON}`,
  });
  await act('sam', 'note', { text: 'looked at a sample' });
  await act('kim', 'update', { text: 'we are at it' });
  await when('being restored', ({ milestones }) => milestones.restored !== undefined);
  await deliverAlert(installation.firebreak, alertOf('resolved'));
  await when('being closed', ({ state }) => state === 'closed');
  await pollUntil('the ticket having the outcome and the postmortem', TICKET_TOLD_MS, async () => {
    const issues = await installation.vendors.emulators.github.issues();
    const ticket = issues.find(({ labels }) => labels.includes('firebreak-ticket'));
    const items = issues.filter(({ labels }) => labels.includes('firebreak-action-item'));
    return (items.length > 0 && ticket?.comments.some((text) => /postmortem/i.test(text))) || undefined;
  });
  return { view: await sam.incident(incidentId), revealed: JSON.stringify(read) };
}

/** As people type it, and the samples' activity makes it: of the source's name and its id. */
function refOf(source: string, id: string): string {
  return `s-${createHash('sha256').update(`${source}\n${id}`).digest('hex').slice(0, 10)}`;
}

async function everyPlace(): Promise<Record<string, Buffer>> {
  const { proxies } = outages;
  const api = apiOf(installation, 'kim');
  const parts = ['', '/timeline', '/postmortem', '/attempts', '/samples'];
  const answers = await Promise.all(
    parts.map(async (part) => (await api.call('GET', `/incidents/${view.incidentId}${part}`)).body),
  );
  const decrypted = textOf(await histories(installation));
  const data = path.join(installation.firebreak.dir, 'data');
  await installation.firebreak.stop();
  const bodies = (texts: readonly string[]) => Buffer.from(texts.join('\n'));
  return {
    pager: bodies(proxies.pager.received()),
    slack: bodies(proxies.slack.received().map(decodedForm)),
    tickets: bodies(proxies.tickets.received()),
    notifications: bodies(proxies.notifications.received()),
    'questions to sources': bodies([...sources.kept.asked, ...sources.dropped.asked]),
    log: await readFile(installation.firebreak.logFile),
    'files of Temporal': await allFiles(path.dirname(installation.stack.temporal.dbFile)),
    'histories, decrypted': Buffer.from(decrypted),
    'data folder': await allFiles(data),
    records: Buffer.from(await dumpRecords(path.join(data, 'records', 'pgdata'))),
    api: Buffer.from(JSON.stringify(answers)),
  };
}

/** Slack's client posts forms. */
function decodedForm(text: string): string {
  try {
    return `${text}\n${decodeURIComponent(text.replaceAll('+', ' '))}`;
  } catch {
    return text;
  }
}

/** Every row of every table: in the database's files, long values are compressed. */
async function dumpRecords(dir: string): Promise<string> {
  const copy = `${dir}-copy`;
  await cp(dir, copy, { recursive: true });
  const db = await PGlite.create({ dataDir: copy });
  try {
    const { rows: tables } = await db.query<{ name: string }>(
      `select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables
       where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    const dumps: string[] = [];
    for (const { name } of tables) {
      const { rows } = await db.query(`select to_jsonb(t) as row from ${name} t`);
      dumps.push(`${name}\n${JSON.stringify(rows)}`);
    }
    return dumps.join('\n');
  } finally {
    await db.close();
  }
}

async function allFiles(dir: string): Promise<Buffer> {
  const contents: Buffer[] = [];
  for (const name of await readdir(dir, { recursive: true })) {
    const file = path.join(dir, name);
    const content = await stat(file)
      .then((info) => (info.isFile() ? readFile(file) : undefined))
      .catch(() => undefined);
    if (content) contents.push(Buffer.from(`${name}\n`), content);
  }
  return Buffer.concat(contents);
}

interface Source {
  url: string;
  asked: string[];
  close(): Promise<void>;
}

/** Harmful outputs with a text in each, as docs/samples.md says a source answers. */
async function startSource(text: string): Promise<Source> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const items = Array.from({ length: OUTPUTS }, (_, index) => ({
      id: `out-${index}`,
      requestId: `req-${index}`,
      at: new Date(Date.now() - OUTPUT_AGE_MS - index * 1_000).toISOString(),
      categories: ['hate'],
      text: `${index} harmful words number ${index * 7} and ${index * 13}: ${text} ${'word '.repeat(index)}`,
    }));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ items }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/samples`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The demo's runbook with a second source and a notification. */
function canaryRunbook(): string {
  const document = parseDocument(demoRunbook());
  document.setIn(['metadata', 'name'], 'canaries');
  document.setIn(['spec', 'match'], [`alertname="${ALERT}"`]);
  const steps = document.getIn(['spec', 'steps']) as YAMLSeq;
  const own = (document.toJS() as { spec: { steps: { id: string }[] } }).spec.steps;
  const sample = own.findIndex(({ id }) => id === 'sample');
  // The incident shows the samples that were collected last.
  document.setIn(['spec', 'steps', sample, 'needs'], ['hidden']);
  const more = [
    { id: 'hidden', uses: 'sample', with: { from: 'hidden', limit: 5, window: '15m' } },
    { id: 'notify', uses: 'notify', with: { to: 'ml-platform', text: 'Harm at a model' } },
  ];
  for (const step of more) steps.add(document.createNode(step));
  return document.toString();
}
