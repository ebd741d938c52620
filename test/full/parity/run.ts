import { randomBytes } from 'node:crypto';
import { connectKube, type KubeClient } from '../../../demo/world/kube-client.ts';
import { startNode } from '../../../demo/world/node.ts';
import { differencesOf, type FieldDifference, pictureOf } from './compare.ts';
import { answersAgree, DELIBERATE_DIFFERENCES } from './differences.ts';
import { featuresOf, type History, historyOf } from './history.ts';
import { openTwin, play, settle } from './twin.ts';
import { revisionToUndoTo, type Undone, undoByFirebreak, undoByKubectl } from './undo.ts';

export interface Cli {
  kubectlPath: string;
  kubeconfigPath: string;
}

/** What one history showed. */
export interface Comparison {
  seed: number;
  features: string[];
  /** Absent where the history could not be played to its end: then there is a problem. */
  answers?: { kubectl: Undone; firebreak: Undone };
  /** Names of the deliberate differences that occurred. */
  deliberate: string[];
  /** Everything else that differed, each with the path of the field or what was answered. */
  problems: string[];
}

/** More at once keep a small machine busy with waiting for each other. */
const AT_ONCE = 6;

/** Plays the histories of these seeds, many side by side, each in two namespaces of its own. */
export async function compareAll(
  cli: Cli,
  seeds: readonly number[],
  report: (done: Comparison) => void = () => {},
): Promise<Comparison[]> {
  const kube = connectKube(cli.kubeconfigPath);
  const waiting = [...seeds];
  const done: Comparison[] = [];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
        const comparison = await compareOne(kube, cli, seed).catch((error: Error) =>
          notCompared(seed, error),
        );
        done.push(comparison);
        report(comparison);
      }
    }),
  );
  return done.sort((a, b) => a.seed - b.seed);
}

async function compareOne(kube: KubeClient, cli: Cli, seed: number): Promise<Comparison> {
  const history = historyOf(seed);
  const run = randomBytes(3).toString('hex');
  const namespaces = { kubectl: `parity-${seed}-${run}-k`, firebreak: `parity-${seed}-${run}-f` };
  const node = await startNode({
    kubeconfig: cli.kubeconfigPath,
    namespaces: Object.values(namespaces),
    name: `parity-${seed}-${run}`,
    images: Object.fromEntries([1, 2, 3, 4].map((image) => [`registry.test/llm:v${image}`, { ready: 0 }])),
  });
  try {
    for (const name of Object.values(namespaces))
      await kube.core.createNamespace({ body: { metadata: { name } } });
    return await compareTwins(kube, cli, { seed, history, namespaces });
  } finally {
    // Not waited for: pods end without grace, and nothing else is in the way.
    await Promise.all(Object.values(namespaces).map((name) => kube.core.deleteNamespace({ name })));
    await node.stop();
  }
}

function notCompared(seed: number, { message }: Error): Comparison {
  const history = historyOf(seed);
  const problems = [`${message} (${JSON.stringify(history)})`];
  return { seed, features: featuresOf(history), deliberate: [], problems };
}

async function compareTwins(
  kube: KubeClient,
  cli: Cli,
  {
    seed,
    history,
    namespaces,
  }: { seed: number; history: History; namespaces: Record<'kubectl' | 'firebreak', string> },
): Promise<Comparison> {
  const theirs = openTwin(kube, namespaces.kubectl, history.kind, cli);
  const ours = openTwin(kube, namespaces.firebreak, history.kind, cli);
  await Promise.all([play(theirs, history), play(ours, history)]);
  const before = { kubectl: await pictureOf(theirs), firebreak: await pictureOf(ours) };
  const unlike = differencesOf(before.kubectl, before.firebreak);
  if (unlike.length > 0)
    throw new Error(`the twins differ before the undo: ${unlike.map(described).join('; ')}`);

  const revision = await revisionToUndoTo(theirs, history);
  const [kubectl, firebreak] = await Promise.all([
    undoByKubectl(theirs, revision),
    undoByFirebreak(ours, revision, cli.kubeconfigPath, history.special),
  ]);
  await Promise.all([settle(theirs), settle(ours)]);
  const after = { kubectl: await pictureOf(theirs), firebreak: await pictureOf(ours) };

  const deliberate = new Set<string>();
  const problems: string[] = [];
  if (!answersAgree(kubectl, firebreak)) {
    const known = DELIBERATE_DIFFERENCES.find((one) => one.answer?.(kubectl, firebreak));
    if (known === undefined) problems.push(`kubectl: "${kubectl.text}", firebreak: "${firebreak.text}"`);
    else deliberate.add(known.name);
  }
  // Where only kubectl acted, ours must be as it was.
  const acted = firebreak.result === 'rolled-back' || kubectl.result !== 'rolled-back';
  const fields = acted
    ? differencesOf(after.kubectl, after.firebreak)
    : differencesOf(before.firebreak, after.firebreak);
  for (const field of fields) {
    const known = acted ? DELIBERATE_DIFFERENCES.find((one) => one.field?.(field)) : undefined;
    if (known === undefined) problems.push(described(field));
    else deliberate.add(known.name);
  }
  if (firebreak.result !== 'rolled-back') {
    const moved = differencesOf(before.firebreak, after.firebreak);
    problems.push(...moved.map((field) => `though nothing was rolled back: ${described(field)}`));
  }
  const features = [...featuresOf(history), `kubectl: ${kubectl.result}`];
  return { seed, features, answers: { kubectl, firebreak }, deliberate: [...deliberate], problems };
}

function described({ path, kubectl, firebreak }: FieldDifference): string {
  return `${path}: kubectl ${JSON.stringify(kubectl)}, firebreak ${JSON.stringify(firebreak)}`;
}

export function seedsUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** One line a problem, with the seed that makes it again. */
export function problemsOf(comparisons: readonly Comparison[]): string[] {
  return comparisons.flatMap(({ seed, problems }) => problems.map((problem) => `seed ${seed}: ${problem}`));
}
