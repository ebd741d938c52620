/** Everything that Firebreak asks of the Kubernetes API, once. */
import { createTrafficActivities } from '../../activities/traffic/index.ts';
import type { Breaker } from '../../domain/breaker.ts';
import type { Target } from '../../domain/target.ts';
import { INCIDENT, type KubeWorld } from './kubernetes-fixture.ts';

const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const SERVED = { forMs: 1, minClassified: 1, harmRateBelow: 1, metrics: {} };

/** Plans, applies and awaits a rollback, and writes the breaker twice: for a target of each kind. */
export async function tour(world: KubeWorld): Promise<void> {
  await world.ship('llm-api', V1, ({ spec }) => {
    const [container] = spec?.template.spec?.containers ?? [];
    if (container) container.envFrom = [{ configMapRef: { name: 'settings', optional: true } }];
  });
  await world.ship('llm-api', V2);
  await rollBack(world, world.target('llm-api'));
  await divert(world, world.target('llm-api'));
}

async function rollBack(world: KubeWorld, target: Target): Promise<void> {
  const activities = world.activities();
  await activities.readTarget({ target });
  await activities.takeSnapshot({ target });
  await activities.listChanges({ target, sinceMs: 0 });
  const answer = await activities.planRollback({
    target,
    to: 'previous',
    ledger: {},
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse',
    served: SERVED,
  });
  if ('none' in answer) throw new Error(answer.none.reason);
  const { plan } = answer;
  const decisions = [world.signed(plan)];
  const applied = await activities.applyRollback({ plan, ...INCIDENT, decisions, commandId: 'tour' });
  if (applied.result !== 'patched') throw new Error(`the rollback ended as ${applied.result}`);
  const rollout = await activities.awaitRollout({
    target,
    templateHash: plan.to.templateHash,
    generation: applied.generation,
  });
  if (rollout.outcome !== 'complete') throw new Error(`the rollout ended as ${rollout.outcome}`);
}

async function divert(world: KubeWorld, target: Target): Promise<void> {
  const traffic = createTrafficActivities({ clusters: world.clusters });
  await traffic.checkFallback({ target, fallback: 'llm-fallback' });
  const states: Pick<Breaker, 'state' | 'share'>[] = [
    { state: 'open', share: 0 },
    { state: 'half-open', share: 0.1 },
    { state: 'closed', share: 1 },
  ];
  for (const [index, state] of states.entries()) {
    const breaker: Breaker = { ...state, sinceMs: Date.now() + index, reason: 'tour' };
    await traffic.projectBreaker({ target, breaker, commandId: `tour-${index}` });
    await traffic.readBreaker({ target });
  }
}
