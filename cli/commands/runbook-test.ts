import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { CoveredRunbook, Rehearsed } from '../../simulation/rehearse.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Io, type Output, plain } from '../output.ts';
import { bundle } from './runbook-simulate.ts';

interface Options {
  json?: boolean;
  junit?: string;
  coverage: boolean;
  minCoverage?: number;
}

/** `firebreak runbook test`: all scenarios of folders, with coverage. */
export function addTestCommand(runbook: Command, { io, output }: { io: Io; output: Output }): void {
  runbook
    .command('test')
    .description('run all scenarios (*.scenario.yaml) of folders, and tell what they cover of their runbooks')
    .argument('<path...>', 'folders, with their subfolders, or scenario files')
    .option('--json', 'print JSON')
    .option('--junit <file>', 'write a JUnit report, for CI')
    .option('--no-coverage', 'do not tell what was covered')
    .option('--min-coverage <percent>', 'fail where a runbook is covered less than this', percent)
    .addHelpText(
      'after',
      `
Exits with 0 when every scenario came as it expects, 1 when one did not or a runbook of the folders is broken,
2 for wrong usage. Runbooks of the folders that no scenario runs are covered by 0%.

Examples:
  firebreak runbook test runbooks/
  firebreak runbook test runbooks/ --junit report.xml --min-coverage 80`,
    )
    .action(async (paths: string[], options: Options) => {
      const { coverageOf, findRunbooks, rehearse, withoutScenarios } = await import(
        '../../simulation/rehearse.ts'
      );
      const files = await scenariosOf(paths);
      const bundlePath = await bundle(io);
      const rehearsed: Rehearsed[] = [];
      const progress = createProgress(io, files.length);
      for (const file of files) {
        const one = await rehearse(file, bundlePath);
        rehearsed.push(one);
        progress(rehearsed);
      }
      const { broken, uncovered } = await withoutScenarios(await findRunbooks(paths), rehearsed);
      rehearsed.push(...broken);
      const coverage = [...coverageOf(rehearsed), ...uncovered];
      if (options.junit !== undefined) await writeReport(options.junit, rehearsed);
      const low = coverage.filter((one) => one.percent < (options.minCoverage ?? 0));
      const ok = rehearsed.every((one) => one.ok) && low.length === 0;
      if (options.json) {
        const { rehearsedJson } = await import('../../simulation/json.ts');
        output.json({ ok, scenarios: rehearsed.map((one) => rehearsedJson(one)), coverage });
      } else {
        await print(rehearsed, coverage, options, output);
        for (const one of low) {
          output.print(
            output.colors.red(
              `${plain(one.name)} (${plain(one.file)}) is covered by ${Math.floor(one.percent)}%: ${options.minCoverage}% is asked for`,
            ),
          );
        }
      }
      if (!ok) throw new CliError(EXIT.failed, 'told', '');
    });
}

async function scenariosOf(paths: string[]): Promise<string[]> {
  const { findScenarios } = await import('../../simulation/rehearse.ts');
  let files: string[];
  try {
    files = await findScenarios(paths);
  } catch (error) {
    const { code, path: file } = error as { code?: string; path?: string };
    throw new CliError(EXIT.usage, 'usage', `${plain(file ?? 'A path')} cannot be read (${code}).`);
  }
  if (files.length > 0) return files;
  throw new CliError(
    EXIT.usage,
    'usage',
    'There are no scenarios in these folders.',
    'Scenarios are files whose names end in .scenario.yaml.',
  );
}

async function print(
  rehearsed: Rehearsed[],
  coverage: CoveredRunbook[],
  options: Options,
  output: Output,
): Promise<void> {
  const [render, { formatProblems }] = await Promise.all([
    import('../render/simulation.ts'),
    import('../../runbooks/report.ts'),
  ]);
  const { colors } = output;
  const { green, red, dim, bold } = colors;
  let suite = '';
  for (const one of rehearsed) {
    const name = one.loaded?.runbook.name ?? 'not run';
    if (name !== suite) output.print(`${suite === '' ? '' : '\n'}${bold(plain(name))}`);
    suite = name;
    const title = one.loaded?.scenario.metadata.name ?? one.file;
    output.print(
      `${one.ok ? green('✓') : red('✗')} ${plain(title)}${one.ok ? '' : dim(`  ${plain(one.file)}`)}`,
    );
    if (one.problems.length > 0) output.print(formatProblems(one.problems));
    else if (!one.ok) output.print(render.renderFailures(one, colors));
  }
  if (options.coverage && coverage.length > 0) {
    output.print(`\n${bold('Coverage')}`);
    for (const one of coverage) output.print(render.renderCoverage(one, colors));
  }
  const failed = rehearsed.filter(({ ok }) => !ok).length;
  const passed = `${rehearsed.length - failed} passed`;
  output.print(`\n${failed > 0 ? red(`${passed}, ${failed} failed`) : green(passed)}`);
}

async function writeReport(file: string, rehearsed: Rehearsed[]): Promise<void> {
  const { junitReport } = await import('../../simulation/junit.ts');
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, junitReport(rehearsed));
  } catch (error) {
    const { code } = error as { code?: string };
    throw new CliError(EXIT.failed, 'failed', `The report could not be written to ${file} (${code}).`);
  }
}

/** Tells people at a terminal how far it is; a log gets nothing. */
function createProgress(io: Io, all: number): (rehearsed: Rehearsed[]) => void {
  if (io.stderr.isTTY !== true) return () => undefined;
  return (rehearsed) => {
    const failed = rehearsed.filter(({ ok }) => !ok).length;
    const text = `${rehearsed.length}/${all}${failed > 0 ? `, ${failed} failed` : ''}`;
    io.stderr.write(`\r\u001b[K${rehearsed.length === all ? '' : text}`);
  };
}

function percent(text: string): number {
  const value = Number(text);
  if (!/^\d{1,3}$/.test(text) || value > 100) throw new InvalidArgumentError('a whole number from 0 to 100');
  return value;
}
