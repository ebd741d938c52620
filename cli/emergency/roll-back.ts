import { createEmergencyRollback } from '../../activities/emergency/index.ts';
import { sayActor } from '../../domain/emergency.ts';
import type { RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import type { TargetReference } from '../commands/target-options.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Io, type Output, plain } from '../output.ts';
import { renderEmergencyPlan } from '../render/emergency.ts';
import { readMode } from './mode.ts';
import type { EmergencyResult, EmergencyRollbackOptions } from './options.ts';
import { confirmByName, inCluster, openSession, recorded } from './session.ts';

/** Plans, shows, asks, writes down, patches, and waits for the rollout. @throws CliError. */
export async function emergencyRollback(
  context: { io: Io; output: Output },
  reference: TargetReference,
  options: EmergencyRollbackOptions,
): Promise<void> {
  const { output } = context;
  const { colors } = output;
  const session = await openSession(context, reference, options);
  const { clients, target, id, by } = session;
  const rollback = createEmergencyRollback(clients, target);
  const { to } = options;
  if (to === 'last-known-good') throw new CliError(EXIT.usage, 'usage', 'Give --to previous or a number.');

  const answer = await inCluster(() => rollback.plan(to));
  if ('none' in answer) {
    throw new CliError(
      EXIT.failed,
      'no_rollback',
      plain(`No rollback is possible: ${answer.none.reason}`),
      choices(answer.none.candidates),
    );
  }
  const { plan } = answer;
  const mode = await inCluster(() => readMode(clients, target));
  output.note(renderEmergencyPlan(plan, { mode, nowMs: session.nowMs }, colors));
  const before = sayRevision(plan.from);
  const after = sayRevision(plan.to);
  const tell = (result: string, problems: string[] = []): void => {
    const done: EmergencyResult = { id, what: 'rollback', result, before, after, by, problems };
    if (options.json) output.json(done);
    else output.print(plain(`${id}: ${result}: ${before} -> ${after}`));
  };
  if (plan.from.templateHash === plan.to.templateHash) return tell('already-there');

  await confirmByName(
    context,
    session,
    options,
    `Put the template of revision ${plan.to.revision} back now?`,
  );
  const applied = await inCluster(() =>
    recorded(
      session,
      { what: 'rollback', reason: options.reason, before, after },
      async () => {
        const value = await rollback.apply(plan, { id, person: sayActor(by), reason: options.reason });
        return { value, detail: value.result };
      },
      (text) => output.note(colors.yellow(plain(text))),
    ),
  );
  if (!options.wait) return tell(applied.result);
  output.note(colors.dim('Waiting until only pods of that template are left, and ready ...'));
  const rollout = await inCluster(() => rollback.awaitRollout(plan, applied.generation));
  if (rollout.outcome === 'complete') return tell(applied.result);
  tell(applied.result, [`${rollout.outcome}: ${rollout.detail}`]);
  throw new CliError(
    EXIT.failed,
    'told',
    plain(`The template is back, but the rollout ended as ${rollout.outcome}: ${rollout.detail}`),
  );
}

function sayRevision({ revision, images }: RevisionSummary): string {
  return `revision ${revision} (${images.join(', ')})`;
}

function choices(candidates: RollbackPlan['history']): string | undefined {
  if (candidates.length === 0) return undefined;
  const numbers = candidates.map(({ revision, images }) => `${revision} (${images.join(', ')})`);
  return plain(`Give --to with one of: ${numbers.join('; ')}`);
}
