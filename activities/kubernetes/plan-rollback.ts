import { setTimeout as delay } from 'node:timers/promises';
import type { NoRollback, RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import type { KubernetesActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { planRevert } from '../gitops/plan-revert.ts';
import { planSuspension, type SuspensionAnswer } from '../gitops/plan-suspension.ts';
import { chooseRevision, type Served, whyNever } from './choose-revision.ts';
import { type ClusterClients, type ClusterMap, clientsFor } from './cluster-clients.ts';
import { controlledByChain, findOwners } from './owners.ts';
import { rollbackPlanHash, whatIsHashed } from './plan-hash.ts';
import { heartbeatAndPause } from './progress.ts';
import type { RawRevision } from './raw-objects.ts';
import { restoredTemplate } from './restored-template.ts';
import { hasTemplate, podsByTemplate, type Revisions, readRevisions, summarise } from './revisions.ts';
import { diffTemplates, referencesOf, templateHash } from './template.ts';
import { hasObserved } from './workloads/workload.ts';

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
  const { type, workload, current } = revisions;
  const summaryOf = (revision: RawRevision): RevisionSummary => summarise(revisions, revision, ledger);
  const none = (reason: string, more: Pick<NoRollback, 'revert' | 'git'> = {}): { none: NoRollback } => ({
    none: { reason, candidates: candidatesOf(revisions, summaryOf), ...more },
  });

  const refusal = (await controlledByChain(clients, workload)) ?? type.refusal(workload);
  if (refusal !== undefined || current === undefined) {
    return none(refusal ?? `its controller has made no ${type.revisionKind} of its template yet`);
  }

  const servedUntilMs = Date.now() + SERVED_WITHIN_MS;
  const choice = await chooseRevision({
    revisions,
    to,
    summaryOf,
    ledger,
    servedBy: async ({ metadata }) =>
      type.podsNamedByRevision ? lookUp(servedBy, input, metadata.name, servedUntilMs) : undefined,
    goodEnough: input.served,
  });
  const { owners, fromGit, warnings } = await findOwners(clients, target, workload);
  const suspension =
    gitops === 'suspend' && fromGit.length > 0
      ? await planSuspension(clients, target, workload.metadata)
      : undefined;
  const byGit = fromGit.length > 0 ? gitRefusal(fromGit.join(' and '), suspension) : undefined;
  if ('reason' in choice) {
    return none(byGit === undefined ? choice.reason : `${choice.reason} (and ${byGit})`);
  }

  const from = summaryOf(current);
  const chosen = await asRestored(clients, input, revisions, choice.revision);
  if (chosen === undefined) {
    return none(`the API does not take the template of revision ${choice.revision.revision} any more`);
  }
  const diff = diffTemplates(
    // Not the workload's own text: a Rollout's lacks the defaults that its ReplicaSets have.
    { name: `revision ${from.revision}`, template: current.template },
    { name: `revision ${chosen.revision}`, template: choice.revision.template },
  );
  // Where Git has brought the template back already there is nothing to refuse: what follows can prove the recovery.
  const changes = chosen.templateHash !== from.templateHash;
  if (byGit !== undefined && changes) {
    if (gitops !== 'pull-request') return none(byGit, { revert: diff });
    const revert = await planRevert(clients, target, workload.metadata, { from, to: chosen });
    return 'git' in revert
      ? none(byGit, { revert: diff, git: revert.git })
      : none(`${byGit}, and no pull request can be made: ${revert.problem}`, { revert: diff });
  }
  const suspended = changes && suspension !== undefined && 'warnings' in suspension ? suspension : undefined;
  const unhashed: Omit<RollbackPlan, 'hash'> = {
    target,
    uid: workload.metadata.uid,
    from,
    to: choice.served === undefined ? chosen : { ...chosen, served: choice.served },
    requested: to,
    diff,
    warnings: [
      ...warningsOf(revisions, choice.revision, chosen),
      ...(suspended?.warnings ?? []),
      ...warnings,
    ],
    owners,
    estimateMs: type.lastRolloutMs(workload, current),
    history: revisions.all.map(summaryOf),
    approval,
    ...(suspended?.gitops === undefined ? {} : { gitops: suspended.gitops }),
  };
  return { plan: { ...unhashed, hash: rollbackPlanHash(unhashed, whatIsHashed(type, workload)) } };
}

/**
 * The revision with the hash of the template that the workload will have after the rollback: the wait for the rollout and
 * a second attempt know it by that.
 */
async function asRestored(
  clients: ClusterClients,
  { target, ledger }: PlanInput,
  revisions: Revisions,
  revision: RawRevision,
): Promise<RevisionSummary | undefined> {
  const summary = summarise(revisions, revision, ledger);
  if (summary.templateHash === revisions.currentHash) return summary;
  const restored = await restoredTemplate(clients, revisions.type, target, revision);
  if (restored === undefined) return undefined;
  const hash = templateHash(restored);
  return { ...summary, templateHash: hasTemplate(revisions, hash) ? revisions.currentHash : hash };
}

/** @returns undefined where the sync can be suspended. */
function gitRefusal(owner: string, suspension: SuspensionAnswer | undefined): string | undefined {
  const reason = `${owner} takes the template from Git and would undo a rollback here`;
  if (suspension === undefined) return reason;
  if ('warnings' in suspension) return undefined;
  return `${reason}, and its sync cannot be suspended: ${suspension.refusals.join('; ')}`;
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

/**
 * Reads until the controller has seen the newest generation: before that, revisions are those of an older template. One
 * that will be refused may have no current revision: a template that was changed while paused, say.
 */
async function readObserved(clients: ClusterClients, target: Target): Promise<Revisions> {
  const untilMs = Date.now() + OBSERVED_WITHIN_MS;
  for (;;) {
    const revisions = await readRevisions(clients, target);
    const { type, workload, current } = revisions;
    const generation = workload.metadata.generation ?? 0;
    const refused = type.refusal(workload) !== undefined;
    if (hasObserved(workload, generation) && (current !== undefined || refused)) return revisions;
    if (Date.now() >= untilMs) {
      if (refused) return revisions;
      throw fail(
        'Unavailable',
        `${targetKey(target)}: the ${type.kind}'s controller has not taken in the latest change ` +
          `(generation ${generation}, observed ${workload.status?.observedGeneration ?? 'none'}); ` +
          `is ${type.controller} running?`,
      );
    }
    await heartbeatAndPause(OBSERVED_POLL_MS, { waitingFor: `the ${type.kind}'s controller` });
  }
}

/** Revisions that people may choose from, newest first. */
function candidatesOf(
  revisions: Revisions,
  summaryOf: (revision: RawRevision) => RevisionSummary,
): RevisionSummary[] {
  return revisions.all
    .filter((revision) => revisions.hashOf(revision) !== revisions.currentHash)
    .filter((revision) => whyNever({ revisions, summaryOf }, revision) === undefined)
    .map(summaryOf);
}

function warningsOf(revisions: Revisions, revision: RawRevision, to: RevisionSummary): string[] {
  const warnings: string[] = [];
  const { type, workload, currentHash } = revisions;
  if (to.templateHash === currentHash) {
    warnings.push(`revision ${to.revision} has the template that runs now: the rollback changes nothing`);
  }
  const { configMaps, secrets, volumes } = referencesOf(revision.template);
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
  if (to.templateHash !== currentHash) {
    warnings.push(...type.warnings(workload, revision, podsByTemplate(revisions, revision)));
  }
  if ((workload.spec.replicas ?? 1) === 0) {
    warnings.push(`The ${type.kind} is scaled to 0: no pod will run after the rollback either`);
  }
  return warnings;
}
