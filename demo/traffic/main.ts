import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startTraffic } from './start-traffic.ts';

const USAGE = `Usage: node demo/traffic/main.ts --config FILE [--exit-with-stdin]

Sends model traffic until SIGTERM or SIGINT. FILE is JSON with the options of startTraffic (demo/traffic/options.ts).
Once it runs, one line of JSON with its address goes to standard output.

  --config FILE       options
  --exit-with-stdin   end when standard input ends, so that it never outlives whoever started it
`;

function note(text: string): void {
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), text })}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'exit-with-stdin': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.config === undefined) throw new Error(`--config is missing\n\n${USAGE}`);
  const options = JSON.parse(await readFile(values.config, 'utf8'));
  const traffic = await startTraffic(options, (error) => note(error.message));

  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    traffic.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  if (values['exit-with-stdin']) process.stdin.on('end', end).on('error', end).resume();
  const { port, metricsUrl, samplesUrl, controlUrl } = traffic;
  process.stdout.write(`${JSON.stringify({ port, metricsUrl, samplesUrl, controlUrl })}\n`);
}

main().catch((error: Error) => {
  process.stderr.write(`model traffic: ${error.message}\n`);
  process.exit(1);
});
