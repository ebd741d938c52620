import { setTimeout as delay } from 'node:timers/promises';
import type { NoRollback, RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import type { KubernetesActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { chooseRevision, type Served, whyNever } from './choose-revision.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { controlledBy, findOwners } from './owners.ts';
import { rollbackPlanHash } from './plan-hash.ts';
import { heartbeatAndPause } from './progress.ts';
import { type RawReplicaSet, revisionOf } from './raw-objects.ts';
import { createdAtMs, type Revisions, readRevisions, summarise } from './revisions.ts';
import { diffTemplates, referencesOf } from './template.ts';

/** The controller needs well under a second; a plan that waits longer than this is better made anew. */
const OBSERVED_WITHIN_MS = 4_000;
const OBSERVED_POLL_MS = 500;

/**
 * What revisions served is looked up in this time, all together: a plan must come while the target is harmful, and
 * people can choose a revision without Prometheus.
 */
const SERVED_WITHIN_MS = 6_000;
const SERVED_RETRY_MS = 500;

type PlanInput = Parameters<KubernetesActivities['planRollback']>[0];

/** What a ReplicaSet of the target served, by Prometheus; undefined where that cannot be told. */
export type ServedBy = (
  target: Target,
  replicaSetName: string,
  criteria: PlanInput['served'],
) => Promise<Served | undefined>;

/** Reads, decides the revision and plans; mutates nothing. `none` says why not, and what people can do instead. */
export async function planRollback(
  clusters: ClusterMap,
  servedBy: ServedBy | undefined,
  input: PlanInput,
): Promise<{ plan: RollbackPlan } | { none: NoRollback }> {
  const { target, to, ledger, approval, gitops } = input;
  const clients = clientsFor(clusters, target);
  const revisions = await readObserved(clients, target);
  const { deployment, current } = revisions;
  const summaryOf = (replicaSet: RawReplicaSet): RevisionSummary => summarise(revisions, replicaSet, ledger);
  const none = (reason: string, revert?: string): { none: NoRollback } => ({
    none: {
      reason,
      candidates: candidatesOf(revisions, summaryOf),
      ...(revert === undefined ? {} : { revert }),
    },
  });

  const controller = controlledBy(deployment);
  if (controller !== undefined) return none(controller);
  if (deployment.spec.paused === true) {
    const { namespace, name } = target;
    return none(
      `the Deployment is paused, so a rollback would not roll out: resume it with ` +
        `\`kubectl rollout resume deployment/${name} -n ${namespace}\` and plan again`,
    );
  }

  const servedUntilMs = Date.now() + SERVED_WITHIN_MS;
  const choice = await chooseRevision({
    revisions,
    to,
    summaryOf,
    servedBy: async (replicaSet) => lookUp(servedBy, input, replicaSet.metadata.name, servedUntilMs),
    goodEnough: input.served,
  });
  const { owners, fromGit, warnings } = await findOwners(clients, target, deployment);
  const owner = gitops === 'refuse' && fromGit.length > 0 ? fromGit.join(' and ') : undefined;
  if ('reason' in choice) {
    return none(owner === undefined ? choice.reason : `${choice.reason} (and ${gitRefusal(owner)})`);
  }

  const from = summaryOf(current);
  const chosen = summaryOf(choice.replicaSet);
  const diff = diffTemplates(
    { name: `revision ${from.revision}`, template: deployment.spec.template },
    { name: `revision ${chosen.revision}`, template: choice.replicaSet.spec.template },
  );
  // Where Git has brought the template back already there is nothing to refuse: what follows can prove the recovery.
  if (owner !== undefined && chosen.templateHash !== from.templateHash) return none(gitRefusal(owner), diff);
  const unhashed: Omit<RollbackPlan, 'hash'> = {
    target,
    uid: deployment.metadata.uid,
    from,
    to: choice.served === undefined ? chosen : { ...chosen, served: choice.served },
    requested: to,
    diff,
    warnings: [...warningsOf(revisions, choice.replicaSet, chosen), ...warnings],
    owners,
    estimateMs: lastRolloutMs(revisions),
    history: revisions.replicaSets.map(summaryOf),
    approval,
  };
  return { plan: { ...unhashed, hash: rollbackPlanHash(unhashed, deployment.spec) } };
}

function gitRefusal(owner: string): string {
  return `${owner} takes the template from Git and would undo a rollback here`;
}

/** @returns undefined where Prometheus does not tell in time, whatever the reason. */
async function lookUp(
  servedBy: ServedBy | undefined,
  { target, served }: PlanInput,
  replicaSetName: string,
  untilMs: number,
): Promise<Served | undefined> {
  while (servedBy !== undefined && Date.now() < untilMs) {
    const timeIsOver = delay(untilMs - Date.now(), undefined, { ref: false });
    try {
      return await Promise.race([servedBy(target, replicaSetName, served), timeIsOver]);
    } catch {
      await heartbeatAndPause(SERVED_RETRY_MS, { waitingFor: 'Prometheus' });
    }
  }
  return undefined;
}

/** Reads until the controller has seen the newest generation: before that, revisions are those of an older template. */
async function readObserved(
  clients: ClusterClients,
  target: Target,
): Promise<Revisions & { current: RawReplicaSet }> {
  const untilMs = Date.now() + OBSERVED_WITHIN_MS;
  for (;;) {
    const revisions = await readRevisions(clients, target);
    const { deployment, current } = revisions;
    const observed = deployment.status?.observedGeneration === deployment.metadata.generation;
    if (observed && current !== undefined) return { ...revisions, current };
    // Paused or controlled Deployments are refused anyway, but a template changed while paused has no ReplicaSet.
    if (observed && deployment.spec.paused === true && revisions.replicaSets[0] !== undefined) {
      return { ...revisions, current: revisions.replicaSets[0] };
    }
    if (Date.now() >= untilMs) {
      throw fail(
        'Unavailable',
        `${targetKey(target)}: the Deployment controller has not taken in the latest change ` +
          `(generation ${deployment.metadata.generation}, observed ${deployment.status?.observedGeneration ?? 'none'}); ` +
          `is kube-controller-manager running?`,
      );
    }
    await heartbeatAndPause(OBSERVED_POLL_MS, { waitingFor: 'the Deployment controller' });
  }
}

/** Revisions that people may choose from, newest first. */
function candidatesOf(
  revisions: Revisions,
  summaryOf: (replicaSet: RawReplicaSet) => RevisionSummary,
): RevisionSummary[] {
  return revisions.replicaSets
    .filter((replicaSet) => revisions.hashOf(replicaSet) !== revisions.currentHash)
    .filter((replicaSet) => whyNever({ revisions, summaryOf }, replicaSet) === undefined)
    .map(summaryOf);
}

function warningsOf(revisions: Revisions, replicaSet: RawReplicaSet, to: RevisionSummary): string[] {
  const warnings: string[] = [];
  const { deployment, currentHash } = revisions;
  if (to.templateHash === currentHash) {
    warnings.push(`revision ${to.revision} has the template that runs now: the rollback changes nothing`);
  }
  const { configMaps, secrets, volumes } = referencesOf(replicaSet.spec.template);
  const notRestored: [string, string[]][] = [
    ['ConfigMaps', configMaps],
    ['Secrets', secrets],
    ['Volumes', volumes],
  ];
  for (const [kind, names] of notRestored) {
    if (names.length > 0)
      warnings.push(`${kind} are used as they are now, not as they were: ${names.join(', ')}`);
  }
  const byTag = to.images.filter((image) => !image.includes('@sha256:'));
  if (byTag.length > 0) {
    warnings.push(`Images named by tag run what the tag means now: ${byTag.join(', ')}`);
  }
  if (deployment.spec.strategy?.type === 'Recreate') {
    warnings.push('The strategy is Recreate: all pods stop before the first new one starts');
  }
  if ((deployment.spec.replicas ?? 1) === 0) {
    warnings.push('The Deployment is scaled to 0: no pod will run after the rollback either');
  }
  return warnings;
}

/** How long the rollout of the running revision took; only known where its ReplicaSet was made for it. */
function lastRolloutMs({ deployment, current }: Revisions): number | undefined {
  const condition = deployment.status?.conditions?.find(({ type }) => type === 'Progressing');
  if (current === undefined || condition?.reason !== 'NewReplicaSetAvailable') return undefined;
  if (current.metadata.annotations?.['deployment.kubernetes.io/revision-history'] !== undefined)
    return undefined;
  if (revisionOf(current.metadata) !== revisionOf(deployment.metadata)) return undefined;
  const durationMs = Date.parse(condition.lastUpdateTime ?? '') - createdAtMs(current);
  return durationMs >= 0 ? durationMs : undefined;
}
