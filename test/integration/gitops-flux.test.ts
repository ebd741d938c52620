import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RollbackPlan } from '../../domain/rollback-plan.ts';
import { installCrds } from './crds.ts';
import { BAD, type GitOpsWorld, openGitOpsWorld, REVERTED, V1, V2 } from './gitops-fixture.ts';
import { INCIDENT } from './kubernetes-fixture.ts';

const MARK = 'firebreak.dev/suspended';
const APPROVAL = { from: ['ml-oncall'], count: 1 };

let flux: GitOpsWorld;
beforeAll(async () => {
  await installCrds(inject('stack').kube.kubeconfigPath, ['flux']);
  flux = await openGitOpsWorld();
  await flux.create('GitRepository', 'models', {
    spec: { interval: '1m', url: 'https://git.example.com/models', ref: { branch: 'main' } },
  });
  await sourceAt(BAD);
});
afterAll(() => flux?.stop());

/** What the source has fetched, whether or not anything applies it. */
async function sourceAt(commit: string): Promise<void> {
  await flux.status('GitRepository', 'models', {
    artifact: {
      digest: `sha256:${'1'.repeat(64)}`,
      lastUpdateTime: new Date().toISOString(),
      path: 'p',
      revision: `main@sha1:${commit}`,
      url: 'http://source-controller/p',
    },
  });
}

function labels(name: string): Record<string, string> {
  return { 'kustomize.toolkit.fluxcd.io/name': name, 'kustomize.toolkit.fluxcd.io/namespace': flux.tools };
}

const KUSTOMIZATION = {
  interval: '1m',
  prune: true,
  path: './prod',
  sourceRef: { kind: 'GitRepository', name: 'models' },
};

async function shipWithKustomization(name: string, spec: object = {}, manager?: string): Promise<void> {
  await flux.ship(name, { labels: labels(name) });
  await flux.create('Kustomization', name, { spec: { ...KUSTOMIZATION, ...spec } }, manager);
  await flux.status('Kustomization', name, {
    lastAppliedRevision: `main@sha1:${BAD}`,
    inventory: { entries: [{ id: `${flux.world.namespace}_${name}_apps_Deployment`, v: 'v1' }] },
  });
}

async function suspendOf(kind: 'Kustomization' | 'HelmRelease', name: string): Promise<unknown> {
  return (await flux.read(kind, name)).spec?.suspend;
}

async function resumePlan(name: string, revision: string) {
  const target = flux.world.target(name);
  return flux.gitops.planResume({ target, ledger: {}, revision, approval: APPROVAL });
}

describe('a rollback under a Flux Kustomization with gitops: suspend', () => {
  let plan: RollbackPlan;

  it('suspends it with the patch, and not before', async () => {
    await shipWithKustomization('llm');
    plan = await flux.plan('llm');
    expect(plan.gitops?.suspend).toMatchObject([
      {
        kind: 'Kustomization',
        namespace: flux.tools,
        name: 'llm',
        change: 'spec.suspend is set to true',
        was: 'null',
        source: {
          repository: 'https://git.example.com/models',
          path: './prod',
          follows: 'main',
          revision: `main@sha1:${BAD}`,
        },
      },
    ]);
    expect(await suspendOf('Kustomization', 'llm')).toBeUndefined();
    expect(await flux.apply(plan)).toMatchObject({ result: 'patched' });
    expect(await suspendOf('Kustomization', 'llm')).toBe(true);
    expect(await flux.world.imageOf('llm')).toBe(V1);
  });

  it('is never resumed by what Flux reports, since it looks at nothing while it is suspended', async () => {
    await sourceAt(REVERTED);
    const { suspensions } = await flux.gitops.resumeSync({ target: plan.target, ledger: {} });
    expect(suspensions).toMatchObject([
      {
        state: 'suspended',
        shown: false,
        gitRevision: `main@sha1:${REVERTED}`,
        badRevision: `main@sha1:${BAD}`,
        why: expect.stringMatching(/a person has to say that revision main@sha1:c+ does not render/),
      },
    ]);
    expect(await suspendOf('Kustomization', 'llm')).toBe(true);
  });

  it('is resumed by people who name the revision that Git has, and never at the one that was rolled back from', async () => {
    await sourceAt(BAD);
    expect(await resumePlan('llm', BAD)).toMatchObject({
      none: {
        reason: expect.stringMatching(
          /renders the template that was rolled back from: revert it in Git first/,
        ),
      },
    });
    await sourceAt(REVERTED);
    expect(await resumePlan('llm', 'ddddddd')).toMatchObject({
      none: { reason: expect.stringMatching(/Git has main@sha1:c+ there, not ddddddd/) },
    });
    for (const vague of ['', 'c', 'main', 'cccccc'])
      expect(await resumePlan('llm', vague)).toHaveProperty('none');

    const answer = await resumePlan('llm', REVERTED.slice(0, 10));
    if ('none' in answer) throw new Error(answer.none.reason);
    const resume = answer.plan;
    expect(resume.warnings.join()).toMatch(/not shown by the tool itself/);
    const byPeople = { plan: resume, ...INCIDENT, decisions: [flux.signedHash(resume.hash)] };
    const input = { target: plan.target, ledger: {} };

    await expect(
      flux.gitops.resumeSync({ ...input, byPeople: { ...byPeople, decisions: [] } }),
    ).rejects.toMatchObject({ type: 'Unauthorized' });
    // An approval of the rollback is none of the resumption.
    await expect(
      flux.gitops.resumeSync({
        ...input,
        byPeople: { ...byPeople, decisions: [flux.signedHash(plan.hash)] },
      }),
    ).rejects.toMatchObject({ type: 'Unauthorized' });
    const forged = { ...resume, revision: BAD };
    await expect(
      flux.gitops.resumeSync({ ...input, byPeople: { ...byPeople, plan: forged } }),
    ).rejects.toMatchObject({ type: 'PreconditionFailed' });
    // Git moved on after the approval: nobody looked at that.
    await sourceAt('e'.repeat(40));
    await expect(flux.gitops.resumeSync({ ...input, byPeople })).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/is at main@sha1:e+ now, and main@sha1:c+ was approved/),
    });
    expect(await suspendOf('Kustomization', 'llm')).toBe(true);

    await sourceAt(REVERTED);
    expect(await flux.gitops.resumeSync({ ...input, byPeople })).toMatchObject({
      approvedBy: ['ada'],
      suspensions: [{ state: 'resumed' }],
    });
    expect(await suspendOf('Kustomization', 'llm')).toBeUndefined();
    expect((await flux.read('Kustomization', 'llm')).metadata.annotations ?? {}).not.toHaveProperty([MARK]);
    expect((await flux.gitops.checkSuspended(input)).suspensions).toEqual([]);
  });
});

describe('a second rollback while the first is suspended still', () => {
  it('holds it anew, and both revisions stay bad', async () => {
    await shipWithKustomization('twice');
    await flux.apply(await flux.plan('twice'));
    await flux.world.ship('twice', 'registry.test/llm:v3');
    await flux.status('Kustomization', 'twice', {
      lastAppliedRevision: `main@sha1:${REVERTED}`,
      inventory: { entries: [{ id: `${flux.world.namespace}_twice_apps_Deployment`, v: 'v1' }] },
    });
    const plan = await flux.plan('twice');
    expect(plan.gitops?.suspend[0]).toMatchObject({
      change: 'stays suspended, for this rollback as well',
      was: 'null',
    });
    await flux.apply(plan);
    for (const bad of [BAD, REVERTED]) {
      await sourceAt(bad);
      expect(await resumePlan('twice', bad)).toMatchObject({
        none: { reason: expect.stringMatching(/renders the template that was rolled back from/) },
      });
    }
    await sourceAt('f'.repeat(40));
    expect(await resumePlan('twice', 'f'.repeat(7))).toHaveProperty('plan');
  });
});

describe('a Kustomization that cannot be suspended', () => {
  it('is one whose suspend field Git writes', async () => {
    await shipWithKustomization('by-parent', { suspend: false }, 'kustomize-controller');
    expect((await flux.refusal('by-parent')).reason).toMatch(
      /kustomize-controller writes spec\.suspend of it from Git and would undo that/,
    );
  });

  it('is not one whose suspend field a person wrote: that value comes back', async () => {
    await shipWithKustomization('by-person', { suspend: false });
    const plan = await flux.plan('by-person');
    expect(plan.gitops?.suspend[0]?.was).toBe('false');
    await flux.apply(plan);
    await sourceAt(REVERTED);
    const answer = await resumePlan('by-person', REVERTED);
    if ('none' in answer) throw new Error(answer.none.reason);
    const decisions = [flux.signedHash(answer.plan.hash)];
    const byPeople = { plan: answer.plan, ...INCIDENT, decisions };
    await flux.gitops.resumeSync({ target: plan.target, ledger: {}, byPeople });
    expect(await suspendOf('Kustomization', 'by-person')).toBe(false);
  });

  it('is one that does not list the workload, or that is not to be had', async () => {
    await flux.create('Kustomization', 'innocent', { spec: KUSTOMIZATION });
    await flux.ship('liar', { labels: labels('innocent') });
    expect((await flux.refusal('liar')).reason).toMatch(/its inventory lists no Deployment/);
    await flux.ship('orphan', { labels: { ...labels('gone') } });
    expect((await flux.refusal('orphan')).reason).toMatch(/there is no Kustomization gone in/);
    await flux.ship('foreign', {
      labels: { ...labels('x'), 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system' },
    });
    expect((await flux.refusal('foreign')).reason).toMatch(
      /namespace flux-system is not listed under gitops\.namespaces/,
    );
    expect(await flux.world.imageOf('foreign')).toBe(V2);
  });

  it('is one that somebody has suspended after the plan was made', async () => {
    await shipWithKustomization('raced');
    const plan = await flux.plan('raced');
    await flux.patch('Kustomization', 'raced', [{ op: 'add', path: '/spec/suspend', value: true }]);
    await expect(flux.apply(plan)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(/something else has suspended it/),
    });
    expect(await flux.world.imageOf('raced')).toBe(V2);
    const fresh = await flux.plan('raced');
    expect(fresh.gitops).toBeUndefined();
  });
});

describe('a rollback under a Flux HelmRelease with gitops: suspend', () => {
  it('takes the release that Helm names on the workload, and the revision of the Kustomization that writes it', async () => {
    const name = 'charted';
    await flux.ship(name, {
      labels: { 'helm.toolkit.fluxcd.io/name': name, 'helm.toolkit.fluxcd.io/namespace': flux.tools },
      annotations: {
        'meta.helm.sh/release-name': `${flux.world.namespace}-${name}`,
        'meta.helm.sh/release-namespace': flux.world.namespace,
      },
    });
    await flux.create('HelmRelease', name, {
      metadata: { labels: labels('releases') } as never,
      spec: {
        interval: '1m',
        targetNamespace: flux.world.namespace,
        chart: {
          spec: { chart: 'llm', version: '1.2.3', sourceRef: { kind: 'HelmRepository', name: 'charts' } },
        },
      },
    });
    await flux.create('Kustomization', 'releases', { spec: KUSTOMIZATION });
    const applied = (commit: string) =>
      flux.status('Kustomization', 'releases', {
        lastAppliedRevision: `main@sha1:${commit}`,
        inventory: { entries: [{ id: `${flux.tools}_${name}_helm.toolkit.fluxcd.io_HelmRelease`, v: 'v2' }] },
      });
    await applied(BAD);
    const plan = await flux.plan(name);
    expect(plan.gitops?.suspend).toMatchObject([
      { kind: 'HelmRelease', name, source: { path: 'llm', follows: '1.2.3', revision: `main@sha1:${BAD}` } },
    ]);
    await flux.apply(plan);
    expect(await suspendOf('HelmRelease', name)).toBe(true);
    expect(await resumePlan(name, BAD)).toHaveProperty('none');
    await applied(REVERTED);
    const answer = await resumePlan(name, REVERTED);
    if ('none' in answer) throw new Error(answer.none.reason);
    const byPeople = { plan: answer.plan, ...INCIDENT, decisions: [flux.signedHash(answer.plan.hash)] };
    await flux.gitops.resumeSync({ target: plan.target, ledger: {}, byPeople });
    expect(await suspendOf('HelmRelease', name)).toBeUndefined();
  });
});

it('a rollback under a Flux Kustomization with gitops: pull-request is refused with where in Git the change is', async () => {
  await shipWithKustomization('proposed');
  const { git } = await flux.refusal('proposed', 'pull-request');
  expect(git).toMatchObject({
    owner: `Kustomization ${flux.tools}/proposed`,
    source: { repository: 'https://git.example.com/models', path: './prod', follows: 'main' },
    leave: [V2],
    bringBack: [V1],
  });
  expect(await suspendOf('Kustomization', 'proposed')).toBeUndefined();
});
