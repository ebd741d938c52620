/** `npm run bench:vendors`: alert to containment with all vendors failing, in pairs with none failing. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { lineReporter } from '../../demo/parts/line-reporter.ts';
import { resolveParts, STACK_PARTS } from '../../demo/parts/resolve-parts.ts';
import { createTemporalNamespace } from '../../demo/run/temporal-namespace.ts';
import { startStack } from '../../demo/stack/stack.ts';
import { type Arm, startArm } from './arms.ts';
import { type Pair, pageOf, rowsOf, tableOf } from './report.ts';
import { SETTINGS } from './settings.ts';

const USAGE = `npm run bench:vendors -- [--pairs N] [--write]

  --pairs N  of each kind of failure (default 10)
  --write    write the result to docs/bench-vendors.md
`;
const DEFAULT_PAIRS = 10;
const PAGE = path.resolve('docs/bench-vendors.md');
const ARMS = ['undisturbed', 'disturbed'] as const;
/** While one model's traffic comes back, the next alert is about another. */
const MODELS = [1, 2];

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
  const stack = await startStack({ parts, dir: path.resolve('.firebreak/bench-vendors') });
  const stops: (() => Promise<void>)[] = [() => stack.stop()];
  try {
    const start = async (name: (typeof ARMS)[number]) => {
      await createTemporalNamespace(stack.temporal.address, name);
      const namespaces = MODELS.map((model) => `${name}-${model}`);
      return startArm(stack, { name, temporalNamespace: name, namespaces }, stops);
    };
    const arms = { undisturbed: await start('undisturbed'), disturbed: await start('disturbed') };
    const rows = rowsOf(await measure(arms, pairs));
    process.stdout.write(`\n${tableOf(rows)}\n`);
    if (values.write) {
      await writeFile(PAGE, pageOf(rows));
      process.stdout.write(`\nWritten to ${path.relative('.', PAGE)}\n`);
    }
    return rows.every(({ holds }) => holds) ? 0 : 1;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function measure(arms: Record<(typeof ARMS)[number], Arm>, pairs: number) {
  const measured = [];
  let alerts = 0;
  for (const setting of SETTINGS) {
    await arms.disturbed.outages.set(setting.outages);
    const taken: Pair[] = [];
    // The first one pays for connections, caches and compilation.
    for (let pair = 0; pair <= pairs; pair++) {
      const took = { undisturbed: 0, disturbed: 0 };
      const order = (pair >> 1) % 2 === 0 ? ARMS : ARMS.toReversed();
      for (const name of order) {
        alerts += 1;
        const namespace = `${name}-${MODELS[pair % MODELS.length]}`;
        took[name] = await arms[name].contain(namespace, String(alerts));
      }
      if (pair > 0) taken.push({ disturbedMs: took.disturbed, undisturbedMs: took.undisturbed });
      process.stderr.write(
        `  ${setting.name}, ${pair === 0 ? 'not counted' : `${pair} of ${pairs}`}: undisturbed ${seconds(took.undisturbed)}, disturbed ${seconds(took.disturbed)}\n`,
      );
    }
    measured.push({ setting, pairs: taken });
  }
  return measured;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
