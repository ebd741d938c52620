import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, RequestListener } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveParts, STACK_PARTS } from '../../demo/parts/resolve-parts.ts';
import { CommandError, runCommand } from '../../demo/parts/run-command.ts';
import { attachStack } from '../../demo/stack/attach-stack.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import type { LocalStack, StackParts } from '../../demo/stack/stack.ts';
import { startStack } from '../../demo/stack/stack.ts';
import type { StackDescription } from '../../demo/stack/stack-description.ts';

/** Parts may have to be built first. */
const PARTS_TIMEOUT_MS = 20 * 60_000;
const START_TIMEOUT_MS = 120_000;
const EFFECT_TIMEOUT_MS = 30_000;

const DEPLOYMENT = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'model', namespace: 'default' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'model' } },
    template: {
      metadata: { labels: { app: 'model' } },
      spec: { containers: [{ name: 'model', image: 'example/model:v1' }] },
    },
  },
};

let parts: StackParts;
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'firebreak-stack-'));
  parts = await resolveParts(STACK_PARTS);
}, PARTS_TIMEOUT_MS);

afterAll(() => rm(root, { recursive: true, force: true }));

describe('the local stack', () => {
  const reader = { name: 'reader', groups: ['readers', 'people, all'], token: 'reader-token' };
  let stack: LocalStack;
  beforeAll(async () => {
    stack = await startStack({
      parts,
      dir: join(root, 'stack'),
      users: [reader],
      temporal: { searchAttributes: [{ name: 'FirebreakTarget', type: 'Keyword' }] },
    });
  }, START_TIMEOUT_MS);
  afterAll(() => stack?.stop(), START_TIMEOUT_MS);

  const kubectl = (args: string[], kubeconfig = stack.kube.kubeconfigPath) =>
    runCommand(stack.kube.kubectlPath, ['--kubeconfig', kubeconfig, ...args], {
      timeoutMs: EFFECT_TIMEOUT_MS,
    });

  it('rolls out a Deployment with the real controllers', { timeout: EFFECT_TIMEOUT_MS }, async () => {
    const file = join(root, 'deployment.json');
    await writeFile(file, JSON.stringify(DEPLOYMENT));
    await kubectl(['apply', '-f', file]);
    const replicaSet = await pollUntil('a ReplicaSet', EFFECT_TIMEOUT_MS, async () => {
      const list = JSON.parse(await kubectl(['get', 'replicasets', '-l', 'app=model', '-o', 'json']));
      return list.items[0];
    });
    expect(replicaSet.metadata.annotations['deployment.kubernetes.io/revision']).toBe('1');
    const pods = await pollUntil('two pods', EFFECT_TIMEOUT_MS, async () => {
      const list = JSON.parse(await kubectl(['get', 'pods', '-l', 'app=model', '-o', 'json']));
      return list.items.length === 2 ? list.items : undefined;
    });
    expect(pods[0].status.phase).toBe('Pending');
  });

  it('knows a user by the token and refuses what no role allows', {
    timeout: EFFECT_TIMEOUT_MS,
  }, async () => {
    const file = join(root, 'reader.kubeconfig');
    await writeFile(file, stack.kube.kubeconfigFor(reader.token), { mode: 0o600 });
    expect(await kubectl(['auth', 'whoami', '-o', 'json'], file)).toContain('"reader"');
    await expect(kubectl(['get', 'pods'], file)).rejects.toThrow(/Forbidden.*"reader" cannot list/s);
    await writeFile(file, stack.kube.kubeconfigFor('no-such-token'), { mode: 0o600 });
    await expect(kubectl(['get', 'pods'], file)).rejects.toThrow(CommandError);
  });

  it('keeps keys and tokens from other users of the machine', async () => {
    for (const path of [
      stack.kube.kubeconfigPath,
      stack.kube.adminTokenPath,
      join(stack.dir, 'kube', 'tokens.csv'),
    ]) {
      expect((await stat(path)).mode & 0o077).toBe(0);
    }
    expect(JSON.stringify(stack.describe())).not.toContain(stack.kube.adminToken);
  });

  it('carries an alert from a scraped counter to a webhook', { timeout: START_TIMEOUT_MS }, async () => {
    let harmful = 7;
    const exporter = await listen((_, response) => {
      response.setHeader('content-type', 'text/plain; version=0.0.4');
      response.end(`harmful_now{namespace="default",deployment="model"} ${harmful}\n`);
    });
    const received: { headers: IncomingHttpHeaders; body: string }[] = [];
    const sink = await listen(async (request, response) => {
      received.push({ headers: request.headers, body: await text(request) });
      response.end();
    });
    const delivery = (status: string) =>
      pollUntil(`a ${status} delivery`, EFFECT_TIMEOUT_MS, async () =>
        received.find(({ body }) => JSON.parse(body).status === status),
      );
    // Through an attached stack, as another process would.
    const { prometheus, alertmanager } = attachStack(JSON.parse(JSON.stringify(stack.describe())));
    try {
      const webhookUrl = `http://${sink.address}/`;
      const route = { matchers: ['team="safety"'], webhookUrl, bearerToken: 'sesame' };
      await alertmanager.setRoutes([route], { name: 'stack-test' });
      await prometheus.writeTargets('stack-test', [
        { address: exporter.address, labels: { team: 'safety' } },
      ]);
      await prometheus.awaitTargetsUp([exporter.address]);
      await prometheus.writeRules('stack-test', alertRule('Harmful', 'harmful_now > 5'));

      const firing = await delivery('firing');
      expect(firing.headers.authorization).toBe('Bearer sesame');
      expect(JSON.parse(firing.body)).toMatchObject({
        version: '4',
        groupLabels: { alertname: 'Harmful', namespace: 'default', deployment: 'model' },
      });
      harmful = 0;
      await delivery('resolved');
    } finally {
      await prometheus.writeRules('stack-test', undefined);
      await prometheus.writeTargets('stack-test', []);
      await alertmanager.setRoutes([], { name: 'stack-test' });
      exporter.close();
      sink.close();
    }
  });

  it('refuses broken rules and routes and goes on with the ones before', async () => {
    await stack.prometheus.writeRules('good', alertRule('Never', 'vector(0) == 1'));
    const before = await readFile(join(stack.dir, 'prometheus', 'rules', 'good.yml'), 'utf8');
    await expect(stack.prometheus.writeRules('good', alertRule('Broken', 'sum(('))).rejects.toThrow(
      /parse error/,
    );
    expect(await readFile(join(stack.dir, 'prometheus', 'rules', 'good.yml'), 'utf8')).toBe(before);
    await stack.prometheus.reload();

    const broken = { matchers: ['=nonsense'], webhookUrl: 'http://127.0.0.1:9/' };
    await expect(stack.alertmanager.setRoutes([broken], { name: 'broken' })).rejects.toThrow(/matcher/);
    await stack.alertmanager.setRoutes([{ matchers: [], webhookUrl: 'http://127.0.0.1:9/' }], {
      name: 'broken',
    });
    await stack.alertmanager.setRoutes([], { name: 'broken' });
  });

  it('stops Temporal and starts it again with its workflows', { timeout: START_TIMEOUT_MS }, async () => {
    const started = await withTemporal(stack.temporal.address, (client) =>
      client.workflow.start('neverRun', {
        workflowId: 'outlives-the-server',
        taskQueue: 'nobody',
        searchAttributes: { FirebreakTarget: ['local/default/Deployment/model'] },
      }),
    );
    const { pid } = stack.temporal.process;
    await stack.temporal.stop('SIGKILL');
    await expect(withTemporal(stack.temporal.address, async () => undefined)).rejects.toThrow();
    await stack.temporal.start();
    expect(stack.temporal.process.pid).not.toBe(pid);
    const seen = await withTemporal(stack.temporal.address, (client) =>
      client.workflow.getHandle('outlives-the-server').describe(),
    );
    expect(seen.runId).toBe(started.firstExecutionRunId);
    expect(seen.searchAttributes.FirebreakTarget).toEqual(['local/default/Deployment/model']);
  });

  it('does not start twice in one folder', { timeout: START_TIMEOUT_MS }, async () => {
    await expect(startStack({ parts, dir: stack.dir })).rejects.toThrow(/a stack runs in/);
  });

  it('leaves no process behind when it is stopped', { timeout: START_TIMEOUT_MS }, async () => {
    const { processes } = stack.describe();
    expect(processes.map(({ name }) => name).sort()).toEqual([
      'alertmanager',
      'etcd',
      'kube-apiserver',
      'kube-controller-manager',
      'prometheus',
      'supervisor',
      'temporal',
    ]);
    expect(await running(processes)).toHaveLength(processes.length);
    await stack.stop();
    expect(await running(processes)).toEqual([]);
  });
});

it('leaves no process behind when its owner is killed', { timeout: START_TIMEOUT_MS }, async () => {
  const program = fileURLToPath(new URL('../../demo/stack/main.ts', import.meta.url));
  const owner = spawn(process.execPath, [program, '--json', '--dir', join(root, 'killed')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: owner.stdout });
  const [line] = await Promise.race([
    new Promise<string[]>((resolve) => lines.once('line', (text) => resolve([text]))),
    new Promise<string[]>((_, reject) =>
      owner.once('exit', (code) => reject(new Error(`it ended with ${code}`))),
    ),
  ]);
  const { processes } = JSON.parse(line ?? '') as StackDescription;
  expect(await running(processes)).toHaveLength(7);
  owner.kill('SIGKILL');
  await pollUntil('the end of all servers', EFFECT_TIMEOUT_MS, async () => {
    return (await running(processes)).length === 0 || undefined;
  });
});

function alertRule(name: string, expr: string): string {
  return JSON.stringify({ groups: [{ name: 'stack-test', rules: [{ alert: name, expr }] }] });
}

async function listen(handler: RequestListener): Promise<{ address: string; close: () => void }> {
  const server = createServer(handler);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const bound = server.address();
  return {
    address: `127.0.0.1:${bound && typeof bound === 'object' ? bound.port : 0}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function withTemporal<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

/** Those of the processes that run. One that ended but was not yet collected by its parent (Z) does not. */
async function running<P extends { pid: number }>(processes: P[]): Promise<P[]> {
  const states = await Promise.all(
    processes.map(({ pid }) =>
      runCommand('ps', ['-o', 'stat=', '-p', String(pid)], { timeoutMs: 5_000 }).catch(() => ''),
    ),
  );
  return processes.filter((_, index) => !['', 'Z'].includes((states[index] ?? '').trim().charAt(0)));
}
