import type { Command } from 'commander';
import { CliError, EXIT, exitCodeFor } from '../exit-codes.ts';
import type { Output } from '../output.ts';

const FORMATS = ['text', 'markdown', 'mermaid'] as const;

/** `firebreak runbook explain`: what a runbook will do, in words and as a graph. */
export function addExplainCommand(runbook: Command, output: Output): void {
  runbook
    .command('explain')
    .description(
      'say in plain words, or as a graph, what a runbook will do, in which order, and who is asked',
    )
    .argument('<file>', 'a runbook')
    .option('--format <format>', `${FORMATS.join(', ')}: markdown has both`, 'text')
    .option('--json', 'print JSON, with the graph as Mermaid text')
    .addHelpText(
      'after',
      `
Times are the longest that the runbook's own limits allow. Nothing is started and nothing is asked.

Examples:
  firebreak runbook explain ai-harm-response.yaml
  firebreak runbook explain ai-harm-response.yaml --format markdown > ai-harm-response.md`,
    )
    .action(async (file: string, options: { format: string; json?: boolean }) => {
      const format = FORMATS.find((known) => known === options.format);
      if (format === undefined) {
        throw new CliError(
          EXIT.usage,
          'usage',
          `There is no format ${options.format}: choose ${FORMATS.join(', ')}.`,
        );
      }
      const [{ compileFile }, { formatProblems }, { explainRunbook }, render] = await Promise.all([
        import('../../runbooks/load.ts'),
        import('../../runbooks/report.ts'),
        import('../../runbooks/explain/explain.ts'),
        import('../render/explanation.ts'),
      ]);
      const compiled = await compileFile(file);
      if (!compiled.ok) {
        if (options.json) output.json({ ok: false, problems: compiled.problems });
        else output.print(formatProblems(compiled.problems));
        throw new CliError(exitCodeFor(compiled.problems), 'told', '');
      }
      const explanation = explainRunbook(compiled.runbook);
      if (options.json) output.json(explanation);
      else if (format === 'mermaid') output.print(explanation.mermaid);
      else if (format === 'markdown') output.print(render.explanationMarkdown(explanation));
      else output.print(render.explanationText(explanation, output.colors));
    });
}
