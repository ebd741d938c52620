import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import type { KubeDescription } from './stack-description.ts';
import { LOOPBACK, startServer } from './start-server.ts';
import type { SupervisedProcess, Supervisor } from './supervisor.ts';
import { writeAtomic } from './write-atomic.ts';

/** Measured: 3 s for all three on 2 idle cores. The rest is for machines that are busy. */
const START_TIMEOUT_MS = 60_000;
const REQUEST_TIMEOUT_MS = 5_000;
/** On throwaway data nothing is gained by waiting for long watches to drain. */
const API_SERVER_GRACE_MS = 3_000;
const SERVICE_CIDR = '10.0.0.0/24';
const DEFAULT_CONTROLLERS = [
  'deployment-controller',
  'replicaset-controller',
  'statefulset-controller',
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
];

/** https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/: one line for each answered request of a service account. */
const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts'] }, { level: 'None' }],
};

/** Someone who may call the Kubernetes API; rights come from RBAC objects that the caller creates. */
export interface KubeUser {
  name: string;
  groups: string[];
  token: string;
}

export interface KubeOptions {
  supervisor: Supervisor;
  parts: Record<'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kubectl', string>;
  /** Data, keys and the administrator's kubeconfig. */
  dir: string;
  users?: KubeUser[];
  /** Controllers that run; default: deployments, replica sets, stateful sets, collection, namespaces, accounts. */
  controllers?: string[];
  /** Keep a log of what service accounts ask of the API (who, verb, resource, answer; no bodies). */
  audit?: boolean;
}

export interface RunningKube {
  description: KubeDescription;
  processes: SupervisedProcess[];
  stop(): Promise<void>;
}

/**
 * Starts etcd, kube-apiserver (RBAC on) and kube-controller-manager, and waits until the API is ready, the namespace
 * `default` exists and the controllers work. There is no kubelet and no scheduler: whoever uses the stack binds pods
 * and sets their status through the API.
 */
export async function startKube(options: KubeOptions): Promise<RunningKube> {
  const { supervisor, parts, dir } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const adminToken = randomBytes(24).toString('hex');
  const adminTokenPath = join(dir, 'admin-token');
  await writeAtomic(adminTokenPath, adminToken, 0o600);
  await writeAtomic(join(dir, 'tokens.csv'), tokenFile(adminToken, options.users ?? []), 0o600);
  const serviceAccountKey = await keepServiceAccountKey(join(dir, 'service-account.key'));
  const auditPolicyPath = join(dir, 'audit-policy.json');
  if (options.audit) await writeAtomic(auditPolicyPath, JSON.stringify(AUDIT_POLICY), 0o600);

  const etcd = await startEtcd(supervisor, parts.etcd, join(dir, 'etcd'));
  const apiServer = await startApiServer(
    options,
    `http://${LOOPBACK}:${etcd.ports[0]}`,
    serviceAccountKey,
    adminToken,
  );
  const description: KubeDescription = {
    server: `https://${LOOPBACK}:${apiServer.ports[0]}`,
    caPath: caPath(dir),
    adminTokenPath,
    kubeconfigPath: join(dir, 'admin.kubeconfig'),
    kubectlPath: parts.kubectl,
    ...(options.audit ? { auditLogPath: auditLogPath(dir) } : {}),
  };
  const ca = await readFile(description.caPath, 'utf8');
  await writeAtomic(description.kubeconfigPath, kubeconfig(description.server, ca, adminToken), 0o600);
  const manager = await startControllerManager(options, description.kubeconfigPath, () =>
    // The service account controller makes this one: it is there once the controllers work.
    exists(description.server, '/api/v1/namespaces/default/serviceaccounts/default', ca, adminToken),
  );
  return {
    description,
    processes: [manager.process, apiServer.process, etcd.process],
    stop: async () => {
      await manager.process.stop();
      await apiServer.process.stop('SIGTERM', API_SERVER_GRACE_MS);
      await etcd.process.stop();
    },
  };
}

/** A kubeconfig with one cluster and one user, who is known by the token. */
export function kubeconfig(server: string, ca: string, token: string): string {
  // JSON is YAML: no quoting rules to get wrong.
  const name = 'firebreak-local';
  return `${JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
      ],
      users: [{ name, user: { token } }],
      contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
      'current-context': name,
    },
    null,
    2,
  )}\n`;
}

function startEtcd(supervisor: Supervisor, executable: string, dataDir: string) {
  return startServer(supervisor, {
    name: 'etcd',
    executable,
    portCount: 2,
    args: ([client, peer]) => [
      `--data-dir=${dataDir}`,
      `--listen-client-urls=http://${LOOPBACK}:${client}`,
      `--advertise-client-urls=http://${LOOPBACK}:${client}`,
      `--listen-peer-urls=http://${LOOPBACK}:${peer}`,
      `--initial-advertise-peer-urls=http://${LOOPBACK}:${peer}`,
      `--initial-cluster=default=http://${LOOPBACK}:${peer}`,
      '--log-level=warn',
      // It survives our crash, not the machine's: right for a local stack, and several times as fast.
      '--unsafe-no-fsync',
    ],
    ready: async ([client]) => {
      const answer = await fetch(`http://${LOOPBACK}:${client}/health`, {
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      return answer.ok || undefined;
    },
    timeoutMs: START_TIMEOUT_MS,
  });
}

function startApiServer(
  { supervisor, parts, dir, audit }: KubeOptions,
  etcdUrl: string,
  serviceAccountKey: string,
  adminToken: string,
) {
  return startServer(supervisor, {
    name: 'kube-apiserver',
    executable: parts['kube-apiserver'],
    portCount: 1,
    args: ([port]) => [
      `--etcd-servers=${etcdUrl}`,
      `--bind-address=${LOOPBACK}`,
      `--secure-port=${port}`,
      `--cert-dir=${join(dir, 'certificates')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${serviceAccountKey}`,
      `--service-account-signing-key-file=${serviceAccountKey}`,
      `--token-auth-file=${join(dir, 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      `--service-cluster-ip-range=${SERVICE_CIDR}`,
      '--disable-admission-plugins=ServiceAccount',
      // One API server, no kubelet, a handful of clients.
      '--endpoint-reconciler-type=none',
      '--enable-priority-and-fairness=false',
      ...(audit
        ? [`--audit-policy-file=${join(dir, 'audit-policy.json')}`, `--audit-log-path=${auditLogPath(dir)}`]
        : []),
    ],
    ready: async ([port]) => {
      const ca = await readFile(caPath(dir), 'utf8');
      const server = `https://${LOOPBACK}:${port}`;
      // With our token: another API server on this port would refuse it.
      const ready = await exists(server, '/readyz', ca, adminToken);
      return ready && exists(server, '/api/v1/namespaces/default', ca, adminToken);
    },
    timeoutMs: START_TIMEOUT_MS,
  });
}

function startControllerManager(
  { supervisor, parts, controllers }: KubeOptions,
  kubeconfigPath: string,
  ready: () => Promise<true | undefined>,
) {
  return startServer(supervisor, {
    name: 'kube-controller-manager',
    executable: parts['kube-controller-manager'],
    portCount: 0,
    args: () => [
      `--kubeconfig=${kubeconfigPath}`,
      '--leader-elect=false',
      // Its own limit of 20 calls a second is for clusters whose API server others share.
      '--kube-api-qps=200',
      '--kube-api-burst=400',
      // 0: it serves nothing itself.
      '--secure-port=0',
      `--controllers=${(controllers ?? DEFAULT_CONTROLLERS).join(',')}`,
    ],
    ready,
    timeoutMs: START_TIMEOUT_MS,
  });
}

function auditLogPath(dir: string): string {
  return join(dir, 'audit.log');
}

/** The API server writes a certificate for its address with the CA that signed it into one file at first start. */
function caPath(dir: string): string {
  return join(dir, 'certificates', 'apiserver.crt');
}

async function keepServiceAccountKey(path: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'sec1', format: 'pem' });
  // Kept data has tokens that the old key signed: an existing key stays.
  await writeFile(path, pem, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return path;
}

/** CSV of token, user, uid and a quoted list of groups, as --token-auth-file wants it. */
function tokenFile(adminToken: string, users: KubeUser[]): string {
  const admin: KubeUser = { name: 'firebreak-admin', groups: ['system:masters'], token: adminToken };
  return [admin, ...users]
    .map(({ token, name, groups }) => [token, name, name, groups.join(',')].map(csvField).join(','))
    .map((line) => `${line}\n`)
    .join('');
}

function csvField(value: string): string {
  return `"${value.replaceAll('"', '""')}"`;
}

/** True where the API answers 200 to the path, undefined for another answer. Throws where nothing answers. */
function exists(server: string, path: string, ca: string, token: string): Promise<true | undefined> {
  return new Promise((resolve, reject) => {
    const url = new URL(path, server);
    const outgoing = request(
      url,
      // No agent: sockets kept alive would hold this process open after the stack has stopped.
      { ca, agent: false, timeout: REQUEST_TIMEOUT_MS, headers: { authorization: `Bearer ${token}` } },
      (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode === 200 || undefined));
        answer.on('error', reject);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${url.pathname} did not answer`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
