import { createHash } from 'node:crypto';
import type { KubernetesActivities } from '../../activities/contract.ts';
import { fail } from '../../activities/failure.ts';
import { chooseRevision, type Served, whyNever } from '../../activities/kubernetes/choose-revision.ts';
import { rollbackPlanHash } from '../../activities/kubernetes/plan-hash.ts';
import {
  type RawRevision,
  type RawWorkload,
  REVISION_ANNOTATION,
} from '../../activities/kubernetes/raw-objects.ts';
import { type Revisions, summarise } from '../../activities/kubernetes/revisions.ts';
import { diffTemplates, imagesOf, templateHash } from '../../activities/kubernetes/template.ts';
import { deploymentType } from '../../activities/kubernetes/workloads/deployment.ts';
import type { SuspensionState } from '../../domain/gitops-plan.ts';
import type { ServedByRevision } from '../../domain/rollback-inquiry.ts';
import type { NoRollback, RevisionSummary, RollbackPlan } from '../../domain/rollback-plan.ts';
import {
  ROLLBACK_BARRIER_ANNOTATION,
  type Target,
  type TargetFacts,
  targetKey,
} from '../../domain/target.ts';
import type { TargetChange } from '../../domain/target-change.ts';
import type { Point } from '../scenario/fields.ts';
import type { ScenarioWorld } from '../scenario/schema.ts';
import { simulatedState, simulatedSuspension } from './gitops.ts';
import { absolute, valueAt } from './over-time.ts';
import type { Traffic } from './traffic.ts';

/** A revision that "served" did so for this long under the scenario's traffic. */
const SERVED_MS = 24 * 3_600_000;
/** Revisions of the history are this far apart; only their order matters. */
const BETWEEN_REVISIONS_MS = 24 * 3_600_000;
const UID = 'simulated-deployment';
const HASH_CHARS = 10;

type PlanInput = Parameters<KubernetesActivities['planRollback']>[0];

interface SimulatedRevision {
  replicaSet: RawRevision;
  hash: string;
  harmRate: Point<number>[];
  served: boolean;
  known: 'good' | 'bad' | undefined;
}

/** One Deployment with its rollout history: what the Kubernetes API would show, read by the real code. */
export class Cluster {
  readonly #target: Target;
  readonly #world: ScenarioWorld;
  readonly #traffic: Traffic;
  readonly #revisions: SimulatedRevision[] = [];
  readonly #changes: TargetChange[] = [];
  #deployed: SimulatedRevision | undefined;
  #suspended = false;
  #generation = 1;
  #rollouts = 0;

  constructor(target: Target, world: ScenarioWorld, traffic: Traffic, startMs: number) {
    this.#target = target;
    this.#world = world;
    this.#traffic = traffic;
    const { revisions } = world;
    for (const [index, { revision, image, harmRate, since, known, served, barrier }] of revisions.entries()) {
      const createdMs =
        index === 0 && since !== undefined ? startMs + since : startMs - (index + 2) * BETWEEN_REVISIONS_MS;
      const added = this.#add(image, revision, createdMs, absolute(harmRate, startMs), barrier);
      Object.assign(added, { known, served });
      if (index === 0) {
        this.#deployed = added;
        if (since !== undefined)
          this.#changes.push({
            atMs: createdMs,
            what: `rollout of revision ${revision}`,
            revision,
            images: [image],
          });
      }
    }
    // Before the one that runs was shipped, the one below it served.
    const [newest, before] = this.#revisions;
    const since = revisions[0]?.since;
    if (since !== undefined && before !== undefined) traffic.setServing(startMs - SERVED_MS * 8, before.hash);
    if (newest !== undefined) traffic.setServing(startMs + (since ?? -SERVED_MS * 8), newest.hash);
    for (const { at, what } of world.changes) this.#changes.push({ atMs: startMs + at, what });
  }

  /** The ledger that earlier incidents have left: by template hash. */
  ledger(atMs: number): PlanInput['ledger'] {
    return Object.fromEntries(
      this.#revisions.flatMap(({ hash, known }) =>
        known === undefined
          ? []
          : [
              [
                hash,
                {
                  verdict: known === 'good' ? ('verified-good' as const) : ('known-bad' as const),
                  atMs,
                  incidentId: 'an earlier incident',
                  reason: known === 'good' ? 'it was verified' : 'it was harmful',
                },
              ],
            ],
      ),
    );
  }

  facts(): TargetFacts {
    const { exists, mode, owner, riskTier, replicas } = this.#world.target;
    if (!exists) return { exists, mode, images: [] };
    const { revision, images } = this.#summary(this.#running());
    return { exists, mode, owner, riskTier, images, revision, replicas, readyReplicas: replicas };
  }

  snapshot(): Awaited<ReturnType<KubernetesActivities['takeSnapshot']>> {
    this.#mustExist();
    const running = this.#summary(this.#running());
    return {
      uid: UID,
      revision: running.revision,
      images: running.images,
      digests: [],
      templateHash: running.templateHash,
      configHashes: {},
      history: this.#inOrder().map(({ replicaSet }) => ({
        revision: replicaSet.revision,
        images: imagesOf(replicaSet.template),
        createdAt: replicaSet.metadata.creationTimestamp,
      })),
    };
  }

  listChanges(sinceMs: number, nowMs: number): { changes: TargetChange[] } {
    this.#mustExist();
    const changes = this.#changes.filter(({ atMs }) => atMs >= sinceMs && atMs <= nowMs);
    return { changes: changes.sort((a, b) => b.atMs - a.atMs) };
  }

  /** By the real choice among the revisions. */
  async planRollback(
    input: PlanInput,
    nowMs: number,
  ): Promise<{ plan: RollbackPlan } | { none: NoRollback }> {
    this.#mustExist();
    const { target, approval, ledger, to } = input;
    const running = this.#running();
    const revisions = this.#view();
    const summaryOf = (replicaSet: RawRevision) => summarise(revisions, replicaSet, ledger);
    const none = (reason: string, revert?: string): { none: NoRollback } => ({
      none: {
        reason,
        ...(revert === undefined ? {} : { revert }),
        candidates: revisions.all
          .filter((replicaSet) => revisions.hashOf(replicaSet) !== revisions.currentHash)
          .filter((replicaSet) => whyNever({ revisions, summaryOf }, replicaSet) === undefined)
          .map(summaryOf),
      },
    });
    const { gitops, paused } = this.#world.target;
    if (paused) return none('the Deployment is paused, so a rollback would not roll out');
    const choice = await chooseRevision({
      revisions,
      to,
      summaryOf,
      ledger,
      servedBy: async (replicaSet) => this.#servedBy(replicaSet, nowMs),
      goodEnough: input.served,
    });
    const suspension =
      gitops !== undefined && input.gitops === 'suspend' ? simulatedSuspension(gitops) : undefined;
    const refusal =
      gitops === undefined || suspension !== undefined
        ? undefined
        : `${gitops} takes the template from Git and would undo a rollback here`;
    if ('reason' in choice)
      return none(refusal === undefined ? choice.reason : `${choice.reason} (and ${refusal})`);

    const from = summaryOf(running.replicaSet);
    const chosen = summaryOf(choice.revision);
    const diff = diffTemplates(
      { name: `revision ${from.revision}`, template: running.replicaSet.template },
      { name: `revision ${chosen.revision}`, template: choice.revision.template },
    );
    if (refusal !== undefined && chosen.templateHash !== from.templateHash) return none(refusal, diff);
    const unhashed: Omit<RollbackPlan, 'hash'> = {
      target,
      uid: UID,
      from,
      to: choice.served === undefined ? chosen : { ...chosen, served: choice.served },
      requested: to,
      diff,
      warnings:
        chosen.templateHash === from.templateHash
          ? [`revision ${chosen.revision} has the template that runs now: the rollback changes nothing`]
          : (suspension?.warnings ?? []),
      owners: [],
      history: revisions.all.map(summaryOf),
      approval,
      ...(suspension !== undefined && chosen.templateHash !== from.templateHash
        ? { gitops: suspension.gitops }
        : {}),
    };
    return { plan: { ...unhashed, hash: rollbackPlanHash(unhashed, this.#deployment().spec) } };
  }

  /**
   * Puts the plan's template in place, where nothing has changed since it was made. The approvals were checked before.
   * @throws PreconditionFailed on drift, Refused where the target is paused.
   */
  applyRollback(
    plan: RollbackPlan,
    nowMs: number,
  ): { result: 'patched' | 'already-there'; revision: number; generation: number } {
    this.#mustExist();
    const drifted = (why: string) =>
      fail(
        'PreconditionFailed',
        `${targetKey(this.#target)} changed since the plan was made: ${why}; a fresh plan is needed`,
      );
    const running = this.#running();
    const revision = running.replicaSet.revision;
    if (running.hash === plan.to.templateHash)
      return { result: 'already-there', revision, generation: this.#generation };
    if (this.#world.target.paused)
      throw fail('Refused', `${targetKey(this.#target)} is paused: resume it, then plan and approve again`);
    if (running.hash !== plan.from.templateHash)
      throw drifted('its template is not the one that was approved to be replaced');
    if (revision !== plan.from.revision) {
      throw drifted(`it is at another revision than ${plan.from.revision}, which was approved to be left`);
    }
    const wanted = this.#revisions.find(({ hash }) => hash === plan.to.templateHash);
    if (wanted === undefined) throw drifted('the template to go back to is gone');
    this.#suspended ||= plan.gitops !== undefined;
    const next = this.#deploy(wanted, nowMs);
    return { result: 'patched', revision: next, generation: this.#generation };
  }

  /** What is kept from syncing for the target. */
  suspensions(): SuspensionState[] {
    return this.#suspended ? [simulatedState()] : [];
  }

  /** What the rollout of the last patch will come to, and when its pods serve. */
  rollOut(nowMs: number): { outcome: ScenarioWorld['rollout'][number]['outcome']; takes: number } {
    const turns = this.#world.rollout;
    const turn = turns[Math.min(this.#rollouts++, turns.length - 1)] ?? { outcome: 'complete', takes: 0 };
    if (turn.outcome === 'complete') this.#traffic.setServing(nowMs + turn.takes, this.#running().hash);
    return turn;
  }

  /** Somebody ships a new revision: it serves at once. */
  ship({ image, harmRate }: ScenarioWorld['shipped'][number], startMs: number, nowMs: number): number {
    const shipped = this.#add(image, 0, nowMs, absolute(harmRate, startMs), false);
    const revision = this.#deploy(shipped, nowMs);
    this.#traffic.setServing(nowMs, shipped.hash);
    return revision;
  }

  /** Template hash of what is deployed, whether or not its pods serve yet. */
  get deployedHash(): string {
    return this.#running().hash;
  }

  get replicas(): number {
    return this.#world.target.replicas;
  }

  #deploy(wanted: SimulatedRevision, nowMs: number): number {
    const next = Math.max(0, ...this.#revisions.map(({ replicaSet }) => replicaSet.revision)) + 1;
    wanted.replicaSet.revision = next;
    wanted.replicaSet.metadata.annotations = { [REVISION_ANNOTATION]: String(next) };
    this.#deployed = wanted;
    this.#generation++;
    const images = imagesOf(wanted.replicaSet.template);
    this.#changes.push({ atMs: nowMs, what: `rollout of revision ${next}`, revision: next, images });
    return next;
  }

  /** What revisions served, as Prometheus would tell it; those that never did are left out. */
  readServed(names: readonly string[], nowMs: number): ServedByRevision {
    const served = this.#revisions.flatMap(({ replicaSet }): [string, Served][] => {
      const { name } = replicaSet.metadata;
      const one = names.includes(name) ? this.#servedBy(replicaSet, nowMs) : undefined;
      return one === undefined ? [] : [[name, one]];
    });
    return Object.fromEntries(served);
  }

  #servedBy({ metadata }: RawRevision, nowMs: number): Served | undefined {
    const revision = this.#revisions.find(({ replicaSet }) => replicaSet.metadata.uid === metadata.uid);
    if (!revision?.served) return undefined;
    const { requestsPerSecond, classified } = this.#world.traffic;
    const outputs =
      (valueAt(requestsPerSecond, 0) ?? 0) * (valueAt(classified, 0) ?? 0) * (SERVED_MS / 1_000);
    const harmRate = valueAt(revision.harmRate, nowMs) ?? 0;
    return { classified: outputs, harmful: outputs * harmRate, seconds: SERVED_MS / 1_000 };
  }

  #add(
    image: string,
    revision: number,
    createdMs: number,
    harmRate: Point<number>[],
    barrier: boolean,
  ): SimulatedRevision {
    const { namespace, name } = this.#target;
    const template: RawRevision['template'] = {
      metadata: {
        labels: { app: name },
        ...(barrier ? { annotations: { [ROLLBACK_BARRIER_ANNOTATION]: 'true' } } : {}),
      },
      spec: { containers: [{ name: 'model', image }] },
    };
    const hash = templateHash(template);
    const key = `${name}-${createHash('sha256').update(`${revision} ${hash}`).digest('hex').slice(0, HASH_CHARS)}`;
    const known = this.#revisions.find((other) => other.hash === hash);
    if (known !== undefined) return known;
    const added: SimulatedRevision = {
      replicaSet: {
        metadata: {
          name: key,
          namespace,
          uid: key,
          creationTimestamp: new Date(createdMs).toISOString(),
          annotations: { [REVISION_ANNOTATION]: String(revision) },
        },
        revision,
        template,
        replicas: 0,
      },
      hash,
      harmRate,
      served: true,
      known: undefined,
    };
    this.#revisions.push(added);
    this.#traffic.addRevision(hash, harmRate);
    return added;
  }

  #mustExist(): void {
    if (this.#world.target.exists) return;
    throw fail('NotFound', `read Deployment ${this.#target.namespace}/${this.#target.name}: not found (404)`);
  }

  #running(): SimulatedRevision {
    if (this.#deployed === undefined) throw new Error('a simulated Deployment has a revision');
    return this.#deployed;
  }

  #summary(revision: SimulatedRevision): RevisionSummary {
    return summarise(this.#view(), revision.replicaSet, {});
  }

  #inOrder(): SimulatedRevision[] {
    return [...this.#revisions].sort((a, b) => b.replicaSet.revision - a.replicaSet.revision);
  }

  #deployment(): RawWorkload {
    const { namespace, name } = this.#target;
    const running = this.#running();
    return {
      metadata: {
        name,
        namespace,
        uid: UID,
        creationTimestamp: '2026-01-01T00:00:00Z',
        generation: this.#generation,
        annotations: { ...running.replicaSet.metadata.annotations },
      },
      spec: {
        replicas: this.#world.target.replicas,
        paused: this.#world.target.paused,
        selector: { matchLabels: { app: name } },
        strategy: { type: 'RollingUpdate' },
        template: running.replicaSet.template,
      },
    };
  }

  #view(): Revisions {
    const inOrder = this.#inOrder();
    const hashes = new Map(inOrder.map(({ replicaSet, hash }) => [replicaSet.metadata.uid, hash]));
    const running = this.#running();
    return {
      type: deploymentType,
      workload: this.#deployment(),
      all: inOrder.map(({ replicaSet }) => replicaSet),
      current: running.replicaSet,
      podsOf: () => [],
      strayPods: [],
      hashOf: (replicaSet) => hashes.get(replicaSet.metadata.uid) ?? '',
      currentHash: running.hash,
    };
  }
}
