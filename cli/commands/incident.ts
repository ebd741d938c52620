import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDurationMs } from '../../domain/duration.ts';
import type { IncidentView, PendingApproval } from '../../domain/incident.ts';
import type { ApiClient, ApiOptions } from '../api-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import type { Io, Output } from '../output.ts';
import { plain, plainLines, table } from '../output.ts';

interface Context {
  io: Io;
  output: Output;
}
interface Common extends ApiOptions {
  json?: boolean;
}
interface Decide extends Common {
  step?: string;
  plan?: string;
  reason?: string;
  yes?: boolean;
  breakGlass?: boolean;
}

const ID = ['ID', 'incident id, or the start of one'] as const;

/** `firebreak incident ...`: everything over the HTTP API, as one person. */
export function addIncidentCommands(program: Command, context: Context): void {
  const { output } = context;
  const incident = program
    .command('incident')
    .description('follow incidents and decide on them, over the HTTP API');
  incident.addHelpText(
    'after',
    `
Examples:
  firebreak incident list
  firebreak incident show 3f9a            what it is, what waits for whom, and what to type next
  firebreak incident approve 3f9a         shows the plan, then asks
  firebreak incident approve 3f9a --break-glass --reason "nobody else answers, harm goes on"
  firebreak incident reject 3f9a --reason "revision 3 has the old classifier"
  firebreak incident show 3f9a --json | jq .incident.state
  firebreak incident plot 3f9a --output harm.svg

Who you are: firebreak login, FIREBREAK_TOKEN or --token-file. Where the server is: FIREBREAK_URL or --url.`,
  );

  /** A command below `incident` with the options that all of them have. */
  const add = (name: string, description: string): Command =>
    incident
      .command(name)
      .description(description)
      .option('--url <url>', 'base URL of the server (FIREBREAK_URL; default http://127.0.0.1:8787)')
      .option('--token-file <path>', 'file with your API token (instead of FIREBREAK_TOKEN)')
      .option('--json', 'print JSON');
  const connect = async (options: ApiOptions): Promise<ApiClient> => {
    const { createApiClient } = await import('../api-client.ts');
    return createApiClient(options, context.io.env, (text) => output.note(output.colors.yellow(text)));
  };

  add('list', 'list incidents, newest first')
    .option('--state <state>', 'only those in this state, for instance needs-human')
    .option('--limit <count>', 'at most this many', wholeNumber, 50)
    .action(async (options: Common & { state?: string; limit: number }) => {
      const { state, limit } = options;
      const result = await (await connect(options)).list({ limit, ...(state ? { state } : {}) });
      if (options.json) return output.json(result);
      for (const note of result.notes) output.note(output.colors.yellow(plain(note)));
      if (result.incidents.length === 0) return output.print('No incidents.');
      const rows = result.incidents.map((one) => [
        one.incidentId,
        one.severity,
        one.state,
        one.triggeredAtMs === undefined
          ? ''
          : new Date(one.triggeredAtMs).toISOString().slice(0, 16).replace('T', ' '),
        one.awaitingApproval.length > 0 ? `approve ${plain(one.awaitingApproval.join(', '))}` : '',
        plain(one.target ?? one.title),
      ]);
      output.print(table(rows, ['ID', 'SEV', 'STATE', 'TRIGGERED', 'WAITS FOR', 'TARGET'], output.colors));
    });

  add('show', 'show one incident on a page')
    .argument(...ID)
    .action(async (id: string, options: Common) => {
      const shown = await (await connect(options)).show(id);
      if (options.json) return output.json(shown);
      const { renderIncident } = await import('../render/incident.ts');
      output.print(renderIncident(shown, output.colors, { unicode: context.io.env.unicode }));
    });

  add('timeline', 'everything that happened, in order')
    .argument(...ID)
    .action(async (id: string, options: Common) => {
      const result = await (await connect(options)).timeline(id);
      if (options.json) return output.json(result);
      const { timelineLine } = await import('../render/incident.ts');
      output.print(result.timeline.map((entry) => timelineLine(entry, output.colors)).join('\n'));
    });

  add('postmortem', 'print the postmortem (Markdown)')
    .argument(...ID)
    .action(async (id: string, options: Common) => {
      const result = await (await connect(options)).postmortem(id);
      if (options.json) return output.json(result);
      if (result.draft)
        output.note(
          output.colors.dim('This is a draft; it is brought up to date when the incident is resolved.'),
        );
      output.print(plainLines(result.markdown).join('\n'));
    });

  add('plot', 'the harm rate over time, with what was done, as SVG (--json: its numbers)')
    .argument(...ID)
    .option('--output <file>', 'write it to this file; default: standard output')
    .action(async (id: string, options: Common & { output?: string }) => {
      const client = await connect(options);
      const { writePlot } = await import('./incident-plot.ts');
      await writePlot(client, output, id, options);
    });

  add('attempts', 'who tried to decide what, denied and duplicate attempts too')
    .argument(...ID)
    .action(async (id: string, options: Common) => {
      const result = await (await connect(options)).attempts(id);
      if (options.json) return output.json(result);
      const rows = result.attempts.map((one) =>
        [
          new Date(Number(one.atMs)).toISOString(),
          one.person ?? '(nobody known)',
          one.decision,
          one.verdict,
          one.via,
          one.step ?? '',
          one.reason ?? '',
        ].map((cell) => plain(String(cell))),
      );
      output.print(
        table(rows, ['AT', 'PERSON', 'DECISION', 'VERDICT', 'VIA', 'STEP', 'REASON'], output.colors),
      );
    });

  for (const decision of ['approve', 'reject'] as const) {
    const command = add(
      decision,
      decision === 'approve'
        ? 'approve the plan that waits: shows it, then asks'
        : 'reject the plan that waits: the deployment stays as it is',
    )
      .argument(...ID)
      .option('--step <step>', 'the step, where several wait')
      .option('--plan <hash>', 'only this plan: its hash, or at least the first 12 digits')
      .option('--reason <text>', 'why; recorded')
      .option('-y, --yes', 'do not ask')
      .action((id: string, options: Decide) => decideOn(context, connect, decision, id, options));
    if (decision === 'approve') {
      command.option(
        '--break-glass',
        'approve alone, where the runbook and the access file allow it; needs --reason, pages the commander',
      );
    }
  }

  /** A command that is one POST. */
  const post = (
    command: Command,
    action: string,
    body: (options: never, ...args: string[]) => object,
  ): void => {
    command.argument(...ID);
    command.action(async (...given: unknown[]) => {
      // Commander passes the arguments, then the options, then the command itself.
      const options = given.at(-2) as Common;
      const [id = '', ...args] = given.slice(0, -2) as string[];
      const result = await (await connect(options)).act(id, action, body(options as never, ...args));
      if (options.json) return output.json(result);
      output.print(plain(result.message));
    });
  };
  const withReason = (command: Command): Command =>
    command.requiredOption('--reason <text>', 'why; recorded');
  const because = ({ reason }: { reason: string }) => ({ reason });

  post(
    add('ack', 'acknowledge: stops the escalation of pages').alias('acknowledge'),
    'acknowledge',
    () => ({}),
  );
  const note = add('note', 'add a note to the timeline');
  post(note, 'note', (_options, text = '') => ({ text }));
  note.argument('TEXT', 'the note');
  const escalate = add('escalate', 'page the next level and the commander now').option(
    '--reason <text>',
    'why; recorded',
  );
  post(escalate, 'escalate', ({ reason }: { reason?: string }) => (reason === undefined ? {} : { reason }));
  const update = add('update', 'tell the stakeholders what is going on').option(
    '--next-in <duration>',
    'when the next update is due, for instance 30m: a reminder',
    durationMs,
  );
  post(update, 'update', ({ nextIn }: { nextIn?: number }, text = '') => ({
    text,
    ...(nextIn === undefined ? {} : { remindAfterMs: nextIn }),
  }));
  update.argument('TEXT', 'what they are told');
  post(withReason(add('abort', 'stop the steps; what is contained stays contained')), 'abort', because);
  post(withReason(add('resolve', 'declare it resolved')), 'resolve', because);
  post(
    withReason(add('false-positive', 'there was no harm: traffic goes back, nothing is rolled back')),
    'false-positive',
    because,
  );
  const retry = withReason(add('retry', 'run a failed step again')).option(
    '--to-revision <number>',
    'for a rollback: the revision to go to',
    wholeNumber,
  );
  post(retry, 'retry-step', ({ reason, toRevision }: { reason: string; toRevision?: number }, step = '') => ({
    step,
    reason,
    ...(toRevision === undefined ? {} : { toRevision }),
  }));
  retry.argument('STEP', 'id of the step');
  const skip = withReason(add('skip', 'skip a step'));
  post(skip, 'skip-step', ({ reason }: { reason: string }, step = '') => ({ step, reason }));
  skip.argument('STEP', 'id of the step');
  const severity = withReason(add('severity', 'set the severity'));
  post(severity, 'severity', ({ reason }: { reason: string }, level = '') => ({
    severity: level.toUpperCase(),
    reason,
  }));
  severity.argument('SEVERITY', 'SEV1 to SEV4');
  const commander = add('commander', 'name the incident commander');
  post(commander, 'commander', (_options, person = '') => ({ commander: person }));
  commander.argument('PERSON', 'id in the access file');
  const override = withReason(add('override-breaker', 'force the circuit breaker, for a time'))
    .addOption(
      new Option('--force <state>', 'what to force')
        .choices(['open', 'closed', 'hold', 'none'])
        .makeOptionMandatory(),
    )
    .requiredOption(
      '--for <duration>',
      'how long, for instance 30m; then it is paged and stays contained',
      durationMs,
    );
  post(override, 'override-breaker', (options: { force: string; reason: string; for: number }) => ({
    force: options.force,
    reason: options.reason,
    forMs: options.for,
  }));
}

async function decideOn(
  { io, output }: Context,
  connect: (options: ApiOptions) => Promise<ApiClient>,
  decision: 'approve' | 'reject',
  id: string,
  options: Decide,
): Promise<void> {
  const client = await connect(options);
  const { incident } = await client.show(id);
  const pending = pendingOf(incident, options);
  const breakGlass = options.breakGlass === true;
  if (breakGlass && !options.reason) {
    throw new CliError(EXIT.usage, 'usage', 'Break-glass needs a reason.', 'Add --reason "TEXT".');
  }
  const { renderPlan } = await import('../render/plan.ts');
  if (!options.json) output.note(renderPlan(pending, output.colors));
  if (options.yes !== true) {
    const { confirm } = await import('../confirm.ts');
    if (!(await confirm(io, questionOf(decision, breakGlass))))
      throw new CliError(EXIT.failed, 'not_confirmed', 'Nothing was sent.');
  }
  const result = await client.act(incident.incidentId, decision, {
    step: pending.step,
    planHash: pending.planHash,
    ...(options.reason ? { reason: options.reason } : {}),
    ...(breakGlass ? { breakGlass } : {}),
  });
  if (options.json) output.json(result);
  else output.print(plain(result.message));
}

function questionOf(decision: 'approve' | 'reject', breakGlass: boolean): string {
  if (decision === 'reject') return 'Reject this plan?';
  return breakGlass
    ? 'Approve exactly this plan alone? It is recorded, the commander is paged, and the postmortem names it.'
    : 'Approve exactly this plan?';
}

/** The approval that is meant. @throws CliError when none waits, several do, or it is for another plan. */
function pendingOf(view: IncidentView, { step, plan }: Decide): PendingApproval {
  const waiting = view.pendingApprovals.filter((one) => step === undefined || one.step === step);
  const [only, ...others] = waiting;
  if (only === undefined) {
    throw new CliError(
      EXIT.failed,
      'nothing_waiting',
      step === undefined
        ? 'No step of this incident waits for a decision.'
        : `Step ${plain(step)} does not wait for a decision.`,
      `Look at it: firebreak incident show ${view.incidentId}`,
    );
  }
  if (others.length > 0) {
    throw new CliError(
      EXIT.usage,
      'usage',
      `Several steps wait: ${waiting.map((one) => plain(one.step)).join(', ')}. Name one with --step.`,
    );
  }
  if (plan !== undefined && !(plan.length >= 12 && only.planHash.startsWith(plan))) {
    throw new CliError(
      EXIT.failed,
      'plan_changed',
      'The plan that waits is not the one you gave.',
      'Run it without --plan to read the plan.',
    );
  }
  return only;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('expected a whole number above 0');
  return Number(text);
}

function durationMs(text: string): number {
  const parsed = parseDurationMs(text);
  if (parsed === undefined) throw new InvalidArgumentError('expected a duration such as 30m or 2h');
  return parsed;
}
