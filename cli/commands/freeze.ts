import type { Command } from 'commander';
import { type Io, type Output, plain } from '../output.ts';
import {
  connect,
  durationMs,
  namedTarget,
  reason,
  type TargetOptions,
  type TargetReference,
  withTarget,
} from './target-options.ts';

/** `firebreak freeze` and `unfreeze`: a commander stops everything but containment of a workload, for a time. */
export function addFreezeCommands(program: Command, context: { io: Io; output: Output }): void {
  const { output } = context;

  withTarget(
    program
      .command('freeze')
      .description('for a time, let nothing but containment change a workload: no rollback, no traffic back'),
  )
    .requiredOption('--for <duration>', 'how long, for instance 2h; at most 7d', durationMs)
    .requiredOption('--reason <text>', 'why; recorded and shown', reason)
    .addHelpText(
      'after',
      `
A commander's right. It ends by itself; traffic that is diverted stays so.

Examples:
  firebreak freeze deployment/llm-api -n models --for 2h --reason "weights are being copied"
  firebreak unfreeze deployment/llm-api -n models --reason "copied"`,
    )
    .action(async (target: TargetReference, options: TargetOptions & { for: number; reason: string }) => {
      const client = await connect(options, context);
      const result = await client.freeze({
        target: namedTarget(target, options),
        reason: options.reason,
        forMs: options.for,
      });
      if (options.json) return output.json(result);
      output.print(plain(result.message));
    });

  withTarget(program.command('unfreeze').description('end a freeze before its time'))
    .requiredOption('--reason <text>', 'why; recorded', reason)
    .action(async (target: TargetReference, options: TargetOptions & { reason: string }) => {
      const client = await connect(options, context);
      const result = await client.unfreeze({ target: namedTarget(target, options), reason: options.reason });
      if (options.json) return output.json(result);
      output.print(plain(result.message));
    });
}
