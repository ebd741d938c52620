import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Ledger } from '../../activities/contract.ts';
import type { RawObject } from '../../activities/gitops/objects.ts';
import { rollbackPlanHash } from '../../activities/kubernetes/plan-hash.ts';
import { installCrds } from './crds.ts';
import { BAD, type GitOpsWorld, openGitOpsWorld, REVERTED, V1, V2 } from './gitops-fixture.ts';

const AUTOMATED = { prune: true, selfHeal: true };
const MARK = 'firebreak.dev/suspended';
const POINTER = 'firebreak.dev/suspended-sync';
const LEDGER: Ledger = {};

let argo: GitOpsWorld;
beforeAll(async () => {
  await installCrds(inject('stack').kube.kubeconfigPath, ['argo-cd']);
  argo = await openGitOpsWorld();
});
afterAll(() => argo?.stop());

function marksOf(app: string, workload: string): Record<string, string> {
  return {
    'argocd.argoproj.io/tracking-id': `${app}:apps/Deployment:${argo.world.namespace}/${workload}`,
  };
}

const SOURCE = { repoURL: 'https://git.example.com/models', path: 'prod', targetRevision: 'main' };

function specOf(changes: object = {}): Record<string, unknown> {
  return {
    project: 'default',
    destination: { server: 'https://kubernetes.default.svc', namespace: argo.world.namespace },
    source: SOURCE,
    syncPolicy: { automated: AUTOMATED, syncOptions: ['CreateNamespace=true'] },
    ...changes,
  };
}

interface Sync {
  revision?: string;
  state?: 'Synced' | 'OutOfSync';
  reconciledAt?: Date;
  also?: string[];
}

/** As Argo CD's controller reports what it compared. */
function statusOf(
  workload: string,
  { revision = BAD, state = 'Synced', reconciledAt, also = [] }: Sync = {},
): object {
  const resource = (name: string) => ({
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
    namespace: argo.world.namespace,
    name,
    status: state,
  });
  return {
    reconciledAt: (reconciledAt ?? new Date(Date.now() + 5_000)).toISOString().replace(/\.\d+/, ''),
    resources: [workload, ...also].map(resource),
    sync: {
      status: state,
      revision,
      comparedTo: { source: SOURCE, destination: { server: 'https://kubernetes.default.svc' } },
    },
  };
}

/** A workload with two revisions and its application. */
async function shipWithApp(name: string, spec: object = {}, metadata: Partial<RawObject['metadata']> = {}) {
  await argo.ship(name, { annotations: marksOf(name, name) });
  await argo.create('Application', name, { spec: specOf(spec), metadata: metadata as RawObject['metadata'] });
  await argo.status('Application', name, statusOf(name));
}

async function resume(name: string, ledger = LEDGER) {
  const { suspensions } = await argo.gitops.resumeSync({ target: argo.world.target(name), ledger });
  return suspensions;
}

async function automatedOf(name: string): Promise<unknown> {
  const { spec } = await argo.read('Application', name);
  return (spec?.syncPolicy as { automated?: unknown } | undefined)?.automated;
}

describe('a rollback under Argo CD with gitops: suspend', () => {
  it('suspends exactly what was approved, and resumes when Argo CD shows that Git renders what runs', async () => {
    await shipWithApp('whole');
    const refused = await argo.refusal('whole', 'refuse');
    expect(refused.reason).toBe(
      'Argo CD application whole takes the template from Git and would undo a rollback here',
    );

    const plan = await argo.plan('whole');
    const application = await argo.read('Application', 'whole');
    expect(plan.gitops).toEqual({
      policy: 'suspend',
      suspend: [
        {
          kind: 'Application',
          namespace: argo.tools,
          name: 'whole',
          uid: application.metadata.uid,
          change: 'spec.syncPolicy.automated is removed',
          was: '{"prune":true,"selfHeal":true}',
          source: { repository: SOURCE.repoURL, path: 'prod', follows: 'main', revision: BAD },
        },
      ],
    });
    expect(plan.warnings.join('\n')).toContain(`Application ${argo.tools}/whole will be suspended`);
    // Nothing happens before the approval, nor without one.
    await expect(argo.apply(plan, [])).rejects.toMatchObject({ type: 'Unauthorized' });
    expect((await argo.read('Application', 'whole')).metadata.resourceVersion).toBe(
      application.metadata.resourceVersion,
    );

    expect(await argo.apply(plan)).toMatchObject({ result: 'patched', approvedBy: ['ada'] });
    expect(await argo.world.imageOf('whole')).toBe(V1);
    const suspended = await argo.read('Application', 'whole');
    expect(suspended.spec?.syncPolicy).toEqual({ syncOptions: ['CreateNamespace=true'] });
    expect(JSON.parse(suspended.metadata.annotations?.[MARK] ?? '')).toMatchObject({
      was: '{"prune":true,"selfHeal":true}',
      holders: [
        { plan: plan.hash, badRevision: BAD, bad: plan.from.templateHash, good: plan.to.templateHash },
      ],
    });
    // Twice changes nothing.
    expect(await argo.apply(plan)).toMatchObject({ result: 'already-there' });
    expect((await argo.read('Application', 'whole')).metadata.resourceVersion).toBe(
      suspended.metadata.resourceVersion,
    );

    const held = async (why: RegExp) => {
      const [state] = await resume('whole');
      expect(state).toMatchObject({ state: 'suspended', shown: false, why: expect.stringMatching(why) });
      expect(await automatedOf('whole')).toBeUndefined();
    };
    await argo.status('Application', 'whole', statusOf('whole', { reconciledAt: new Date(0) }));
    await held(/has not compared/);
    // In sync though another template runs: Argo CD does not see templates here, or has not looked yet.
    await argo.status('Application', 'whole', statusOf('whole', { revision: REVERTED }));
    await held(/never seen to tell the templates apart/);
    await argo.status('Application', 'whole', statusOf('whole', { state: 'OutOfSync' }));
    await held(/still, which renders the template that was rolled back from/);
    // Git moved on, but not to what runs.
    await argo.status(
      'Application',
      'whole',
      statusOf('whole', { state: 'OutOfSync', revision: 'd'.repeat(40) }),
    );
    await held(/another template than runs, which nothing has verified/);
    await argo.status('Application', 'whole', statusOf('whole'));
    await held(/at the revision that was rolled back from/);

    await argo.status('Application', 'whole', statusOf('whole', { revision: REVERTED }));
    const check = await argo.gitops.checkSuspended({ target: plan.target, ledger: LEDGER });
    expect(check.suspensions).toMatchObject([
      { state: 'suspended', shown: true, gitRevision: REVERTED, badRevision: BAD },
    ]);
    expect(await resume('whole')).toMatchObject([{ state: 'resumed', gitRevision: REVERTED }]);
    expect(await automatedOf('whole')).toEqual(AUTOMATED);
    expect((await argo.read('Application', 'whole')).metadata.annotations ?? {}).not.toHaveProperty([MARK]);
    expect((await argo.world.read('whole')).metadata?.annotations).not.toHaveProperty([POINTER]);
    expect(await resume('whole')).toEqual([]);
  });

  it('never resumes while what runs is known to be bad, whatever Argo CD says', async () => {
    await shipWithApp('bad-again');
    const plan = await argo.plan('bad-again');
    await argo.apply(plan);
    await argo.status('Application', 'bad-again', statusOf('bad-again', { state: 'OutOfSync' }));
    await resume('bad-again');
    await argo.status('Application', 'bad-again', statusOf('bad-again', { revision: REVERTED }));
    const ledger: Ledger = {
      [plan.to.templateHash]: { verdict: 'known-bad', atMs: 1, incidentId: 'i', reason: 'r' },
    };
    expect(await resume('bad-again', ledger)).toMatchObject([
      { state: 'suspended', why: expect.stringMatching(/known to be bad/) },
    ]);
    // Somebody shipped the bad image again by hand.
    await argo.world.ship('bad-again', V2);
    expect(await resume('bad-again')).toMatchObject([
      { state: 'suspended', why: expect.stringMatching(/known to be bad/) },
    ]);
    await argo.world.ship('bad-again', 'registry.test/llm:v3');
    expect(await resume('bad-again')).toMatchObject([
      { state: 'suspended', why: expect.stringMatching(/neither/) },
    ]);
    expect(await automatedOf('bad-again')).toBeUndefined();
  });

  it('does not believe a comparison that may not see the template', async () => {
    await shipWithApp('blind', {
      ignoreDifferences: [
        { group: 'apps', kind: 'Deployment', jqPathExpressions: ['.spec.template.spec.containers[].image'] },
      ],
    });
    await argo.apply(await argo.plan('blind'));
    await argo.status('Application', 'blind', statusOf('blind', { revision: REVERTED }));
    expect(await resume('blind')).toMatchObject([
      { state: 'suspended', why: expect.stringMatching(/ignoreDifferences may hide the template/) },
    ]);
  });

  it('voids the approval when the application changed, and names what changed', async () => {
    await shipWithApp('drifting');
    const plan = await argo.plan('drifting');
    await argo.patch('Application', 'drifting', [
      { op: 'replace', path: '/spec/syncPolicy/automated/prune', value: false },
    ]);
    await expect(argo.apply(plan)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringMatching(
        /Application .*drifting is not as it was approved: it syncs in another way/,
      ),
    });
    expect(await argo.world.imageOf('drifting')).toBe(V2);
    expect((await argo.world.read('drifting')).metadata?.annotations).not.toHaveProperty([POINTER]);
    // What is suspended is a part of what was approved.
    const fresh = await argo.plan('drifting');
    const { gitops: _left, ...without } = fresh;
    const { spec } = await argo.world.read('drifting');
    const hash = (of: typeof fresh | typeof without) =>
      rollbackPlanHash(of, { selector: spec?.selector as never, strategy: spec?.strategy });
    expect(hash(without)).not.toBe(hash(fresh));
    await expect(argo.apply({ ...without, hash: fresh.hash })).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
  });

  it('keeps an application suspended until the last of its workloads lets go', async () => {
    const names = ['shared-a', 'shared-b'];
    await Promise.all(names.map((name) => argo.ship(name, { annotations: marksOf('shared', name) })));
    await argo.create('Application', 'shared', { spec: specOf() });
    await argo.status('Application', 'shared', statusOf('shared-a', { also: ['shared-b'] }));
    const plans = await Promise.all(names.map((name) => argo.plan(name)));
    await Promise.all(plans.map((plan) => argo.apply(plan)));
    const mark = JSON.parse((await argo.read('Application', 'shared')).metadata.annotations?.[MARK] ?? '');
    expect(mark.holders.map(({ plan }: { plan: string }) => plan).sort()).toEqual(
      plans.map(({ hash }) => hash).sort(),
    );

    await argo.status(
      'Application',
      'shared',
      statusOf('shared-a', { state: 'OutOfSync', also: ['shared-b'] }),
    );
    for (const name of names) await resume(name);
    await argo.status(
      'Application',
      'shared',
      statusOf('shared-a', { revision: REVERTED, also: ['shared-b'] }),
    );
    expect(await resume('shared-a')).toMatchObject([{ state: 'released' }]);
    expect(await automatedOf('shared')).toBeUndefined();
    expect(await resume('shared-b')).toMatchObject([{ state: 'resumed' }]);
    expect(await automatedOf('shared')).toEqual(AUTOMATED);
  });

  it('says when somebody else switched the sync on again, and leaves it to them', async () => {
    await shipWithApp('switched');
    await argo.apply(await argo.plan('switched'));
    await argo.patch('Application', 'switched', [
      { op: 'add', path: '/spec/syncPolicy/automated', value: {} },
    ]);
    expect(await resume('switched')).toMatchObject([
      { state: 'foreign', why: expect.stringMatching(/something else switched its sync on/) },
    ]);
    expect(await automatedOf('switched')).toEqual({});
    expect((await argo.read('Application', 'switched')).metadata.annotations ?? {}).not.toHaveProperty([
      MARK,
    ]);
  });

  it('is not needed where nothing syncs by itself, and says who may bring the template back', async () => {
    await shipWithApp('by-hand', { syncPolicy: {} });
    const plan = await argo.plan('by-hand');
    expect(plan.gitops).toBeUndefined();
    expect(plan.warnings.join('\n')).toMatch(
      /does not sync by itself: whoever syncs it brings the template in Git back/,
    );
  });
});

describe('a rollback that the API refuses', () => {
  it('gives the sync back where nothing was changed', async () => {
    await shipWithApp('refused-patch');
    const plan = await argo.plan('refused-patch');
    const deny = await argo.denyTemplateChanges('refused-patch');
    await expect(argo.apply(plan)).rejects.toMatchObject({ nonRetryable: true });
    await deny.stop();
    expect(await automatedOf('refused-patch')).toEqual(AUTOMATED);
    expect((await argo.read('Application', 'refused-patch')).metadata.annotations ?? {}).not.toHaveProperty([
      MARK,
    ]);
    expect((await argo.world.read('refused-patch')).metadata?.annotations).not.toHaveProperty([POINTER]);
    // The same approval still does its work.
    expect(await argo.apply(plan)).toMatchObject({ result: 'patched' });
  });
});

describe('an application that something else writes', () => {
  it('is refused where its ApplicationSet would undo the suspension, and taken where it would not', async () => {
    const template = { metadata: { name: '{{name}}' }, spec: specOf() };
    const base = { generators: [{ list: { elements: [] } }], template };
    const set = await argo.create('ApplicationSet', 'fleet', { spec: base });
    const owner = {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'ApplicationSet',
      name: 'fleet',
      uid: set.metadata.uid,
      controller: true,
    };
    await shipWithApp('from-set', {}, { ownerReferences: [owner] });
    const { reason, revert } = await argo.refusal('from-set');
    expect(reason).toMatch(
      /ApplicationSet fleet makes it and would undo that: it needs `ignoreApplicationDifferences.*` and `preservedFields/,
    );
    expect(revert).toMatch(/\+ +- image: registry\.test\/llm:v1/);
    await argo.patch('ApplicationSet', 'fleet', [
      {
        op: 'add',
        path: '/spec/ignoreApplicationDifferences',
        value: [{ jsonPointers: ['/spec/syncPolicy'] }],
      },
    ]);
    expect((await argo.refusal('from-set')).reason).toMatch(/it needs `preservedFields/);
    await argo.patch('ApplicationSet', 'fleet', [
      { op: 'add', path: '/spec/preservedFields', value: { annotations: [MARK] } },
    ]);
    expect((await argo.plan('from-set')).gitops?.suspend).toHaveLength(1);
  });

  it('is refused where the application above it would undo the suspension', async () => {
    await argo.create('Application', 'root', { spec: specOf() });
    const annotations = {
      'argocd.argoproj.io/tracking-id': `root:argoproj.io/Application:${argo.tools}/child`,
    };
    await shipWithApp('child', {}, { annotations });
    expect((await argo.refusal('child')).reason).toMatch(
      /Argo CD application root manages it and would undo that/,
    );
    await argo.patch('Application', 'root', [
      {
        op: 'add',
        path: '/spec/ignoreDifferences',
        value: [{ group: 'argoproj.io', kind: 'Application', jsonPointers: ['/spec/syncPolicy/automated'] }],
      },
      { op: 'add', path: '/spec/syncPolicy/syncOptions', value: ['RespectIgnoreDifferences=true'] },
    ]);
    expect((await argo.plan('child')).gitops?.suspend).toHaveLength(1);
  });
});

describe('what the marks of a workload cannot make Firebreak do', () => {
  it('suspends nothing that does not list the workload', async () => {
    await argo.create('Application', 'innocent', { spec: specOf() });
    await argo.status('Application', 'innocent', statusOf('something-else'));
    await argo.ship('liar', { annotations: marksOf('innocent', 'liar') });
    const { reason } = await argo.refusal('liar');
    expect(reason).toMatch(/Application .*innocent does not manage it: its status lists no Deployment/);
    expect(await automatedOf('innocent')).toEqual(AUTOMATED);
  });

  it.each([
    ['../../../kube-system/secrets/x', /its mark on the workload is no name of an object/],
    [`kube-system_evil`, /namespace kube-system is not listed under gitops\.namespaces/],
    ['nobody', /there is no Application nobody in/],
    ['a\u202eb\nc', /its mark on the workload is no name of an object/],
  ])('refuses the tracking mark %j by name', async (value, why) => {
    const name = `mark-${Buffer.from(value).toString('hex').slice(0, 12)}`;
    await argo.ship(name, { annotations: { 'argocd.argoproj.io/tracking-id': value } });
    const { reason } = await argo.refusal(name);
    expect(reason).toMatch(why);
    expect(reason).not.toMatch(/[\n\u202e]/);
  });

  it('does not count the id of another object, nor a label that no application confirms', async () => {
    await argo.ship('copied', {
      annotations: { 'argocd.argoproj.io/tracking-id': 'app:apps/Deployment:elsewhere/original' },
      labels: { 'app.kubernetes.io/instance': 'some-chart' },
    });
    const plan = await argo.plan('copied', 'refuse');
    expect(plan.owners).toEqual([]);
    expect(plan.warnings.join('\n')).toMatch(/names another object/);
  });

  it('counts the label by which Argo CD may track, where the application lists the workload', async () => {
    await argo.ship('by-label', { labels: { 'app.kubernetes.io/instance': 'by-label' } });
    await argo.create('Application', 'by-label', { spec: specOf() });
    await argo.status('Application', 'by-label', statusOf('by-label'));
    expect((await argo.refusal('by-label', 'refuse')).reason).toMatch(/^Argo CD application by-label takes/);
    expect((await argo.plan('by-label')).gitops?.suspend).toMatchObject([{ name: 'by-label' }]);
  });

  it('does not take a workload of the same name in another cluster for this one', async () => {
    await shipWithApp('elsewhere', {
      destination: { server: 'https://other.example.com', namespace: argo.world.namespace },
    });
    expect((await argo.refusal('elsewhere')).reason).toMatch(/deploys to another cluster/);
  });

  it('looks at nothing that a forged pointer names, and holds on a mark that it cannot read', async () => {
    await shipWithApp('forged');
    const plan = await argo.plan('forged');
    await argo.apply(plan);
    await argo.patch('Application', 'forged', [
      { op: 'add', path: `/metadata/annotations/${MARK.replace('/', '~1')}`, value: '{"holders":[' },
    ]);
    await argo.world.put('forged', V1, ({ metadata }) => {
      const refs = [
        { kind: 'Application', namespace: 'kube-system', name: 'x' },
        { kind: 'Application', namespace: argo.tools, name: 'forged' },
      ];
      if (metadata) metadata.annotations = { ...metadata.annotations, [POINTER]: JSON.stringify(refs) };
    });
    expect(await resume('forged')).toMatchObject([
      { name: 'forged', state: 'suspended', why: expect.stringMatching(/cannot be read/) },
    ]);
    expect(await automatedOf('forged')).toBeUndefined();
    await expect(
      argo.gitops.resumeSync({
        target: plan.target,
        ledger: LEDGER,
        also: [{ kind: 'Application', namespace: 'kube-system', name: 'x' }],
      }),
    ).rejects.toMatchObject({ type: 'Refused' });
  });
});

describe('a rollback under Argo CD with gitops: pull-request', () => {
  it('is refused with where in Git the change is, and what tells it', async () => {
    await shipWithApp('proposed');
    const { reason, revert, git } = await argo.refusal('proposed', 'pull-request');
    expect(reason).toMatch(/takes the template from Git and would undo a rollback here$/);
    expect(revert).toContain(V2);
    expect(git).toEqual({
      owner: `Application ${argo.tools}/proposed`,
      source: {
        repository: SOURCE.repoURL,
        path: SOURCE.path,
        follows: SOURCE.targetRevision,
        revision: BAD,
      },
      leave: [V2],
      bringBack: [V1],
    });
    // Nothing is suspended for it.
    expect(await automatedOf('proposed')).toEqual(AUTOMATED);
  });

  it('says why no pull request can be made where the application does not agree', async () => {
    await argo.ship('claimed', { annotations: marksOf('nowhere', 'claimed') });
    const { reason, git } = await argo.refusal('claimed', 'pull-request');
    expect(reason).toMatch(/no pull request can be made: .*there is no Application nowhere/);
    expect(git).toBeUndefined();
  });

  it('needs one folder, and tells no password of an address', async () => {
    const chart = { repoURL: 'https://charts.example.com', chart: 'llm', targetRevision: '1.2.3' };
    await shipWithApp('charted', { source: chart });
    expect((await argo.refusal('charted', 'pull-request')).reason).toMatch(
      /no pull request can be made: Application .*\/charted takes a chart, and no folder of manifests/,
    );
    await shipWithApp('several', { source: undefined, sources: [SOURCE, chart] });
    expect((await argo.refusal('several', 'pull-request')).reason).toMatch(/has several sources/);
    const repoURL = 'https://robot:secret-password@git.example.com/models';
    await shipWithApp('secret', { source: { ...SOURCE, repoURL } });
    const { git } = await argo.refusal('secret', 'pull-request');
    expect(git?.source.repository).toBe('https://git.example.com/models');
  });
});
