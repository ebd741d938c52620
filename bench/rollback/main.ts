/** `npm run bench:rollback`: approval to completed rollout, in pairs with kubectl on the same objects. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { lineReporter } from '../../demo/parts/line-reporter.ts';
import { resolveParts, STACK_PARTS } from '../../demo/parts/resolve-parts.ts';
import { Api } from '../../demo/run/api.ts';
import { startFirebreak } from '../../demo/run/firebreak-process.ts';
import { startVendors } from '../../demo/run/vendors.ts';
import { type LocalStack, startStack } from '../../demo/stack/stack.ts';
import { grantRights } from '../../demo/world/grant-rights.ts';
import { awaitRolledOut, createNamespace, imageOf, shipModel } from '../../demo/world/models.ts';
import { startNode } from '../../demo/world/node.ts';
import { type Arm, activitiesArm, firebreakArm, kubectlArm } from './arms.ts';
import { pageOf, type Round, rowsOf, type Setting, tableOf } from './report.ts';
import { BENCH_RUNBOOK } from './runbook.ts';

const USAGE = `npm run bench:rollback -- [--pairs N] [--write]

  --pairs N  of each setting (default 20)
  --write    write the result to docs/bench-rollback.md
`;
const DEFAULT_PAIRS = 20;
const PAGE = path.resolve('docs/bench-rollback.md');
/** As startFirebreak configures it. */
const CLUSTER = 'local';
const NAMESPACE = 'bench';
const REPLICAS = 2;

/** Tenths of a second: nothing that answers requests starts faster. Seconds: a small service. */
const SETTINGS = [
  { name: 'ready after 0.3 s', image: 'bench.invalid/quick', readyMs: 300 },
  { name: 'ready after 2 s', image: 'bench.invalid/small', readyMs: 2_000 },
];

/** Each way comes first, second and last equally often, and after each other one. */
const ORDERS = [
  ['kubectl', 'firebreak', 'activities'],
  ['firebreak', 'kubectl', 'activities'],
  ['activities', 'kubectl', 'firebreak'],
  ['activities', 'firebreak', 'kubectl'],
  ['kubectl', 'activities', 'firebreak'],
  ['firebreak', 'activities', 'kubectl'],
] as const;

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: String(DEFAULT_PAIRS) },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) process.stdout.write(USAGE);
else process.exitCode = await main(Number(values.pairs));

/** @returns exit code 1 where the promise does not hold. */
async function main(pairs: number): Promise<number> {
  if (!Number.isInteger(pairs) || pairs < 1) throw new Error(`--pairs ${values.pairs} is no number of pairs`);
  const parts = await resolveParts(STACK_PARTS, { report: lineReporter(process.stderr) });
  const stack = await startStack({ parts, dir: path.resolve('.firebreak/bench-rollback') });
  const stops: (() => Promise<void>)[] = [() => stack.stop()];
  try {
    const settings = await measure(stack, pairs, stops);
    const rows = rowsOf(settings);
    process.stdout.write(`\n${tableOf(rows)}\n`);
    if (values.write) {
      await writeFile(PAGE, pageOf(rows, await versionsOf(parts.kubectl, parts.temporal)));
      process.stdout.write(`\nWritten to ${path.relative('.', PAGE)}\n`);
    }
    return rows.every(({ holds }) => holds) ? 0 : 1;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function measure(stack: LocalStack, pairs: number, stops: (() => Promise<void>)[]): Promise<Setting[]> {
  const { kubeconfigPath, kubectlPath } = stack.kube;
  await createNamespace(kubeconfigPath, NAMESPACE);
  const behaviours = SETTINGS.flatMap(({ image, readyMs }) =>
    ['v1', 'v2'].map((tag) => [`${image}:${tag}`, { ready: readyMs }] as const),
  );
  const node = await startNode({
    kubeconfig: kubeconfigPath,
    namespaces: [NAMESPACE],
    images: Object.fromEntries(behaviours),
  });
  stops.push(() => node.stop());
  const dir = path.join(stack.dir, 'firebreak');
  await mkdir(path.join(dir, 'runbooks'), { recursive: true });
  await writeFile(path.join(dir, 'runbooks', 'bench-rollback.yaml'), BENCH_RUNBOOK);
  const rights = await grantRights({ kube: stack.kube, namespaces: [NAMESPACE] });
  const kubeconfig = await rights.writeKubeconfig(path.join(dir, 'kubeconfig'));
  const vendors = await startVendors();
  stops.push(() => vendors.close());
  const firebreak = await startFirebreak({
    dir,
    kubeconfig,
    prometheusUrl: stack.prometheus.url,
    temporalAddress: stack.temporal.address,
    temporalNamespace: stack.temporal.namespace,
    namespaces: { [NAMESPACE]: 'approve' },
    pagerDutyUrl: vendors.pagerDuty.url,
    github: vendors.emulators.github,
    samplesUrl: vendors.samples.url,
  });
  stops.push(() => firebreak.stop());
  const place = { cluster: CLUSTER, namespace: NAMESPACE };
  const arms = [
    kubectlArm({ ...place, kubectl: kubectlPath, kubeconfig: kubeconfigPath }),
    activitiesArm({ ...place, kubeconfig }),
    firebreakArm({
      ...place,
      firebreak,
      approver: new Api(firebreak.url, firebreak.tokens.maria),
      commander: new Api(firebreak.url, firebreak.tokens.kim),
    }),
  ];
  const measured: Setting[] = [];
  for (const { name, image } of SETTINGS) {
    const rounds: Round[] = [];
    // The first one pays for connections, caches and compilation: all ways alike, and none in an incident of a server.
    for (let round = 0; round <= pairs; round++) {
      const deployment = `${path.basename(image)}-${round}`;
      const took = await playRound(kubeconfigPath, arms, { deployment, image, round });
      if (round > 0) rounds.push(took);
      const [kubectl, alone, whole] = [took.kubectl, took.activities, took.firebreak].map(seconds);
      process.stderr.write(
        `  ${name}, ${round === 0 ? 'not counted' : `${round} of ${pairs}`}: kubectl ${kubectl}, activities ${alone}, firebreak ${whole}\n`,
      );
    }
    measured.push({ name, rounds });
  }
  return measured;
}

async function playRound(
  kubeconfig: string,
  arms: readonly Arm[],
  { deployment, image, round }: { deployment: string; image: string; round: number },
): Promise<Round> {
  const model = { kubeconfig, namespace: NAMESPACE, name: deployment };
  const ship = async (tag: string) => {
    await shipModel({ ...model, image: `${image}:${tag}`, replicas: REPLICAS });
    await awaitRolledOut({ ...model, image: `${image}:${tag}` });
  };
  await ship('v1');
  const took: Partial<Round> = {};
  for (const name of ORDERS[round % ORDERS.length] ?? []) {
    const arm = arms.find((one) => one.name === name);
    if (arm === undefined) throw new Error(`there is no ${name}`);
    await ship('v2');
    await arm.prepare(deployment);
    took[name] = await arm.rollBack(deployment);
    const now = await imageOf(model);
    if (now !== `${image}:v1`) throw new Error(`${name} left ${deployment} at ${now}`);
    await arm.finish(deployment);
  }
  await shipModel({ ...model, image: `${image}:v1`, replicas: 0 });
  return took as Round;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

async function versionsOf(kubectl: string, temporal: string) {
  const run = promisify(execFile);
  const { stdout: client } = await run(kubectl, ['version', '--client', '--output=json']);
  const { stdout: server } = await run(temporal, ['--version']);
  return {
    kubernetes: (JSON.parse(client) as { clientVersion: { gitVersion: string } }).clientVersion.gitVersion,
    temporal: `Temporal ${/Server ([\d.]+)/.exec(server)?.[1] ?? 'of an unknown version'}`,
  };
}
