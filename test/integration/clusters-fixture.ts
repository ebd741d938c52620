/** Firebreak split over clusters: the centre in one process, a worker for each cluster in another, nothing shared. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { Api } from '../../demo/run/api.ts';
import type { StackKube } from '../../demo/stack/attach-stack.ts';
import { pollUntil } from '../../demo/stack/poll.ts';
import { freePorts } from '../../demo/stack/start-server.ts';
import { grantRights } from '../../demo/world/grant-rights.ts';
import { awaitRolledOut, createNamespace, shipModel } from '../../demo/world/models.ts';
import { startNode } from '../../demo/world/node.ts';
import { rollbackRunbook } from '../../demo/world/rollback-runbook.ts';
import { loadOrCreateKeys } from '../../worker/keys.ts';

/** Mostly the embedded records of a new installation, on a machine that runs other tests beside. */
const READY_MS = 150_000;
const ALERT = 'ClustersTest';

const RUNBOOK = rollbackRunbook({ name: 'clusters-test', alert: ALERT });

/** A process of Firebreak with a folder of its own: all that it knows is in there. */
export class FirebreakProcess {
  readonly dir: string;
  private readonly args: readonly string[];
  private child: ChildProcess | undefined;

  constructor(dir: string, config: object, args: readonly string[]) {
    this.dir = dir;
    this.args = args;
    mkdirSync(path.join(dir, 'runbooks'), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(dir, 'runbooks', 'clusters-test.yaml'), RUNBOOK);
    writeFileSync(path.join(dir, 'firebreak.yaml'), stringify(config));
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  start(): void {
    const log = openSync(path.join(this.dir, 'firebreak.log'), 'a');
    const config = path.join(this.dir, 'firebreak.yaml');
    this.child = spawn(
      process.execPath,
      ['cli/main.ts', 'serve', '--config', config, ...this.args, '--exit-with-stdin'],
      // Of the environment it gets what Node.js needs, and nothing that could name another cluster.
      { stdio: ['pipe', log, log], env: { PATH: process.env.PATH, HOME: this.dir } },
    );
    this.child.stdin?.on('error', () => undefined);
    closeSync(log);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child === undefined || this.hasEnded) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }

  log(): string {
    return readFileSync(path.join(this.dir, 'firebreak.log'), 'utf8');
  }

  /** Text of every file in its folder that it was given or has made, and of its environment. */
  everythingItKnows(): string {
    const files = readdirSync(this.dir, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const texts = files.map((file) => readFileSync(path.join(file.parentPath, file.name), 'latin1'));
    return [...texts, readFileSync(`/proc/${this.pid}/environ`, 'latin1')].join('\n');
  }
}

export interface ClusterWorld {
  name: string;
  namespace: string;
  kube: StackKube;
  worker: FirebreakProcess;
  /** The token by which its worker is known to its API server. */
  token: string;
  /** Ships two images one after the other. */
  ship(deployment: string): Promise<void>;
  stop(): Promise<void>;
}

export interface ClustersOptions {
  dir: string;
  temporal: { address: string; namespace: string };
  prometheusUrl: string;
  clusters: Record<string, { kube: StackKube; namespace: string }>;
}

export interface Clusters {
  centre: FirebreakProcess;
  approver: Api;
  clusters: Record<string, ClusterWorld>;
  alert(cluster: ClusterWorld, deployment: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the centre, makes what each cluster's worker needs, and starts the workers. */
export async function startClusters(options: ClustersOptions): Promise<Clusters> {
  const { dir, temporal, prometheusUrl } = options;
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const webhookToken = randomBytes(16).toString('hex');
  const personToken = randomBytes(16).toString('hex');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const secret = (name: string, value: string) => {
    writeFileSync(path.join(dir, name), value, { mode: 0o600 });
    return `file:${path.join(dir, name)}`;
  };
  const common = (own: string) => ({
    dataDir: path.join(dir, own, 'data'),
    temporal,
    runbooks: { paths: [path.join(dir, own, 'runbooks')] },
  });
  const clusterConfig = (namespace: string) => ({
    prometheus: { url: prometheusUrl },
    namespaces: { [namespace]: { mode: 'approve' } },
  });
  const centre = new FirebreakProcess(
    path.join(dir, 'centre'),
    {
      ...common('centre'),
      server: { port, alertmanager: { bearerTokens: [secret('webhook-token', webhookToken)] } },
      // No kubeconfig: it never talks to a cluster.
      clusters: Object.fromEntries(
        Object.entries(options.clusters).map(([name, { namespace }]) => [name, clusterConfig(namespace)]),
      ),
      access: {
        people: [
          {
            id: 'maria',
            name: 'Maria',
            groups: ['ml-oncall'],
            tokens: [secret('person-token', personToken)],
          },
        ],
        rules: { responder: ['ml-oncall'] },
      },
    },
    ['--roles', 'webhooks,worker'],
  );
  // As an operator does it: the centre's payload keys and the public key of its edge go to each cluster, nothing else.
  const keyFolder = path.join(centre.dir, 'data', 'keys');
  await loadOrCreateKeys(path.join(centre.dir, 'data'));
  centre.start();

  const clusters: Record<string, ClusterWorld> = {};
  for (const [name, { kube, namespace }] of Object.entries(options.clusters)) {
    await createNamespace(kube.kubeconfigPath, namespace);
    const node = await startNode({ kubeconfig: kube.kubeconfigPath, namespaces: [namespace] });
    const rights = await grantRights({ kube, namespaces: [namespace] });
    const own = path.join(dir, name);
    const keys = path.join(own, 'data', 'keys');
    mkdirSync(path.join(keys, 'trusted-edges'), { recursive: true, mode: 0o700 });
    cpSync(path.join(keyFolder, 'payload.json'), path.join(keys, 'payload.json'));
    cpSync(path.join(keyFolder, 'edge-public.pem'), path.join(keys, 'trusted-edges', 'centre.pem'));
    const kubeconfig = await rights.writeKubeconfig(path.join(own, 'kubeconfig'));
    const worker = new FirebreakProcess(
      own,
      { ...common(name), clusters: { [name]: { ...clusterConfig(namespace), kubeconfig } } },
      ['--roles', 'cluster', '--cluster', name],
    );
    worker.start();
    clusters[name] = {
      name,
      namespace,
      kube,
      worker,
      token: /"token": "([^"]+)"/.exec(rights.kubeconfig)?.[1] ?? '',
      async ship(deployment) {
        const model = { kubeconfig: kube.kubeconfigPath, namespace, name: deployment };
        for (const image of ['test.invalid/llm:v1', 'test.invalid/llm:v2']) {
          await shipModel({ ...model, image, replicas: 1 });
          await awaitRolledOut({ ...model, image });
        }
      },
      async stop() {
        await worker.end();
        await node.stop();
      },
    };
  }
  const stop = async () => {
    await Promise.all(Object.values(clusters).map((cluster) => cluster.stop()));
    await centre.end();
  };
  try {
    await pollUntil('the centre being ready', READY_MS, async () => {
      const answer = await fetch(`${url}/readyz`);
      if (!answer.ok) throw new Error(await answer.text());
      return true;
    });
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}; its log ends with:\n${centre.log().slice(-2_000)}`);
  }
  return {
    centre,
    approver: new Api(url, personToken),
    clusters,
    async alert({ name, namespace }, deployment) {
      const labels = { alertname: ALERT, cluster: name, namespace, deployment };
      const answer = await fetch(`${url}/webhooks/alertmanager`, {
        method: 'POST',
        headers: { authorization: `Bearer ${webhookToken}`, 'content-type': 'application/json' },
        body: JSON.stringify(deliveryOf(labels)),
      });
      if (answer.status !== 200)
        throw new Error(`the alert was answered ${answer.status}: ${await answer.text()}`);
    },
    stop,
  };
}

function deliveryOf(labels: Record<string, string>) {
  const key = JSON.stringify(labels);
  return {
    version: '4',
    receiver: 'test',
    status: 'firing',
    groupKey: key,
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
    externalURL: '',
    truncatedAlerts: 0,
    alerts: [
      {
        status: 'firing',
        labels,
        annotations: {},
        startsAt: new Date().toISOString(),
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: '',
        fingerprint: Buffer.from(key).toString('hex').slice(-16),
      },
    ],
  };
}
