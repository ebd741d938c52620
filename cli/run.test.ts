import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordsStore } from '../activities/records/store.ts';
import { LIBRARY_PATH } from '../runbooks/load.ts';
import { observed, TRIGGERED_MS } from '../test/fixtures/observed-incidents.ts';
import { GatewayError } from '../webhooks/gateway/types.ts';
import { createTestEdge, openTestRecords, RECORDS_START_MS, TOKENS } from '../webhooks/test-support/edge.ts';
import { approvalOf, INCIDENT_ID, PLAN_HASH, viewOf } from '../webhooks/test-support/incident.ts';
import type { RecordingGateway } from '../webhooks/test-support/recording-gateway.ts';
import { readEnv } from './env.ts';
import { EXIT } from './exit-codes.ts';
import { run } from './run.ts';

let app: FastifyInstance;
let gateway: RecordingGateway;
let records: RecordsStore;
let closeRecords: () => Promise<void>;
let url: string;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'firebreak-cli-'));
  ({ records, close: closeRecords } = await openTestRecords());
  ({ app, gateway } = await createTestEdge({ records, sendDeadlineMs: 500 }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}, RECORDS_START_MS);
afterAll(async () => {
  await app.close();
  await closeRecords();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  gateway.views.clear();
  gateway.views.set(viewOf().workflowId, viewOf());
  gateway.updates.length = 0;
  gateway.failure = undefined;
});

/** Runs a command line as mara; `typed` makes standard input a terminal on which that is typed. */
async function firebreak(args: string[], more: { env?: Record<string, string>; typed?: string } = {}) {
  const stdin = Object.assign(new PassThrough(), { isTTY: more.typed !== undefined });
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  if (more.typed !== undefined) stdin.write(more.typed);
  const env = readEnv({ FIREBREAK_URL: url, FIREBREAK_TOKEN: TOKENS.mara, ...more.env });
  const code = await run(args, { env, stdin, stdout, stderr });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}
const incident = (...args: string[]) => firebreak(['incident', ...args]);

describe('incident show', () => {
  it('is a page with the state, milestones, steps, what waits for whom and what to type next', async () => {
    const { code, out } = await incident('show', '3f9a');
    expect(code).toBe(0);
    expect(out).toContain('Harmful outputs of models/llm-api  inc-3f9a1c2b7d01-0a1b2c3d');
    expect(out).toContain('SEV1  contained');
    expect(out).toMatch(/contained {4}2026-03-01 10:00:09 {2}\+9\.0 s/);
    expect(out).toContain('? rollback     awaiting-approval');
    expect(out).toContain('step rollback: 1 approval from ml-oncall, commander');
    expect(out).toContain(`firebreak incident approve ${INCIDENT_ID}`);
    expect(out).toContain(`firebreak incident ack ${INCIDENT_ID}`);
    expect(out).not.toContain('\u001b[');
  });

  it('colours where it may, and never lets text of an incident steer the terminal', async () => {
    const view = viewOf({ title: 'evil\u001b]0;owned\u0007\u009b2J\u202e', humanNeeded: ['\u001b[2Jgone'] });
    gateway.views.set(view.workflowId, view);
    const plain = await incident('show', '3f9a');
    expect(plain.out).toContain('evil]0;owned2J');
    expect(plain.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    const json = await incident('show', '3f9a', '--json');
    expect(json.out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(json.out).incident.title).toBe(view.title);
    const coloured = await firebreak(['incident', 'show', '3f9a'], { env: { FORCE_COLOR: '1' } });
    expect(coloured.out).toContain('\u001b[1m');
    const forbidden = await firebreak(['incident', 'show', '3f9a'], {
      env: { FORCE_COLOR: '1', NO_COLOR: '1' },
    });
    expect(forbidden.out).not.toContain('\u001b[');
  });
});

describe('the verdict and the harm rate', () => {
  const measured = () =>
    viewOf({
      harmHistory: {
        stepMs: 60_000,
        startMs: Date.UTC(2026, 2, 1, 9, 58),
        harmful: [0, 8, 0],
        classified: [100, 100, 0],
      },
      verification: {
        outcome: 'insufficient-evidence',
        harmful: 0,
        classified: 120,
        threshold: 0.01,
        confidence: 0.99,
        interval: [0, 0.07],
        designEffect: 2,
        seconds: 1_800,
        share: 0.1,
        unmet: ['coverage', '\u001b[2Jgone'],
      },
    });
  beforeEach(() => gateway.views.set(measured().workflowId, measured()));

  it('are shown in words: numbers, what is missing and what to do about it, on lines that fit', async () => {
    const { out } = await incident('show', '3f9a');
    for (const text of [
      'insufficient-evidence: neither recovery nor harm is proved',
      'Counted           0 harmful of 120 classified outputs (0%)',
      'Threshold         1%',
      '! coverage',
      'to do: look at the classifier',
      '! [2Jgone',
      'highest 8% at 09:59:00 (8 of 100)',
    ]) {
      expect(out).toContain(text);
    }
    const verdict = out.slice(out.indexOf('Verification\n'), out.indexOf('Waits for\n'));
    expect(Math.max(...verdict.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it.each([
    [{ LANG: 'en_GB.UTF-8' }, '▁█·'],
    [{ LANG: 'C' }, '_# '],
    [{ LANG: 'en_GB.UTF-8', LC_ALL: 'C' }, '_# '],
    [{ LANG: 'en_GB.UTF-8', NO_COLOR: '1' }, '_# '],
    [{ LANG: 'en_GB.UTF-8', TERM: 'dumb' }, '_# '],
  ])('are a line that the terminal can show: %j', async (env, line) => {
    const { out } = await firebreak(['incident', 'show', '3f9a'], { env });
    expect(out).toContain(`Harm rate\n  ${line}\n`);
  });

  it('are written as SVG to a file, to standard output, or as numbers', async () => {
    const file = join(folder, 'harm.svg');
    const written = await incident('plot', '3f9a', '--output', file);
    expect(written).toMatchObject({ code: 0, out: '', err: `Written to ${file}\n` });
    const svg = await readFile(file, 'utf8');
    expect(svg).toMatch(/^<svg /);
    expect((await incident('plot', '3f9a')).out).toBe(`${svg}\n`);
    const json = JSON.parse((await incident('plot', '3f9a', '--json')).out);
    expect(json).toEqual({ incidentId: INCIDENT_ID, harmHistory: measured().harmHistory });
  });

  it('are told to be missing, or not to be writable, with what to do', async () => {
    const unwritable = await incident('plot', '3f9a', '--output', join(folder, 'no', 'such', 'folder.svg'));
    expect(unwritable.code).toBe(2);
    expect(unwritable.err).toContain('(ENOENT)');
    gateway.views.set(viewOf().workflowId, viewOf());
    const missing = await incident('plot', '3f9a');
    expect(missing.code).toBe(EXIT.notFound);
    expect(missing.err).toContain('There is no plot of this incident yet.');
  });
});

describe('incident approve', () => {
  it('shows the plan, asks, and approves exactly what was shown', async () => {
    const { code, out, err } = await firebreak(['incident', 'approve', '3f9a', '--reason', 'bad'], {
      typed: 'y\n',
    });
    expect(err).toContain('Roll back models/llm-api from revision 2 to revision 1');
    expect(err).toContain('warning    ConfigMaps are not restored');
    expect(err).toContain('+ image: model:v1');
    expect(err).toContain(PLAN_HASH);
    expect(err).toContain('Approve exactly this plan? [y/N]');
    expect(out).toBe('approve recorded\n');
    expect(code).toBe(0);
    expect(gateway.updates).toMatchObject([
      {
        argument: {
          actor: { via: 'cli' },
          signed: { decision: { planHash: PLAN_HASH, reason: 'bad', via: 'cli' } },
        },
      },
    ]);
  });

  it.each(['n\n', '\n', 'yep\n'])('sends nothing for the answer %j', async (typed) => {
    const { code } = await firebreak(['incident', 'approve', '3f9a'], { typed });
    expect(code).toBe(1);
    expect(gateway.updates).toEqual([]);
  });

  it('does not guess where it cannot ask', async () => {
    const { code, err } = await incident('approve', '3f9a');
    expect(code).toBe(2);
    expect(err).toContain('--yes');
    expect(gateway.updates).toEqual([]);
  });

  it('approves without asking with --yes, and only the plan given with --plan', async () => {
    expect((await incident('approve', '3f9a', '--yes', '--plan', 'b'.repeat(64))).code).toBe(1);
    expect((await incident('approve', '3f9a', '--yes', '--plan', PLAN_HASH.slice(0, 11))).code).toBe(1);
    expect(gateway.updates).toEqual([]);
    const { code, out } = await incident(
      'approve',
      '3f9a',
      '--yes',
      '--plan',
      PLAN_HASH.slice(0, 12),
      '--json',
    );
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      message: 'approve recorded',
      planHash: PLAN_HASH,
      duplicate: false,
    });
  });

  it('approves alone with --break-glass: asks for that, wants a reason, and sends it', async () => {
    const view = viewOf({ pendingApprovals: [approvalOf({ count: 2, breakGlass: true })] });
    gateway.views.set(view.workflowId, view);
    const alone = ['incident', 'approve', '3f9a', '--break-glass'];
    const env = { FIREBREAK_TOKEN: TOKENS.ben };
    expect((await firebreak(alone, { env, typed: 'y\n' })).code).toBe(2);
    const withReason = [...alone, '--reason', 'nobody else answers'];
    const declined = await firebreak(withReason, { env, typed: 'n\n' });
    expect(declined.err).toContain('Approve exactly this plan alone?');
    expect(gateway.updates).toEqual([]);
    expect((await firebreak(withReason, { env, typed: 'y\n' })).code).toBe(0);
    expect(gateway.updates).toMatchObject([
      {
        argument: {
          signed: { decision: { breakGlass: true, person: 'ben', reason: 'nobody else answers' } },
        },
      },
    ]);
    // mara is on call, which is not that right.
    expect((await firebreak([...withReason, '--yes'])).code).toBe(3);
    expect((await incident('show', '3f9a')).out).toContain('or one person with --break-glass');
  });

  it('shows who approved alone, and the change to revert in Git', async () => {
    const view = viewOf({
      breakGlass: [{ person: 'ben', step: 'rollback', atMs: 1, reason: 'nobody \u001b[2Janswers' }],
      steps: [{ id: 'rollback', uses: 'rollback', status: 'failed', reason: 'Argo CD' }],
      timeline: [
        {
          seq: 1,
          atMs: 1,
          kind: 'evidence',
          text: 'Prepared the change to revert in Git',
          actor: 'firebreak',
          data: { step: 'rollback', revert: '-image: v2\n+image: \u001b[2Jv1' },
        },
      ],
    });
    gateway.views.set(view.workflowId, view);
    const { out } = await incident('show', '3f9a');
    expect(out).toMatch(/Break-glass +ben approved rollback alone: nobody .*answers/);
    expect(out).toMatch(/Revert this in Git\n {2}-image: v2\n {2}\+image: .*v1/);
    expect(out).not.toContain('\u001b');
  });

  it('wants the step where several wait', async () => {
    const view = viewOf({ pendingApprovals: [approvalOf(), approvalOf({ step: 'second' })] });
    gateway.views.set(view.workflowId, view);
    expect((await incident('approve', '3f9a', '--yes')).code).toBe(2);
    expect((await incident('approve', '3f9a', '--yes', '--step', 'second')).code).toBe(0);
  });
});

describe('the other commands', () => {
  it.each([
    [['ack', '3f9a'], 'acknowledge', {}],
    [['note', '3f9a', 'two words'], 'addNote', { text: 'two words' }],
    [
      ['retry', '3f9a', 'rollback', '--reason', 'r', '--to-revision', '3'],
      'retryStep',
      { step: 'rollback', reason: 'r', toRevision: 3 },
    ],
    [['skip', '3f9a', 'sample', '--reason', 'r'], 'skipStep', { step: 'sample', reason: 'r' }],
    [['severity', '3f9a', 'sev2', '--reason', 'r'], 'setSeverity', { severity: 'SEV2', reason: 'r' }],
    [['commander', '3f9a', 'ben'], 'assignCommander', { commander: 'ben' }],
    [['reject', '3f9a', '--yes', '--reason', 'r'], 'reject', {}],
    [['escalate', '3f9a'], 'escalate', {}],
    [['escalate', '3f9a', '--reason', 'r'], 'escalate', { reason: 'r' }],
    [
      ['update', '3f9a', 'all is well', '--next-in', '30m'],
      'inform',
      { text: 'all is well', remindAfterMs: 1_800_000 },
    ],
  ])('%j', async (args, update, argument) => {
    const { code, out } = await incident(...args);
    expect({ code, out }).toEqual({ code: 0, out: `${update} recorded\n` });
    expect(gateway.updates).toMatchObject([{ name: update, argument }]);
  });

  it.each([
    [['abort', '3f9a', '--reason', 'r'], 'abort', { reason: 'r' }],
    [['resolve', '3f9a', '--reason', 'r'], 'resolve', { reason: 'r' }],
    [['false-positive', '3f9a', '--reason', 'r'], 'markFalsePositive', { reason: 'r' }],
    [
      ['override-breaker', '3f9a', '--force', 'open', '--for', '30m', '--reason', 'r'],
      'overrideBreaker',
      { force: 'open', forMs: 1_800_000 },
    ],
  ])('%j, as a commander', async (args, update, argument) => {
    const asBen = { env: { FIREBREAK_TOKEN: TOKENS.ben } };
    expect((await firebreak(['incident', ...args], asBen)).code).toBe(0);
    expect(gateway.updates).toMatchObject([{ name: update, argument }]);
    expect((await incident(...args)).code).toBe(3);
  });

  it('list is a table or JSON', async () => {
    const { out } = await incident('list');
    expect(out.split('\n')[0]).toMatch(/^ID +SEV +STATE +TRIGGERED +WAITS FOR +TARGET$/);
    expect(out).toMatch(
      /inc-3f9a1c2b7d01-0a1b2c3d {2}SEV1 {2}contained .*approve rollback .*local\/models\/Deployment\/llm-api/,
    );
    expect(JSON.parse((await incident('list', '--json')).out).incidents).toHaveLength(1);
  });

  it('timeline, attempts and postmortem', async () => {
    expect((await incident('timeline', '3f9a')).out).toContain('page         Paged ml-oncall');
    expect((await incident('attempts', '3f9a')).out).toMatch(/mara +approve +accepted +cli/);
    expect((await incident('postmortem', '3f9a')).code).toBe(4);
    const view = viewOf();
    await records.openIncident({ incidentId: INCIDENT_ID, workflowId: view.workflowId, view });
    await records.writePostmortem({
      incidentId: INCIDENT_ID,
      markdown: '# It\n\n- one',
      draft: true,
      atMs: 1,
      actionItems: [],
    });
    const { out, err } = await incident('postmortem', '3f9a');
    expect(out).toBe('# It\n\n- one\n');
    expect(err).toContain('draft');
  });
});

describe('report observe', () => {
  it('prints what would have been done beside what people did, or JSON', async () => {
    expect((await firebreak(['report', 'observe'])).out).toContain('No incident of a target in observe mode');
    const triggered = Date.now() - 2 * 86_400_000;
    const incidentId = 'inc-0b5e7fe00000-00000001';
    const view = observed({ incidentId, milestones: { triggered, resolved: triggered + 2_400_000 } });
    const shift = triggered - TRIGGERED_MS;
    const timeline = view.timeline.map((one, index) => ({ ...one, seq: index + 1, atMs: one.atMs + shift }));
    await records.append(timeline, { ...view, timeline: [] });
    const { code, out, err } = await firebreak(['report', 'observe']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('Observe mode: 1 incident ');
    expect(out).toContain('+12.0 s      diverted all traffic to llm-fallback');
    expect(out).toContain('What this does not say');
    expect(out).not.toContain('\u001b[');
    const json = await firebreak(['report', 'observe', '--since', '3d', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({
      totals: { incidents: 1, toContainment: { medianMs: 12_000, count: 1 } },
      incidents: [{ incidentId: view.incidentId }],
    });
    expect((await firebreak(['report', 'observe', '--since', '24h'])).out).toContain('0 incidents');
  });

  it('wants a time in the past', async () => {
    const { code, err } = await firebreak(['report', 'observe', '--since', 'soon']);
    expect(code).toBe(2);
    expect(err).toContain('expected a duration such as 7d');
    expect((await firebreak(['report'])).code).toBe(2);
  });
});

describe('exit codes', () => {
  const nobody = { env: { FIREBREAK_TOKEN: 'a-token-of-nobody-at-all' } };
  it('2 for wrong usage', async () => {
    for (const args of [
      ['incident', 'dance'],
      ['incident', 'show'],
      ['incident', 'abort', '3f9a'],
      ['incident', 'list', '--limit', 'x'],
      [],
    ]) {
      expect((await firebreak(args)).code).toBe(2);
    }
    expect((await incident('list', '--url', 'ftp://x')).code).toBe(2);
    expect(
      (await incident('override-breaker', '3f9a', '--force', 'ajar', '--for', '1h', '--reason', 'r')).code,
    ).toBe(2);
    expect((await incident('severity', '3f9a', 'SEV9', '--reason', 'r')).err).toContain('severity:');
  });
  it('3 for nobody, and for somebody who may not', async () => {
    expect((await firebreak(['incident', 'list'], nobody)).code).toBe(3);
    expect((await firebreak(['incident', 'list'], { env: { FIREBREAK_TOKEN: '' } })).err).toContain(
      'FIREBREAK_TOKEN',
    );
    const asVic = { env: { FIREBREAK_TOKEN: TOKENS.vic } };
    expect((await firebreak(['incident', 'approve', '3f9a', '--yes'], asVic)).code).toBe(3);
  });
  it('4 for what is not there', async () => {
    expect((await incident('show', 'inc-eeeeeeeeeeee-00000001')).code).toBe(4);
  });
  it('5 for what does not answer', async () => {
    expect((await incident('list', '--url', 'http://127.0.0.1:9')).code).toBe(5);
    gateway.failure = new GatewayError('unavailable', 'Temporal is away');
    expect((await incident('ack', 'inc-eeeeeeeeeeee-00000001')).code).toBe(5);
  });
  it('1 for what the incident did not take', async () => {
    gateway.answer = () => {
      throw new GatewayError('refused', 'already aborted');
    };
    const asBen = { env: { FIREBREAK_TOKEN: TOKENS.ben } };
    const { code, out, err } = await firebreak(
      ['incident', 'abort', '3f9a', '--reason', 'r', '--json'],
      asBen,
    );
    expect(code).toBe(1);
    expect(JSON.parse(out).error).toMatchObject({ code: 'refused', message: 'already aborted' });
    expect(err).toContain('already aborted');
    gateway.answer = (request) => ({ message: `${request.name} recorded` });
  });
});

describe('the token', () => {
  it('may come from a file', async () => {
    const file = join(folder, 'token');
    await writeFile(file, `${TOKENS.mara}\n`);
    const noEnv = { env: { FIREBREAK_TOKEN: '' } };
    expect((await firebreak(['incident', 'list', '--token-file', file], noEnv)).code).toBe(0);
    expect((await firebreak(['incident', 'list', '--token-file', join(folder, 'none')], noEnv)).code).toBe(2);
    await writeFile(file, 'two words');
    expect((await firebreak(['incident', 'list', '--token-file', file], noEnv)).code).toBe(2);
  });
});

describe('runbook explain', () => {
  const file = join(LIBRARY_PATH, 'ai-harm-response.yaml');

  it('says in words what happens, who is asked, what changes production and how long it can take', async () => {
    const { code, out } = await firebreak(['runbook', 'explain', file]);
    expect(code).toBe(0);
    expect(out).toMatch(/divert sends all traffic of the target to llm-fallback {2}\[changes production\]/);
    expect(out).toMatch(
      /Contained +within 6m15s of the moment at which metrics\.harmRate > inputs\.divertAbove/,
    );
    expect(out).toMatch(/rollback: one person of ml-oncall or commander, within 21m/);
  });

  it('draws it, alone or under the words, and gives all of it as JSON', async () => {
    const graph = (await firebreak(['runbook', 'explain', file, '--format', 'mermaid'])).out;
    expect(graph).toMatch(/^flowchart TD\n/);
    const both = (await firebreak(['runbook', 'explain', file, '--format', 'markdown'])).out;
    expect(both).toContain(`\`\`\`mermaid\n${graph.trimEnd()}\n\`\`\``);
    expect(JSON.parse((await firebreak(['runbook', 'explain', file, '--json'])).out)).toMatchObject({
      name: 'ai-harm-response',
      mermaid: graph,
    });
  });

  it('tells mistakes as validate does, and wrong usage as such', async () => {
    const broken = join(folder, 'broken-to-explain.yaml');
    await writeFile(broken, 'kind: Runbook\n');
    const told = await firebreak(['runbook', 'explain', broken]);
    expect(told).toMatchObject({ code: 1, err: '' });
    expect(told.out).toContain('schema/missing-field');
    expect((await firebreak(['runbook', 'explain', join(folder, 'nowhere.yaml')])).code).toBe(2);
    expect((await firebreak(['runbook', 'explain', file, '--format', 'pdf'])).code).toBe(2);
  });
});

describe('runbook', () => {
  it('validate exits 0 for the shipped ones, 1 with places for a wrong one, 2 without a path', async () => {
    const library = fileURLToPath(new URL('../runbooks/library', import.meta.url));
    expect(await firebreak(['runbook', 'validate', library])).toMatchObject({ code: 0 });
    const file = join(folder, 'wrong.yaml');
    await writeFile(file, 'apiVersion: firebreak.dev/v1alpha1\nkind: Runbok\n');
    const { code, out } = await firebreak(['runbook', 'validate', file]);
    expect(code).toBe(1);
    expect(out).toContain(`${file}:2:`);
    const json = await firebreak(['runbook', 'validate', file, '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, files: [file] });
    expect(json.code).toBe(1);
    expect((await firebreak(['runbook', 'validate'])).code).toBe(2);
  });

  it('validate takes warnings, and fails on them with --strict', async () => {
    const file = fileURLToPath(
      new URL('../test/fixtures/runbooks/valid/warning-page-no-escalation.yaml', import.meta.url),
    );
    const told = await firebreak(['runbook', 'validate', file]);
    expect(told).toMatchObject({ code: 0 });
    expect(told.out).toContain('[page/no-escalation]');
    expect(told.out).toContain('1 runbook is right.');
    expect((await firebreak(['runbook', 'validate', file, '--strict'])).code).toBe(1);
    const json = JSON.parse((await firebreak(['runbook', 'validate', file, '--json'])).out);
    expect(json).toMatchObject({
      ok: true,
      problems: [{ rule: 'page/no-escalation', severity: 'warning', step: 'page' }],
    });
  });

  it('validate prints annotations for GitHub, with paths from the working folder', async () => {
    const file = join(folder, 'wrong.yaml');
    await writeFile(file, 'apiVersion: firebreak.dev/v1alpha1\nkind: Runbok\n');
    const { code, out } = await firebreak(['runbook', 'validate', file, '--format', 'github']);
    expect(code).toBe(1);
    expect(out).toMatch(
      /^::error file=\.\.\/.*wrong\.yaml,line=2,col=7,endColumn=13,title=schema\/wrong-value::kind /m,
    );
    expect((await firebreak(['runbook', 'validate', file, '--format', 'xml'])).code).toBe(2);
  });

  it('validate checks names against a configuration, its own runbooks where none are named', async () => {
    const fixtures = fileURLToPath(new URL('../test/fixtures/runbooks', import.meta.url));
    const config = join(fixtures, 'firebreak.yaml');
    const wrong = join(fixtures, 'invalid', 'config-role.yaml');
    expect((await firebreak(['runbook', 'validate', wrong])).code).toBe(0);
    const told = await firebreak(['runbook', 'validate', wrong, '--config', config]);
    expect(told.code).toBe(1);
    expect(told.out).toContain('did you mean commander? [config/role]');
    const right = join(fixtures, 'valid', 'config-all-there.yaml');
    expect((await firebreak(['runbook', 'validate', right, '--config', config])).code).toBe(0);
    // The configuration sets inputs of runbooks that are not among its own, which are the shipped ones here.
    const own = await firebreak(['runbook', 'validate', '--config', config]);
    expect(own.code).toBe(1);
    expect(own.out).toContain('[inputs/unknown-runbook]');
    expect((await firebreak(['runbook', 'validate', '--config', join(folder, 'nowhere.yaml')])).code).toBe(2);
  });

  it('schema is a JSON Schema', async () => {
    expect(JSON.parse((await firebreak(['runbook', 'schema'])).out)).toHaveProperty('$schema');
  });
});

describe('the program itself', () => {
  it('runs as a process, and help says what the exit codes are', async () => {
    const main = fileURLToPath(new URL('./main.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [main, '--help']);
    expect(stdout).toContain('Exit codes:');
    await expect(promisify(execFile)(process.execPath, [main, 'nonsense'])).rejects.toMatchObject({
      code: 2,
    });
  });
});
