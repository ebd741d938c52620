import { existsSync, readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addDrillCommand } from './commands/drill.ts';
import { addEmergencyCommands } from './commands/emergency.ts';
import { addFreezeCommands } from './commands/freeze.ts';
import { addIncidentCommands } from './commands/incident.ts';
import { addLoginCommands } from './commands/login.ts';
import { addReportCommands } from './commands/report.ts';
import { addRollbackCommands } from './commands/rollback.ts';
import { addRunbookCommands } from './commands/runbook.ts';
import { addSampleCommands } from './commands/sample.ts';
import { addServerCommands } from './commands/server.ts';
import { CliError, EXIT, EXIT_HELP } from './exit-codes.ts';
import { createOutput, type Io, plainLines } from './output.ts';

const EXAMPLES = `
Examples:
  firebreak demo                          see it work on this machine
  firebreak doctor                        is everything there that the configuration needs?
  firebreak incident show 3f9a            what waits for whom, and what to type next
  firebreak runbook validate runbooks/`;

/** Runs one command line. @returns the exit code; never throws for anything a person can do wrong. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const output = createOutput(io);
  const program = new Command('firebreak')
    .description(
      'Answers alerts about harmful AI output: pages, contains, keeps evidence, rolls back with approval, proves recovery.',
    )
    .version(packageVersion(), '-V, --version')
    .helpCommand(true)
    .showHelpAfterError('(add --help for what there is)')
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      // It repeats what was typed, which a script may have taken from anywhere.
      writeErr: (text) => void io.stderr.write(plainLines(text).join('\n')),
      getOutHasColors: () => io.env.colorOn(io.stdout),
      getErrHasColors: () => io.env.colorOn(io.stderr),
    })
    .exitOverride()
    .addHelpText('after', `${EXAMPLES}\n${EXIT_HELP}`);
  addServerCommands(program, io);
  addRunbookCommands(program, { io, output });
  addIncidentCommands(program, { io, output });
  addSampleCommands(program, { io, output });
  addRollbackCommands(program, { io, output });
  addFreezeCommands(program, { io, output });
  addEmergencyCommands(program, { io, output });
  addDrillCommand(program, { io, output });
  addReportCommands(program, { io, output });
  addLoginCommands(program, { io, output });

  try {
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version come as exceptions too, with exit code 0; `firebreak` alone prints help as an error.
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    if (error instanceof CliError) {
      if (error.code !== 'told') tell(error);
      return error.exitCode;
    }
    tell(
      new CliError(
        EXIT.failed,
        'failed',
        error instanceof Error ? error.message : 'It failed for a reason that is not known.',
      ),
    );
    return EXIT.failed;
  }

  function tell(error: CliError): void {
    const { code, message, hint } = error;
    if (argv.includes('--json')) output.json({ error: { code, message, ...(hint ? { hint } : {}) } });
    output.note(`${output.colors.red('firebreak:')} ${message}${hint ? `\n${hint}` : ''}`);
  }
}

/** The version in package.json: beside the folder of this file in a checkout, one further up where it was compiled. */
function packageVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    const url = new URL(place, import.meta.url);
    if (existsSync(url))
      return String((JSON.parse(readFileSync(url, 'utf8')) as { version?: string }).version);
  }
  return 'unknown';
}
