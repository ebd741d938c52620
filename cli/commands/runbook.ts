import type { Command } from 'commander';
import type { Io, Output } from '../output.ts';
import { addExplainCommand } from './runbook-explain.ts';
import { addSimulateCommand } from './runbook-simulate.ts';
import { addTestCommand } from './runbook-test.ts';
import { addValidateCommand } from './runbook-validate.ts';

/** `firebreak runbook ...`: works on files, needs no server. */
export function addRunbookCommands(program: Command, { io, output }: { io: Io; output: Output }): void {
  const runbook = program.command('runbook').description('check runbooks and describe their format');

  addValidateCommand(runbook, output);

  runbook
    .command('schema')
    .description('print the JSON Schema of runbooks, for editors')
    .option('--scenario', 'of scenarios instead')
    .action(async (options: { scenario?: boolean }) => {
      if (options.scenario) {
        const { scenarioJsonSchema } = await import('../../simulation/scenario/json-schema.ts');
        return output.json(scenarioJsonSchema());
      }
      const { runbookJsonSchema } = await import('../../runbooks/json-schema.ts');
      output.json(runbookJsonSchema());
    });

  addExplainCommand(runbook, output);
  addSimulateCommand(runbook, { io, output });
  addTestCommand(runbook, { io, output });
}
