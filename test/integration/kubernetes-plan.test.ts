import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Ledger } from '../../activities/contract.ts';
import type { ServedBy } from '../../activities/kubernetes/index.ts';
import type { RollbackPlan, RollbackTo } from '../../domain/rollback-plan.ts';
import { digestOf, type KubeWorld, openKubeWorld, until } from './kubernetes-fixture.ts';

const SERVED = { forMs: 3_600_000, minClassified: 500, harmRateBelow: 0.01, metrics: {} };
const V1 = 'registry.test/llm:v1';
const V2 = 'registry.test/llm:v2';
const V3 = 'registry.test/llm:v3';

let world: KubeWorld;
beforeAll(async () => {
  world = await openKubeWorld();
});
afterAll(() => world?.stop());

function input(name: string, to: RollbackTo, ledger: Ledger = {}) {
  return {
    target: world.target(name),
    to,
    ledger,
    approval: { from: ['ml-oncall'], count: 1 },
    gitops: 'refuse' as const,
    served: SERVED,
  };
}

async function plan(
  name: string,
  to: RollbackTo,
  ledger?: Ledger,
  servedBy?: ServedBy,
): Promise<RollbackPlan> {
  const answer = await world.activities(servedBy).planRollback(input(name, to, ledger));
  if ('none' in answer) throw new Error(answer.none.reason);
  return answer.plan;
}

async function refusal(name: string, to: RollbackTo, ledger?: Ledger, servedBy?: ServedBy) {
  const answer = await world.activities(servedBy).planRollback(input(name, to, ledger));
  if ('plan' in answer) throw new Error(`planned revision ${answer.plan.to.revision}`);
  return answer.none;
}

function verdict(kind: 'verified-good' | 'known-bad') {
  return { verdict: kind, atMs: 1, incidentId: 'inc-1', reason: 'test' } as const;
}

/** Three revisions, each shipped and run. */
async function threeRevisions(name: string): Promise<void> {
  for (const image of [V1, V2, V3]) await world.ship(name, image);
}

describe('planRollback', () => {
  it('describes the revision to go back to, the difference, and the history', async () => {
    await world.ship('described', V1, ({ metadata, spec }) => {
      if (metadata)
        metadata.annotations = {
          'kubernetes.io/change-cause': 'first\nship',
          'meta.helm.sh/release-name': 'models',
        };
      const container = spec?.template.spec?.containers[0];
      if (container) {
        container.env = [
          { name: 'API_KEY', value: 'hunter2' },
          { name: 'REGION', valueFrom: { configMapKeyRef: { name: 'model-config', key: 'region' } } },
        ];
      }
      if (spec?.template.spec) {
        spec.template.spec.volumes = [{ name: 'weights', persistentVolumeClaim: { claimName: 'weights' } }];
      }
    });
    await world.ship('described', V2, ({ spec }) => {
      const [key] = spec?.template.spec?.containers[0]?.env ?? [];
      if (key) key.value = 'hunter3';
    });
    const made = await plan('described', 'previous');
    expect(made.from).toMatchObject({ revision: 2, images: [V2], digests: [digestOf(V2)], replicas: 2 });
    expect(made.to).toMatchObject({ revision: 1, images: [V1], changeCause: 'first ship' });
    expect(made.history.map(({ revision }) => revision)).toEqual([2, 1]);
    expect(made.diff).toContain(`-      image: ${V2}`);
    expect(made.diff).toContain(`+      image: ${V1}`);
    expect(made.diff).toContain('(masked, changed)');
    expect(made.diff).toContain('configMapKeyRef');
    expect(JSON.stringify(made)).not.toContain('hunter');
    expect(made.owners).toEqual(['Helm release models']);
    expect(made.warnings.join('\n')).toMatch(/Helm release models manages this Deployment/);
    expect(made.warnings.join('\n')).toMatch(/ConfigMaps .*: model-config/);
    expect(made.warnings.join('\n')).toMatch(/Volumes .*: weights \(persistentVolumeClaim\)/);
    expect(made.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('picks for `previous` what kubectl picks, on a history that was rolled back before', async () => {
    const { kubectlPath, kubeconfigPath } = inject('stack').kube;
    const undo = async (name: string) => {
      const at = ['--kubeconfig', kubeconfigPath, '-n', world.namespace];
      await promisify(execFile)(kubectlPath, ['rollout', 'undo', `deployment/${name}`, ...at]);
    };
    await threeRevisions('parity');
    for (let round = 0; round < 3; round += 1) {
      const made = await plan('parity', 'previous');
      await undo('parity');
      expect(await world.imageOf('parity')).toBe(made.to.images[0]);
      await world.ship('parity', made.to.images[0] ?? '');
    }
    // Two undos swap the two newest; the third goes between them again, never to v1.
    expect(await world.imageOf('parity')).toBe(V2);
  });

  it('goes for last-known-good to the newest revision that is verified or served well, never to a bad one', async () => {
    await threeRevisions('ledger');
    const previous = await plan('ledger', 'previous');
    const [, second, first] = previous.history.map(({ templateHash }) => templateHash);
    if (second === undefined || first === undefined) throw new Error('no history');

    const verified = { [first]: verdict('verified-good') };
    expect((await plan('ledger', 'last-known-good', verified)).to.images).toEqual([V1]);
    expect((await refusal('ledger', 'last-known-good')).reason).toMatch(/no revision is known to be good/);

    const served: ServedBy = async (_target, replicaSet) =>
      replicaSet === previous.to.replicaSet
        ? { classified: 10_000, harmful: 10, seconds: 7_200 }
        : { classified: 10_000, harmful: 500, seconds: 7_200 };
    const byServed = await plan('ledger', 'last-known-good', verified, served);
    expect(byServed.to).toMatchObject({ images: [V2], served: { classified: 10_000, harmful: 10 } });

    const bad = { [second]: verdict('known-bad') };
    const none = await refusal('ledger', 'last-known-good', bad, served);
    expect(none.reason).toMatch(
      /revision 2 is marked known bad \(test\).*revision 1 had a harm rate of 5.00%/,
    );
    expect(none.candidates.map(({ revision }) => revision)).toEqual([1]);
    expect((await refusal('ledger', 'previous', bad)).reason).toMatch(/revision 2 is marked known bad/);
    expect((await refusal('ledger', { revision: 2 }, bad)).reason).toMatch(/revision 2 is marked known bad/);
    expect((await refusal('ledger', { revision: 9 })).reason).toMatch(
      /revision 9 is not in the rollout history/,
    );
    expect((await plan('ledger', { revision: 1 })).to.images).toEqual([V1]);
  });

  it('asks only for enough: little traffic, a short time or no measurement are not good', async () => {
    await world.ship('enough', V1);
    await world.ship('enough', V2);
    const because = async (served: Awaited<ReturnType<ServedBy>>) =>
      (await refusal('enough', 'last-known-good', {}, async () => served)).reason;
    expect(await because({ classified: 499, harmful: 0, seconds: 7_200 })).toMatch(
      /499 classified outputs of 500/,
    );
    expect(await because({ classified: 900, harmful: 0, seconds: 60 })).toMatch(/served for 60 s of 3600 s/);
    expect(await because(undefined)).toMatch(/Prometheus cannot tell/);
  });

  it('does not cross a rollback barrier', async () => {
    await world.ship('barrier', V1);
    await world.ship('barrier', V2, ({ spec }) => {
      if (spec?.template.metadata)
        spec.template.metadata.annotations = { 'firebreak.dev/rollback-barrier': 'schema 7' };
    });
    await world.ship('barrier', V3, ({ spec }) => {
      if (spec?.template.metadata) spec.template.metadata.annotations = {};
    });
    expect((await refusal('barrier', { revision: 1 })).reason).toMatch(
      /before the rollback barrier of revision 2/,
    );
    expect((await plan('barrier', { revision: 2 })).to.barrier).toBe(true);
  });

  it('refuses a paused and a controller-owned Deployment, and says what to do', async () => {
    await world.ship('paused', V1);
    await world.ship('paused', V2);
    await world.put('paused', V2, ({ spec }) => {
      if (spec) spec.paused = true;
    });
    expect((await refusal('paused', 'previous')).reason).toMatch(/kubectl rollout resume deployment\/paused/);

    await world.ship('owned', V1, ({ metadata }) => {
      if (metadata) {
        const uid = '00000000-0000-4000-8000-000000000001';
        metadata.ownerReferences = [
          {
            apiVersion: 'serving.kserve.io/v1beta1',
            kind: 'InferenceService',
            name: 'llm',
            uid,
            controller: true,
          },
        ];
      }
    });
    expect((await refusal('owned', 'previous')).reason).toMatch(/controlled by InferenceService llm/);
  });

  it.each([
    ['argocd.argoproj.io/tracking-id', 'Argo CD application models'],
    ['kustomize.toolkit.fluxcd.io/name', 'Flux Kustomization models'],
    ['helm.toolkit.fluxcd.io/name', 'Flux HelmRelease models'],
  ])('leaves a template from Git (%s) to Git, and prepares the change to revert', async (key, owner) => {
    const name = key.replace(/[^a-z]+/g, '-');
    for (const image of [V1, V2]) {
      await world.ship(name, image, ({ metadata, spec }) => {
        if (metadata) metadata.annotations = { ...metadata.annotations, [key]: 'models' };
        const container = spec?.template.spec?.containers[0];
        if (container) container.env = [{ name: 'API_KEY', value: `hunter-${image}` }];
      });
    }
    const none = await refusal(name, 'previous');
    expect(none.reason).toBe(`${owner} takes the template from Git and would undo a rollback here`);
    expect(none.revert).toContain(`-      image: ${V2}`);
    expect(none.revert).toContain(`+      image: ${V1}`);
    expect(none.revert).not.toContain('hunter');
    expect(none.candidates.map(({ revision }) => revision)).toEqual([1]);
    // Which revision to revert to is not known: the owner is named, and there is nothing to prepare yet.
    const unknown = await refusal(name, 'last-known-good');
    expect(unknown.reason).toMatch(/no revision is known to be good.*takes the template from Git/);
    expect(unknown.revert).toBeUndefined();
    // Git has brought the template back: nothing is refused, so that what follows can prove the recovery.
    await world.ship(name, V1, ({ spec }) => {
      const container = spec?.template.spec?.containers[0];
      if (container) container.env = [{ name: 'API_KEY', value: `hunter-${V1}` }];
    });
    const back = await plan(name, { revision: 3 });
    expect(back.to.templateHash).toBe(back.from.templateHash);
    expect(back.owners).toEqual([owner]);
  });

  it('has nothing to plan where there is one revision, and says so of a missing Deployment', async () => {
    await world.ship('single', V1);
    expect((await refusal('single', 'previous')).reason).toMatch(/no earlier revision/);
    await expect(world.activities().planRollback(input('absent', 'previous'))).rejects.toMatchObject({
      type: 'NotFound',
    });
    const elsewhere = {
      ...input('single', 'previous'),
      target: { ...world.target('single'), namespace: 'kube-system' },
    };
    await expect(world.activities().planRollback(elsewhere)).rejects.toMatchObject({ type: 'Refused' });
  });

  it('hashes what people approve, and nothing that scaling changes', async () => {
    await world.ship('hashed', V1);
    await world.ship('hashed', V2);
    const before = await plan('hashed', 'previous');
    await world.ship('hashed', V2, ({ spec }) => {
      if (spec) spec.replicas = 3;
    });
    expect((await plan('hashed', 'previous')).hash).toBe(before.hash);
    const two = await world
      .activities()
      .planRollback({ ...input('hashed', 'previous'), approval: { from: ['ml-oncall'], count: 2 } });
    expect('plan' in two && two.plan.hash).not.toBe(before.hash);
    const alone = await world.activities().planRollback({
      ...input('hashed', 'previous'),
      approval: { from: ['ml-oncall'], count: 1, breakGlass: true },
    });
    expect('plan' in alone && alone.plan.hash).not.toBe(before.hash);
    await world.put('hashed', V2, ({ spec }) => {
      if (spec) spec.strategy = { type: 'Recreate' };
    });
    await until('the new strategy', async () => (await plan('hashed', 'previous')).hash !== before.hash);
  });
});

describe('reading a target', () => {
  it('tells mode, owner, images, evidence and changes without contents', async () => {
    const { core, namespace } = world;
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'prompt' }, data: { system: 'CANARY-4711 be nice' } },
    });
    const sinceMs = Date.now() - 5_000;
    await world.ship('read', V1, ({ metadata, spec }) => {
      if (metadata)
        metadata.annotations = { 'ai.rmf/owner': 'team@example.com', 'firebreak.dev/mode': 'auto' };
      const container = spec?.template.spec?.containers[0];
      if (container)
        container.envFrom = [{ configMapRef: { name: 'prompt' } }, { secretRef: { name: 'key' } }];
    });
    await world.ship('read', V2);
    const target = world.target('read');
    const activities = world.activities();
    expect(await activities.readTarget({ target })).toEqual({
      exists: true,
      owner: 'team@example.com',
      riskTier: undefined,
      mode: 'auto',
      images: [V2],
      revision: 2,
      replicas: 2,
      readyReplicas: 2,
    });
    const snapshot = await activities.takeSnapshot({ target });
    expect(await activities.readTemplateHash({ target })).toEqual({ templateHash: snapshot.templateHash });
    expect(snapshot).toMatchObject({ revision: 2, images: [V2], digests: [digestOf(V2)] });
    expect(snapshot.configHashes).toEqual({
      'ConfigMap/prompt': expect.stringMatching(/^[0-9a-f]{64}$/),
      'Secret/key': 'not read',
    });
    expect(snapshot.history.map(({ revision }) => revision)).toEqual([2, 1]);

    const { changes } = await activities.listChanges({ target, sinceMs });
    const text = changes.map(({ what }) => what).join('\n');
    expect(text).toContain(`rollout of revision 2: ${V1} -> ${V2}`);
    expect(text).toMatch(/ConfigMap prompt written by/);
    expect(changes.map(({ atMs }) => atMs)).toEqual(changes.map(({ atMs }) => atMs).sort((a, b) => b - a));
    expect(JSON.stringify([snapshot, changes])).not.toContain('CANARY');
    expect((await activities.listChanges({ target, sinceMs: Date.now() + 60_000 })).changes).toEqual([]);
  });

  it('tells a template that came back by kubectl, though its ReplicaSet is old', async () => {
    await world.ship('undone', V1);
    await world.ship('undone', V2);
    const target = world.target('undone');
    const activities = world.activities();
    const before = (await activities.listChanges({ target, sinceMs: 0 })).changes;
    // Times have whole seconds: the rollouts before must not fall into the second of this one.
    const sinceMs = Math.max(...before.map(({ atMs }) => atMs)) + 1_000;
    await until('a new second', async () => Date.now() >= sinceMs);
    expect((await activities.listChanges({ target, sinceMs, sinceRevision: 2 })).changes).toEqual([]);
    const { kubectlPath, kubeconfigPath } = inject('stack').kube;
    const at = ['--kubeconfig', kubeconfigPath, '--namespace', world.namespace];
    await promisify(execFile)(kubectlPath, ['rollout', 'undo', 'deployment/undone', ...at]);
    await until('revision 3', async () => (await activities.readTarget({ target })).revision === 3);
    const { changes } = await activities.listChanges({ target, sinceMs, sinceRevision: 2 });
    const back = changes.filter(({ revision }) => revision !== undefined);
    expect(back).toEqual([
      {
        atMs: expect.any(Number),
        what: `rollout back to the template of revision 1, now revision 3: ${V1}`,
        revision: 3,
        images: [V1],
      },
    ]);
    expect(back[0]?.atMs).toBeGreaterThanOrEqual(sinceMs);
    // Without the revision of that moment it could be an old story; with the present one it is.
    for (const sinceRevision of [undefined, 3]) {
      const known = await activities.listChanges({ target, sinceMs, sinceRevision });
      expect(known.changes.some(({ what }) => what.includes('back to'))).toBe(false);
    }
    const all = await activities.listChanges({ target, sinceMs: 0 });
    expect(all.changes.flatMap(({ revision }) => revision ?? [])).toEqual([2, 1]);
  });

  it('takes the namespace`s mode where the workload has none, and observe where it is misspelt', async () => {
    await world.ship('modes', V1);
    const target = world.target('modes');
    expect((await world.activities().readTarget({ target })).mode).toBe('approve');
    await world.put('modes', V1, ({ metadata }) => {
      if (metadata) metadata.annotations = { ...metadata.annotations, 'firebreak.dev/mode': 'Auto' };
    });
    expect((await world.activities().readTarget({ target })).mode).toBe('observe');
    expect(await world.activities().readTarget({ target: world.target('absent') })).toMatchObject({
      exists: false,
      mode: 'approve',
    });
  });
});
