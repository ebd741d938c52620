import { type Command, InvalidArgumentError, Option } from 'commander';
import { SCENARIO_NAMES } from '../../demo/world/scenario-names.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { Io } from '../output.ts';

const ROLES = ['webhooks', 'worker', 'cluster'] as const;
type Role = (typeof ROLES)[number];
const DEFAULT_CONFIG = 'firebreak.yaml';

/** `firebreak demo`, `serve` and `doctor`: thin, since what they run is heavy to load. */
export function addServerCommands(program: Command, io: Io): void {
  const configOption = () =>
    new Option('-c, --config <path>', 'configuration file (FIREBREAK_CONFIG)').default(
      io.env.config ?? DEFAULT_CONFIG,
    );

  program
    .command('demo')
    .description('start the local stack with real parts and watch one incident from alert to postmortem')
    .addOption(new Option('--scenario <name>', 'how it goes').choices(SCENARIO_NAMES).default('rollback'))
    .option('-y, --yes', 'approve without asking')
    .option(
      '--once',
      'end by itself and tear everything down; exits 0 only if it went as the scenario expects',
    )
    .option('--json', 'print a JSON summary as the last line')
    .addHelpText(
      'after',
      `
Examples:
  firebreak demo                                 tells the story, asks for the approval, stays up
  firebreak demo --once --yes --json             for scripts
  firebreak demo --scenario bad-previous --once --yes`,
    )
    .action(async (options: { scenario: string; yes?: boolean; once?: boolean; json?: boolean }) => {
      const { runDemo } = await import('../../demo/main.ts');
      exitWith(
        await runDemo({
          scenario: options.scenario,
          yes: options.yes ?? false,
          once: options.once ?? false,
          json: options.json ?? false,
        }),
      );
    });

  program
    .command('serve')
    .description('run Firebreak: webhooks, workers, or both')
    .addOption(configOption())
    .option('--roles <names>', `only these, by commas: ${ROLES.join(', ')}`, readRoles)
    .option('--cluster <names>', 'only these clusters, by commas', readNames)
    .option('--insecure-no-auth', 'take alerts from anybody; only on a loopback address')
    .addOption(new Option('--exit-with-stdin', 'end when standard input closes').hideHelp())
    .addHelpText(
      'after',
      `
Examples:
  firebreak serve --config firebreak.yaml
  firebreak serve --roles webhooks,worker                 the centre
  firebreak serve --roles cluster --cluster eu-1          inside a cluster`,
    )
    .action(
      async (options: {
        config: string;
        roles?: Role[];
        cluster?: string[];
        insecureNoAuth?: boolean;
        exitWithStdin?: boolean;
      }) => {
        const { runServe } = await import('../../worker/main.ts');
        exitWith(
          await runServe({
            config: options.config,
            ...(options.roles ? { roles: options.roles } : {}),
            ...(options.cluster ? { clusters: options.cluster } : {}),
            insecureNoAuth: options.insecureNoAuth ?? false,
            exitWithStdin: options.exitWithStdin ?? false,
            env: io.env.all,
          }),
        );
      },
    );

  program
    .command('doctor')
    .description('try every integration, search attribute and Kubernetes right, and say what is missing')
    .addOption(configOption())
    .option('--json', 'print JSON')
    .action(async (options: { config: string; json?: boolean }) => {
      const { runDoctor } = await import('../../worker/doctor.ts');
      exitWith(
        await runDoctor({
          config: options.config,
          json: options.json ?? false,
          env: io.env.all,
          write: (text) => void io.stdout.write(text),
        }),
      );
    });
}

/** What these commands have to say they have said themselves. */
function exitWith(code: number): void {
  if (code === EXIT.ok) return;
  const known = Object.values(EXIT).find((one) => one === code) ?? EXIT.failed;
  throw new CliError(known, 'told', '');
}

function readNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => !/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))) {
    throw new InvalidArgumentError('expected names of clusters, separated by commas');
  }
  return names;
}

function readRoles(text: string): Role[] {
  return readNames(text).map((name) => {
    const role = ROLES.find((one) => one === name);
    if (role === undefined) throw new InvalidArgumentError(`expected ${ROLES.join(', ')}`);
    return role;
  });
}
