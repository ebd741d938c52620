import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import type { Rehearsed } from '../../simulation/rehearse.ts';
import type { ApiOptions } from '../api-client.ts';
import { CliError, EXIT, exitCodeFor } from '../exit-codes.ts';
import { type Io, type Output, plain, plainLines } from '../output.ts';

interface Options extends ApiOptions {
  scenario?: string;
  record?: string;
  output?: string;
  json?: boolean;
}

/** `firebreak runbook simulate`: an incident that did not happen, over virtual time, without a server. */
export function addSimulateCommand(runbook: Command, { io, output }: { io: Io; output: Output }): void {
  runbook
    .command('simulate')
    .description('run a runbook through a written incident: the real workflows, without a server or waiting')
    .argument('<file>', 'a runbook')
    .option('--scenario <file>', 'what happens, and what has to come of it')
    .option('--record <incident>', 'instead: write a scenario of an incident that happened, from the server')
    .option('-o, --output <file>', 'where to write the recorded scenario (default: standard output)')
    .option(
      '--url <url>',
      'for --record: base URL of the server (FIREBREAK_URL; default http://127.0.0.1:8787)',
    )
    .option('--token-file <path>', 'for --record: file with your API token (instead of FIREBREAK_TOKEN)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exits with 0 when everything came as the scenario expects, 1 when it did not, 2 when a file cannot be read.
A recorded scenario holds labels of alerts, names of people and their reasons: look at it before you share it.

Examples:
  firebreak runbook simulate ai-harm-response.yaml --scenario rejected.scenario.yaml
  firebreak runbook simulate ai-harm-response.yaml --record 3f9a -o scenarios/3f9a.scenario.yaml`,
    )
    .action(async (file: string, options: Options) => {
      if ((options.scenario === undefined) === (options.record === undefined)) {
        throw new CliError(
          EXIT.usage,
          'usage',
          'Give --scenario FILE to run one, or --record INCIDENT to write one.',
        );
      }
      if (options.record !== undefined) return record(file, options.record, options, { io, output });
      const { rehearse } = await import('../../simulation/rehearse.ts');
      const result = await rehearse(options.scenario ?? '', await bundle(io), file);
      await show(result, options, output);
      if (!result.ok) throw new CliError(exitCodeFor(result.problems), 'told', '');
    });
}

async function record(
  file: string,
  incident: string,
  options: Options,
  { io, output }: { io: Io; output: Output },
): Promise<void> {
  const [{ createApiClient }, { compileFile }, { recordScenario }, { formatProblems }] = await Promise.all([
    import('../api-client.ts'),
    import('../../runbooks/load.ts'),
    import('../../simulation/record/record.ts'),
    import('../../runbooks/report.ts'),
  ]);
  const compiled = await compileFile(file);
  if (!compiled.ok) {
    output.print(formatProblems(compiled.problems));
    throw new CliError(exitCodeFor(compiled.problems), 'told', '');
  }
  const client = await createApiClient(options, io.env, (text) => output.note(output.colors.yellow(text)));
  const [{ incident: view }, { timeline }] = await Promise.all([
    client.show(incident),
    client.timeline(incident),
  ]);
  const folder = options.output === undefined ? '.' : path.dirname(options.output);
  const text = recordScenario({
    view,
    timeline,
    runbook: compiled.runbook,
    runbookPath: path.relative(folder, file).split(path.sep).join('/'),
  });
  if (options.output === undefined) return output.print(plainLines(text).join('\n'));
  try {
    // A scenario that was edited by hand is not overwritten.
    await writeFile(options.output, text, { flag: 'wx' });
  } catch (error) {
    const { code } = error as { code?: string };
    const why = code === 'EEXIST' ? 'the file is there already' : code;
    throw new CliError(
      EXIT.failed,
      'failed',
      `The scenario was not written to ${plain(options.output)}: ${why}.`,
    );
  }
  output.note(`Wrote ${plain(options.output)}. Look at the values with a comment: they were assumed.`);
}

/** The workflows, built once for each version and kept among the user's caches. */
export async function bundle(io: Io): Promise<string> {
  const { workflowBundle } = await import('../../worker/bundle.ts');
  return workflowBundle(path.join(io.env.cacheDir, 'simulation'));
}

async function show(result: Rehearsed, { json }: Options, output: Output): Promise<void> {
  const render = await import('../render/simulation.ts');
  if (json) {
    const { rehearsedJson } = await import('../../simulation/json.ts');
    output.json(rehearsedJson(result));
  } else if (result.problems.length > 0) {
    const { formatProblems } = await import('../../runbooks/report.ts');
    output.print(formatProblems(result.problems));
  } else if (result.error !== undefined) {
    output.print(render.renderFailures(result, output.colors));
  } else {
    output.print(render.renderSimulation(result, output.colors));
  }
}
