import { createTrafficActivities } from '../../activities/traffic/index.ts';
import type { Breaker } from '../../domain/breaker.ts';
import { sayActor } from '../../domain/emergency.ts';
import type { TargetReference } from '../commands/target-options.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { type Io, type Output, plain } from '../output.ts';
import { renderEmergencyDivert } from '../render/emergency.ts';
import { readMode } from './mode.ts';
import type { EmergencyDivertOptions, EmergencyResult } from './options.ts';
import { confirmByName, inCluster, openSession, recorded } from './session.ts';

/** Opens the breaker that gateways read, after checking the fallback. @throws CliError. */
export async function emergencyDivert(
  context: { io: Io; output: Output },
  reference: TargetReference,
  options: EmergencyDivertOptions,
): Promise<void> {
  const { output } = context;
  const { colors } = output;
  const session = await openSession(context, reference, options);
  const { clients, target, id, by, nowMs } = session;
  const traffic = createTrafficActivities({ clusters: { [target.cluster]: clients } });
  const fallback = options.toFallback;

  const mode = await inCluster(() => readMode(clients, target));
  if (fallback !== undefined) {
    const { problems } = await inCluster(() => traffic.checkFallback({ target, fallback }));
    if (problems.length > 0) {
      throw new CliError(
        EXIT.failed,
        'fallback_unfit',
        plain(`Nothing can be diverted to ${fallback}: ${problems.join('; ')}`),
        'Choose another fallback, or --block: gateways refuse then.',
      );
    }
  }
  const { breaker: standing } = await inCluster(() => traffic.readBreaker({ target }));
  const breaker: Breaker = {
    state: 'open',
    sinceMs: nowMs,
    reason: `emergency by ${sayActor(by)}`,
    share: 0,
    ...(fallback === undefined ? {} : { fallback }),
  };
  const before = sayBreaker(standing);
  const after = sayBreaker(breaker);
  output.note(renderEmergencyDivert(target, { before, after, mode }, colors));
  await confirmByName(context, session, options, 'Send all of its traffic away now?');
  const { problems } = await inCluster(() =>
    recorded(
      session,
      { what: 'divert', reason: options.reason, before, after },
      async () => {
        const value = await traffic.projectBreaker({ target, breaker, commandId: id });
        return { value, ...(value.problems.length > 0 ? { detail: value.problems.join('; ') } : {}) };
      },
      (text) => output.note(colors.yellow(plain(text))),
    ),
  );
  for (const problem of problems) output.note(colors.yellow(plain(`! ${problem}`)));
  const result: EmergencyResult = { id, what: 'divert', result: 'written', before, after, by, problems };
  if (options.json) output.json(result);
  else
    output.print(
      plain(`${id}: ${before} -> ${after}. Look at the traffic: that it was written does not prove it.`),
    );
}

function sayBreaker(breaker: Breaker | undefined): string {
  if (breaker === undefined || breaker.state === 'closed') return 'breaker closed';
  const where = breaker.fallback === undefined ? 'traffic is blocked' : `traffic goes to ${breaker.fallback}`;
  return breaker.state === 'open' ? `breaker open, ${where}` : `breaker half-open, the rest of the ${where}`;
}
