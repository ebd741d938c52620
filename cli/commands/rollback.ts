import type { Command } from 'commander';
import type { RollbackInquiry } from '../../domain/rollback-inquiry.ts';
import type { RollbackTo } from '../../domain/rollback-plan.ts';
import type { ApiClient } from '../api-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Io, type Output, plain } from '../output.ts';
import {
  connect,
  namedTarget,
  reason,
  rollbackTo,
  type TargetOptions,
  type TargetReference,
  typedTarget,
  withTarget,
} from './target-options.ts';

interface Context {
  io: Io;
  output: Output;
}
interface PlanOptions extends TargetOptions {
  to?: RollbackTo;
}
interface ApplyOptions extends PlanOptions {
  reason: string;
  yes?: boolean;
  prove?: boolean;
  wait: boolean;
}

/** `firebreak rollback ...`: a rollback with no alert at all, through the same approvals, records and proof. */
export function addRollbackCommands(program: Command, context: Context): void {
  const rollback = program
    .command('rollback')
    .description('plan a rollback, declare one, see how a workload stands; over the HTTP API');
  rollback.addHelpText(
    'after',
    `
Examples:
  firebreak rollback plan deployment/llm-api -n models
  firebreak rollback plan deployment/llm-api -n models --to previous --json | jq .answer.plan.hash
  firebreak rollback apply deployment/llm-api -n models --to 12 --reason "12 was fine, 13 refuses everything"
  firebreak rollback status deployment/llm-api -n models --cluster eu-1

Who you are: firebreak login, FIREBREAK_TOKEN or --token-file. Where the server is: FIREBREAK_URL or --url.
When no server is there to ask: firebreak emergency --help`,
  );
  const withTo = (command: Command): Command =>
    command.option(
      '--to <revision>',
      'last-known-good, previous (as kubectl rollout undo), or a number; default: as the runbook says',
      rollbackTo,
    );

  withTo(
    withTarget(rollback.command('plan').description('what a rollback would be; changes nothing')),
  ).action(async (target: TargetReference, options: PlanOptions) => {
    const client = await connect(options, context);
    const inquiry = await ask(client, target, options);
    await show(context, inquiry, target, options);
    if ('none' in inquiry.answer) throw noRollback(inquiry.answer.none.reason, options);
  });

  withTo(
    withTarget(
      rollback
        .command('apply')
        .description('show the plan, then declare an incident that rolls back when others approve'),
    ),
  )
    .requiredOption('--reason <text>', 'why; recorded and shown to who approves', reason)
    .option('-y, --yes', 'do not ask')
    .option('--prove', 'declare it also where the template is there already, to have it proved')
    .option('--no-wait', 'do not follow the incident')
    .action((target: TargetReference, options: ApplyOptions) => apply(context, target, options));

  withTarget(
    rollback.command('status').description('what runs, what diverts it, who holds it, what is known of it'),
  ).action(async (target: TargetReference, options: TargetOptions) => {
    const client = await connect(options, context);
    const inquiry = await ask(client, target, options);
    if (options.json) return context.output.json(inquiry);
    const { renderStatus } = await import('../render/target-status.ts');
    context.output.print(renderStatus(inquiry, { nowMs: Date.now() }, context.output.colors));
  });
}

function ask(client: ApiClient, target: TargetReference, options: PlanOptions): Promise<RollbackInquiry> {
  return client.planRollback({
    target: namedTarget(target, options),
    ...(options.to === undefined ? {} : { to: options.to }),
  });
}

async function show(
  { output }: Context,
  inquiry: RollbackInquiry,
  target: TargetReference,
  options: PlanOptions,
): Promise<void> {
  if (options.json) return output.json(inquiry);
  output.print(await page(output, inquiry, target, options));
}

async function page(
  output: Output,
  inquiry: RollbackInquiry,
  target: TargetReference,
  options: PlanOptions,
): Promise<string> {
  const { renderInquiry } = await import('../render/rollback-plan.ts');
  const { to } = options;
  const typedTo = to === undefined ? '' : ` --to ${typeof to === 'string' ? to : to.revision}`;
  const command = `${typedTarget(target, options)}${typedTo}`;
  return renderInquiry(inquiry, { command, nowMs: Date.now() }, output.colors);
}

/** Told by the page already; the exit code says it to scripts. */
function noRollback(why: string, { json }: { json?: boolean }): CliError {
  // With --json the answer is the document; a second one would be none.
  return new CliError(EXIT.failed, 'told', json ? '' : plain(why));
}

async function apply(context: Context, target: TargetReference, options: ApplyOptions): Promise<void> {
  const { io, output } = context;
  const client = await connect(options, context);
  const inquiry = await ask(client, target, options);
  // Standard output is for what comes of it.
  output.note(await page(output, inquiry, target, options));
  const { answer, facts } = inquiry;
  if ('none' in answer) {
    throw new CliError(EXIT.failed, 'no_rollback', plain(`No rollback is possible: ${answer.none.reason}`));
  }
  const { plan } = answer;
  if (plan.from.templateHash === plan.to.templateHash && options.prove !== true) {
    output.note('Nothing was declared: the template is there already. To prove it all the same: --prove');
    if (options.json) output.json({ result: 'already-there', plan });
    return;
  }
  if (options.yes !== true) {
    const { confirm } = await import('../confirm.ts');
    const question =
      facts.mode === 'observe'
        ? 'Declare an incident that records what would be done?'
        : 'Declare an incident that rolls back to this when it is approved?';
    if (!(await confirm(io, question))) throw new CliError(EXIT.failed, 'not_confirmed', 'Nothing was sent.');
  }
  const declared = await client.declareRollback({
    target: namedTarget(target, options),
    // The very revision that was shown: what counts as known good may change meanwhile, and what is previous too.
    to: { revision: plan.to.revision },
    reason: options.reason,
    planHash: plan.hash,
  });
  output.note(plain(declared.message));
  if (!options.wait) {
    if (options.json) output.json(declared);
    else output.print(declared.incidentId);
    return;
  }
  await followToRest(context, client, { incidentId: declared.incidentId, planHash: plan.hash }, options);
}

async function followToRest(
  { output }: Context,
  client: ApiClient,
  declared: { incidentId: string; planHash: string },
  options: ApplyOptions,
): Promise<void> {
  const { colors } = output;
  const { incidentId } = declared;
  const { follow } = await import('../follow.ts');
  const { timelineLine } = await import('../render/incident.ts');
  const { view, how } = await follow(client, incidentId, {
    onEntry: (entry) => output.note(timelineLine(entry, colors)),
    onWaiting: ({ pendingApprovals }) => {
      for (const { step, planHash, groups } of pendingApprovals) {
        if (planHash !== declared.planHash) {
          output.note(
            colors.yellow(`Step ${plain(step)} waits for a decision on another plan than you have read:`),
          );
        }
        const who = plain(groups.join(' or '));
        output.note(
          colors.bold(`Another person of ${who} approves with: firebreak incident approve ${incidentId}`),
        );
      }
    },
  });
  const problem = problemOf(view, how);
  if (options.json) output.json({ incidentId, state: view.state, outcome: view.outcome, incident: view });
  else output.print(problem ?? sayEnd(view));
  if (problem !== undefined) throw new CliError(EXIT.failed, 'told', problem);
}

type View = Awaited<ReturnType<ApiClient['show']>>['incident'];

/** Why the command failed; undefined where what was wanted has come about. */
function problemOf(view: View, how: 'done' | 'needs-human'): string | undefined {
  if (how === 'needs-human') {
    return plain(`${view.incidentId} needs a human: ${view.humanNeeded.join('; ')}`);
  }
  if (view.mode === 'observe' || view.outcome === 'recovered') return undefined;
  return plain(`${view.incidentId} is ${view.state}, outcome ${view.outcome ?? 'not decided'}`);
}

function sayEnd(view: View): string {
  if (view.mode === 'observe') {
    const would = view.steps.filter(({ status }) => status === 'would-have').map(({ id }) => id);
    return plain(
      `${view.incidentId}: nothing was changed (mode observe); would have run: ${would.join(', ') || 'nothing'}`,
    );
  }
  const { rollback, verification } = view;
  const proof = verification ? `; ${verification.harmful} harmful of ${verification.classified} since` : '';
  return plain(
    `${view.incidentId}: rolled back to revision ${rollback?.toRevision ?? '?'}, outcome ${view.outcome ?? 'open'}${proof}`,
  );
}
