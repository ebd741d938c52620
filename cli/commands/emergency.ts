import { type Command, Option } from 'commander';
import type { RollbackTo } from '../../domain/rollback-plan.ts';
import { isObjectName, TARGET_FORM } from '../../domain/target-reference.ts';
import type { EmergencyDivertOptions, EmergencyRollbackOptions } from '../emergency/options.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { Io, Output } from '../output.ts';
import { namespaceName, reason, rollbackTo, type TargetReference, target } from './target-options.ts';

/** `firebreak emergency ...`: with a kubeconfig alone. No server, no Temporal, no Prometheus is asked. */
export function addEmergencyCommands(program: Command, context: { io: Io; output: Output }): void {
  const emergency = program
    .command('emergency')
    .description('divert or roll back with a kubeconfig alone, when no server answers');
  emergency.addHelpText(
    'after',
    `
Needs nothing but rights in the cluster: no server, no Temporal, no Prometheus, no configuration. It acts in any mode,
also observe. Nobody is asked to approve; nothing is proved. What was done is written on the workload (annotation
firebreak.dev/emergency), and becomes an incident when Firebreak runs again.

Examples:
  firebreak emergency divert deployment/llm-api -n models --to-fallback llm-fallback --reason "Temporal is down, harm at 12%"
  firebreak emergency divert deployment/llm-api -n models --block --reason "there is no fallback"
  firebreak emergency rollback deployment/llm-api -n models --to previous --reason "the same, v13 is bad"`,
  );
  const add = (name: string, description: string): Command =>
    emergency
      .command(name)
      .description(description)
      .argument('<KIND/NAME>', `the workload: ${TARGET_FORM}`, target)
      .requiredOption('-n, --namespace <name>', 'its namespace', namespaceName)
      .requiredOption('--reason <text>', 'why; written on the workload', reason)
      .option('--kubeconfig <file>', 'default: $KUBECONFIG, else ~/.kube/config')
      .option('--context <name>', 'context of the kubeconfig; default: its current one')
      .option('--as <name>', 'your name as it is written down, where the credentials are shared')
      .option('-y, --yes', 'do not ask')
      .option('--json', 'print JSON');

  add('rollback', 'put the template of an earlier revision back, after showing what changes')
    .addOption(
      new Option('--to <revision>', 'previous (as kubectl rollout undo), or a number')
        .default('previous')
        .argParser(emergencyTo),
    )
    .option('--no-wait', 'do not wait for the rollout')
    .action(async (reference: TargetReference, options: EmergencyRollbackOptions) => {
      const { emergencyRollback } = await import('../emergency/roll-back.ts');
      await emergencyRollback(context, reference, options);
    });

  add('divert', 'send all traffic away by opening the circuit breaker that gateways read')
    .option(
      '--to-fallback <name>',
      'workload of the same kind and namespace that serves meanwhile',
      fallbackName,
    )
    .option('--block', 'no fallback: gateways refuse')
    .action(async (reference: TargetReference, options: EmergencyDivertOptions) => {
      if ((options.toFallback === undefined) === (options.block !== true)) {
        throw new CliError(
          EXIT.usage,
          'usage',
          'Say where the traffic goes: --to-fallback NAME, or --block.',
        );
      }
      const { emergencyDivert } = await import('../emergency/divert.ts');
      await emergencyDivert(context, reference, options);
    });
}

function emergencyTo(text: string): RollbackTo {
  const to = rollbackTo(text);
  if (to !== 'last-known-good') return to;
  throw new CliError(
    EXIT.usage,
    'usage',
    'What is known to be good is known to the server and Prometheus, which are not asked here.',
    'Give --to previous or the number of a revision.',
  );
}

function fallbackName(text: string): string {
  if (!isObjectName(text))
    throw new CliError(EXIT.usage, 'usage', '--to-fallback takes the name of a workload.');
  return text;
}
