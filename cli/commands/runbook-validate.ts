import { relative } from 'node:path';
import type { Command } from 'commander';
import type { LoadOptions } from '../../runbooks/load.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';

const FORMATS = ['text', 'github'] as const;
/** Rules of a path that gives nothing to check. */
const UNREADABLE: readonly string[] = ['file/unreadable'];

interface Options {
  json?: boolean;
  format: string;
  strict?: boolean;
  config?: string;
}

/** `firebreak runbook validate`: every mistake in runbooks, without a server. */
export function addValidateCommand(runbook: Command, output: Output): void {
  runbook
    .command('validate')
    .description('check runbooks: every problem with file, line, column and what to write instead')
    .argument('[path...]', 'files or folders; without any, those of --config')
    .option('--config <file>', 'check names and inputs against this firebreak.yaml too')
    .option('--strict', 'fail on warnings as well')
    .option(
      '--format <format>',
      `${FORMATS.join(' or ')}: github prints annotations for a pull request`,
      'text',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exits with 0 when all are right, 1 when there are errors (with --strict: or warnings), 2 for wrong usage,
a path that cannot be read, or no runbook at all.
Scenarios are no runbooks: those in folders are left out. What a rule asks for is in docs/rules.md.

Examples:
  firebreak runbook validate runbooks/
  firebreak runbook validate --config firebreak.yaml
  firebreak runbook validate runbooks/ --strict --format github`,
    )
    .action((paths: string[], options: Options) => validate(paths, options, output));
}

async function validate(paths: string[], options: Options, output: Output): Promise<void> {
  const format = FORMATS.find((known) => known === options.format);
  if (format === undefined) {
    const message = `There is no format ${options.format}: choose ${FORMATS.join(' or ')}.`;
    throw new CliError(EXIT.usage, 'usage', message);
  }
  if (paths.length === 0 && options.config === undefined) {
    const message = 'Name files or folders to check, or give --config: those that it names are checked.';
    throw new CliError(EXIT.usage, 'usage', message);
  }
  const [{ LIBRARY_PATH, loadRunbooks }, { formatProblems, githubAnnotations }] = await Promise.all([
    import('../../runbooks/load.ts'),
    import('../../runbooks/report.ts'),
  ]);
  const configured = await configuredOptions(options.config);
  const chosen = paths.length === 0 ? configured.paths : paths;
  const loaded = await loadRunbooks(chosen, configured.options);

  // The shipped default is added to every set; whoever checks their own files did not ask about it.
  const own = (file: string) =>
    !file.startsWith(LIBRARY_PATH) ||
    chosen.length === 0 ||
    chosen.some((path) => path.startsWith(LIBRARY_PATH));
  const files = loaded.files.filter(own);
  const problems = loaded.problems.filter(
    // A part of the runbooks says nothing about the others that the configuration speaks of.
    ({ file, rule }) => own(file) && (paths.length === 0 || rule !== 'inputs/unknown-runbook'),
  );
  if (files.length === 0 && problems.every(({ severity }) => severity !== 'error')) {
    const message = `There is no runbook in ${chosen.join(', ')}: scenarios are none; try firebreak runbook test for them.`;
    throw new CliError(EXIT.usage, 'no-runbook', message);
  }
  const ok = !problems.some(({ severity }) => severity === 'error' || options.strict);
  if (options.json) {
    const runbooks = loaded.runbooks.map(({ name, version, hash }) => ({ name, version, hash }));
    output.json({ ok, files, runbooks, problems });
  } else if (format === 'github') {
    if (problems.length > 0) output.print(githubAnnotations(problems, (file) => relative('.', file)));
  } else {
    if (problems.length > 0) output.print(formatProblems(problems));
    if (ok) output.print(`${files.length} runbook${files.length === 1 ? ' is' : 's are'} right.`);
  }
  // What the command line names wrongly is wrong usage, as for every command; the rest was checked and told.
  const isUnreadable = chosen.some((path) =>
    problems.some(({ file, rule }) => file === path && UNREADABLE.includes(rule)),
  );
  if (isUnreadable && paths.length > 0) throw new CliError(EXIT.usage, 'told', '');
  if (!ok) throw new CliError(EXIT.failed, 'told', '');
}

async function configuredOptions(
  file: string | undefined,
): Promise<{ paths: readonly string[]; options: LoadOptions }> {
  if (file === undefined) return { paths: [], options: {} };
  const [{ ConfigError, loadConfig }, { installationOf }] = await Promise.all([
    import('../../worker/config/load.ts'),
    import('../../worker/config/installation.ts'),
  ]);
  try {
    const config = loadConfig(file);
    const { paths, inputs } = config.runbooks;
    return { paths, options: { inputs, installation: installationOf(config), configFile: file } };
  } catch (error) {
    if (error instanceof ConfigError) throw new CliError(EXIT.usage, 'config', error.message);
    throw error;
  }
}
