import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { lineReporter } from '../parts/line-reporter.ts';
import { PartsError, resolveParts, STACK_PARTS } from '../parts/resolve-parts.ts';
import type { LocalStack, StackEvent } from './stack.ts';
import { startStack } from './stack.ts';

const USAGE = `Starts Kubernetes, Temporal, Prometheus and Alertmanager on loopback, and shows where they are.

  node demo/stack/main.ts [--dir FOLDER] [--cache-dir FOLDER] [--keep-data] [--once] [--json]

  --dir FOLDER        files of the stack (default .firebreak/stack)
  --cache-dir FOLDER  where fetched parts are kept (default ~/.cache/firebreak)
  --keep-data         go on with the data of the last start
  --once              stop as soon as everything is ready
  --json              addresses as one JSON line on standard output
`;
const LABEL_WIDTH = 22;

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: join('.firebreak', 'stack') },
    'cache-dir': { type: 'string' },
    'keep-data': { type: 'boolean', default: false },
    once: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) process.stdout.write(USAGE);
else process.exitCode = await main();

async function main(): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => interrupted.abort());
  let stack: LocalStack | undefined;
  try {
    const cacheDir = values['cache-dir'];
    const report = lineReporter(process.stderr);
    const parts = await resolveParts(STACK_PARTS, { cacheDir, report, signal: interrupted.signal });
    if (interrupted.signal.aborted) return 1;
    stack = await startStack({ parts, dir: values.dir, keepData: values['keep-data'], report: tell });
    process.stdout.write(values.json ? `${JSON.stringify(stack.describe())}\n` : table(stack));
    if (values.once || interrupted.signal.aborted) return 0;
    const broken = await Promise.race([stack.broken, untilInterrupted(interrupted.signal)]);
    if (broken === undefined) return 0;
    process.stderr.write(`${broken}\n`);
    return 1;
  } catch (error) {
    process.stderr.write(`${error instanceof PartsError ? error.message : (error as Error).message}\n`);
    return 1;
  } finally {
    await stack?.stop();
  }
}

function tell({ server, state, detail }: StackEvent): void {
  process.stderr.write(`  ${server.padEnd(LABEL_WIDTH)}${state.padEnd(10)}${detail}\n`);
}

function table(stack: LocalStack): string {
  const rows = [
    ['Kubernetes API', stack.kube.server],
    ['kubeconfig', stack.kube.kubeconfigPath],
    ['kubectl', stack.kube.kubectlPath],
    ['Temporal', stack.temporal.address],
    ['Temporal UI', stack.temporal.uiUrl],
    ['Prometheus', stack.prometheus.url],
    ['Alertmanager', stack.alertmanager.url],
    ['logs', join(stack.dir, 'logs')],
  ];
  const lines = rows.map(([label = '', value]) => `  ${label.padEnd(LABEL_WIDTH)}${value}`);
  return `\n${lines.join('\n')}\n\n${values.once ? '' : '  Ctrl-C stops everything.\n'}`;
}

function untilInterrupted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined), { once: true }));
}
