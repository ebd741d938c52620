import { type Command, InvalidArgumentError } from 'commander';
import { parseSinceMs, SINCE_FORMS } from '../../domain/observe-report/since.ts';
import type { ApiOptions } from '../api-client.ts';
import type { Io, Output } from '../output.ts';

/** `firebreak report ...`: what many incidents say together, over the HTTP API, as one person. */
export function addReportCommands(program: Command, { io, output }: { io: Io; output: Output }): void {
  const report = program.command('report').description('what the incidents of a time say together');

  report
    .command('observe')
    .description('what Firebreak would have done in observe mode, beside what people did')
    .option('--since <when>', SINCE_FORMS, since, '7d')
    .option('--url <url>', 'base URL of the server (FIREBREAK_URL; default http://127.0.0.1:8787)')
    .option('--token-file <path>', 'file with your API token (instead of FIREBREAK_TOKEN)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Only incidents of targets in observe mode are in it, by the time when their alert was received. It says what would have
been done and when, never that it would have helped: nothing was changed, so that is not known.

Examples:
  firebreak report observe
  firebreak report observe --since 30d
  firebreak report observe --since 2026-03-01 --json | jq .totals`,
    )
    .action(async (options: ApiOptions & { since: string; json?: boolean }) => {
      const { createApiClient } = await import('../api-client.ts');
      const client = await createApiClient(options, io.env, (text) =>
        output.note(output.colors.yellow(text)),
      );
      const result = await client.observeReport(options.since);
      if (options.json) return output.json(result);
      const { renderObserveReport } = await import('../render/observe-report.ts');
      output.print(renderObserveReport(result, output.colors));
    });
}

/** Checked here too, so that a slip is told without a server; the server's clock decides. */
function since(text: string): string {
  if (parseSinceMs(text, Date.now()) === undefined) {
    throw new InvalidArgumentError(`expected ${SINCE_FORMS}, in the past and at most a year ago`);
  }
  return text;
}
