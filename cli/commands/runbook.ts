import type { Command } from 'commander';
import { CliError, EXIT } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { addExplainCommand } from './runbook-explain.ts';

/** `firebreak runbook ...`: works on files, needs no server. */
export function addRunbookCommands(program: Command, output: Output): void {
  const runbook = program.command('runbook').description('check runbooks and describe their format');

  runbook
    .command('validate')
    .description('check runbooks: every problem with file, line, column and what to write instead')
    .argument('<path...>', 'files or folders')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exits with 0 when all are right, 1 when there are problems, 2 for wrong usage.

Examples:
  firebreak runbook validate runbooks/
  firebreak runbook validate ai-harm-response.yaml --json`,
    )
    .action(async (paths: string[], options: { json?: boolean }) => {
      const [{ LIBRARY_PATH, loadRunbooks }, { formatProblems }] = await Promise.all([
        import('../../runbooks/load.ts'),
        import('../../runbooks/report.ts'),
      ]);
      const loaded = await loadRunbooks(paths);
      // The shipped default is added to every set; whoever checks their own files did not ask about it.
      const own = (file: string) =>
        paths.some((path) => path.startsWith(LIBRARY_PATH)) || !file.startsWith(LIBRARY_PATH);
      const files = loaded.files.filter(own);
      const ok = loaded.problems.length === 0;
      if (options.json) {
        const runbooks = loaded.runbooks.map(({ name, version, hash }) => ({ name, version, hash }));
        output.json({ ok, files, runbooks, problems: loaded.problems });
      } else if (ok) {
        output.print(`${files.length} runbook${files.length === 1 ? ' is' : 's are'} right.`);
      } else {
        output.print(formatProblems(loaded.problems));
      }
      if (!ok) throw new CliError(EXIT.failed, 'told', '');
    });

  runbook
    .command('schema')
    .description('print the JSON Schema of runbooks, for editors')
    .action(async () => {
      const { runbookJsonSchema } = await import('../../runbooks/json-schema.ts');
      output.json(runbookJsonSchema());
    });

  addExplainCommand(runbook, output);
}
