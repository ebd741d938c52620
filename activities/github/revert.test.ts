import type { Octokit } from 'octokit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Emulators, startEmulators } from '../../demo/vendors/emulators.ts';
import type { GitRevert } from '../../domain/gitops-plan.ts';
import type { Target } from '../../domain/target.ts';
import { listening } from '../../test/vendors/listening.ts';
import { connectGitHub } from './connect.ts';
import { createGitHubReverts } from './revert.ts';

/** Against GitHub's emulator, which keeps commits, trees, branches and pull requests. */

const OLD = 'registry.test/llm:2026-02-20';
const NEW = 'registry.test/llm:2026-03-01';
const INCIDENT = 'inc-3f9a1c2b7d01-0a1b2c3d';
const TARGET: Target = { cluster: 'local', namespace: 'ai', kind: 'Deployment', name: 'llm' };

let emulators: Emulators;
let octokit: Octokit;
let place: { owner: string; repo: string };
let branch: string;
let tests = 0;

beforeAll(async () => {
  emulators = await startEmulators();
  const { apiUrl, token, owner, repo } = emulators.github;
  octokit = connectGitHub({ apiUrl, token, setting: 'test' });
  place = { owner, repo };
  await octokit.rest.repos.createOrUpdateFileContents({
    ...place,
    path: 'README.md',
    message: 'Begin',
    content: Buffer.from('models').toString('base64'),
  });
});
afterAll(() => emulators.close());

/** A branch of its own for each test, so that they run in any order. */
beforeEach(async () => {
  branch = `main-${++tests}`;
  const { data } = await octokit.rest.repos.get(place);
  const tip = await octokit.rest.repos.getBranch({ ...place, branch: data.default_branch });
  await octokit.rest.git.createRef({ ...place, ref: `refs/heads/${branch}`, sha: tip.data.commit.sha });
});

const host = () => new URL(emulators.github.apiUrl).hostname;

function deployment(image: string, replicas = 2): string {
  return `# kept\nkind: Deployment\nspec: { replicas: ${replicas}, template: { spec: { containers: [{ image: '${image}' }] } } }\n`;
}

/** Commits files (null: takes them out) and gives the commit's id. */
async function commit(
  message: string,
  files: Record<string, string | null>,
  parents?: string[],
): Promise<string> {
  const { commit: tip } = (await octokit.rest.repos.getBranch({ ...place, branch })).data;
  const { data: parent } = await octokit.rest.git.getCommit({ ...place, commit_sha: tip.sha });
  const { data: tree } = await octokit.rest.git.createTree({
    ...place,
    base_tree: parent.tree.sha,
    tree: Object.entries(files).map(([path, content]) => ({
      ...{ path, mode: '100644' as const, type: 'blob' as const },
      ...(content === null ? { sha: null } : { content }),
    })),
  });
  const { data } = await octokit.rest.git.createCommit({
    ...place,
    message,
    tree: tree.sha,
    parents: parents ?? [tip.sha],
  });
  await octokit.rest.git.updateRef({ ...place, ref: `heads/${branch}`, sha: data.sha });
  return data.sha;
}

async function tipOf(): Promise<string> {
  return (await octokit.rest.repos.getBranch({ ...place, branch })).data.commit.sha;
}

function revertOf(source: Partial<GitRevert['source']> = {}): GitRevert {
  const repository = `https://${host()}/${place.owner}/${place.repo}.git`;
  return {
    owner: 'Application argocd/models',
    source: { repository, path: 'clusters/eu', follows: branch, ...source },
    leave: [NEW],
    bringBack: [OLD],
  };
}

function propose(git = revertOf(), incidentId = `${INCIDENT.slice(0, -2)}${String(tests).padStart(2, '0')}`) {
  const { apiUrl, token } = emulators.github;
  const reverts = createGitHubReverts({ apiUrl, token, repositories: [`${place.owner}/${place.repo}`] });
  return reverts.proposeRevert({ incidentId, target: TARGET, git });
}

async function fileOf(path: string, ref: string): Promise<string | undefined> {
  try {
    const { data } = await octokit.rest.repos.getContent({ ...place, path, ref });
    return 'content' in data ? Buffer.from(data.content, 'base64').toString('utf8') : undefined;
  } catch {
    return undefined;
  }
}

async function pullRequest(url: string) {
  const { data } = await octokit.rest.pulls.list({ ...place, state: 'all', per_page: 100 });
  const found = data.find(({ html_url }) => html_url === url);
  if (found === undefined) throw new Error(`there is no pull request ${url}`);
  return found;
}

describe('a pull request that takes a change back', () => {
  it('puts the files of that one commit back as they were, and leaves everything else', async () => {
    await commit('First', {
      'clusters/eu/llm.yaml': deployment(OLD),
      'clusters/eu/prompts.yaml': 'a: old\n',
      'clusters/us/llm.yaml': deployment(OLD),
    });
    const bad = await commit('Ship March <script> @all', {
      'clusters/eu/llm.yaml': deployment(NEW),
      'clusters/eu/prompts.yaml': 'a: new\n',
      'clusters/eu/extra.yaml': 'b: 1\n',
      'clusters/us/llm.yaml': deployment(NEW),
    });
    await commit('Something else', { 'clusters/eu/other.yaml': 'c: 1\n' });

    const made = await propose();
    expect(made).toMatchObject({
      state: 'opened',
      commit: bad,
      files: ['clusters/eu/extra.yaml', 'clusters/eu/llm.yaml', 'clusters/eu/prompts.yaml'],
    });
    if (made.state === 'in-git') throw new Error('not proposed');
    const { head, base, body, state } = await pullRequest(made.url);
    expect({ base: base.ref, state }).toEqual({ base: branch, state: 'open' });
    expect(await fileOf('clusters/eu/llm.yaml', head.ref)).toBe(deployment(OLD));
    expect(await fileOf('clusters/eu/prompts.yaml', head.ref)).toBe('a: old\n');
    expect(await fileOf('clusters/eu/extra.yaml', head.ref)).toBeUndefined();
    expect(await fileOf('clusters/eu/other.yaml', head.ref)).toBe('c: 1\n');
    expect(await fileOf('clusters/us/llm.yaml', head.ref)).toBe(deployment(NEW));
    // The branch that is followed is as it was: people merge.
    expect(await fileOf('clusters/eu/llm.yaml', branch)).toBe(deployment(NEW));
    expect(body).toContain(bad);
    expect(body).not.toMatch(/<script>|@all/);
  });

  it('is opened once, and found again', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    const first = await propose();
    expect(await propose()).toEqual({ ...first, state: 'found' });
  });

  describe('where its branch is there already', () => {
    /** A branch of Firebreak's on the tip, in which the file is the blob that it was at a commit. */
    async function leaveBranch(incidentId: string, from: string, change: { path: string; at: string }) {
      const { data: tip } = await octokit.rest.git.getCommit({ ...place, commit_sha: await tipOf() });
      const { data: then } = await octokit.rest.git.getTree({
        ...place,
        tree_sha: change.at,
        recursive: '1',
      });
      const sha = then.tree.find(({ path }) => path === 'clusters/eu/llm.yaml')?.sha ?? null;
      const file = { path: change.path, mode: '100644' as const, type: 'blob' as const, sha };
      const tree = (await octokit.rest.git.createTree({ ...place, base_tree: tip.tree.sha, tree: [file] }))
        .data;
      const made = { ...place, message: 'Earlier', tree: tree.sha, parents: [tip.sha] };
      const { data } = await octokit.rest.git.createCommit(made);
      const ref = `refs/heads/firebreak/${incidentId}-${from.slice(0, 12)}`;
      await octokit.rest.git.createRef({ ...place, ref, sha: data.sha });
      return data.sha;
    }

    it('is opened for what an attempt before left behind', async () => {
      const good = await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
      const bad = await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
      const incidentId = 'inc-000000000000-00000042';
      const left = await leaveBranch(incidentId, bad, { path: 'clusters/eu/llm.yaml', at: good });
      const made = await propose(revertOf(), incidentId);
      if (made.state === 'in-git') throw new Error('not proposed');
      expect((await pullRequest(made.url)).head.sha).toBe(left);
    });

    it('is not opened for what somebody else put there', async () => {
      const good = await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
      const bad = await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
      const changes = [
        { path: 'clusters/eu/llm.yaml', at: bad },
        { path: '.github/workflows/evil.yaml', at: good },
      ];
      for (const [index, change] of changes.entries()) {
        const incidentId = `inc-000000000000-0000005${index}`;
        await leaveBranch(incidentId, bad, change);
        await expect(propose(revertOf(), incidentId)).rejects.toMatchObject({
          type: 'PreconditionFailed',
          message: expect.stringContaining('is there already and holds something else'),
        });
      }
    });
  });

  it('takes a merge back as what it was merged into, and not its other side', async () => {
    const base = await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    await commit('Add', { 'clusters/eu/embedder.yaml': 'a: 1\n' });
    const main = await tipOf();
    // A branch that was begun before, and has the new image.
    await octokit.rest.git.updateRef({ ...place, ref: `heads/${branch}`, sha: base, force: true });
    const side = await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    await octokit.rest.git.updateRef({ ...place, ref: `heads/${branch}`, sha: main, force: true });
    const merge = await commit('Merge', { 'clusters/eu/llm.yaml': deployment(NEW) }, [main, side]);
    const made = await propose();
    expect(made).toMatchObject({ state: 'opened', commit: merge, files: ['clusters/eu/llm.yaml'] });
    if (made.state === 'in-git') throw new Error('not proposed');
    const { head } = await pullRequest(made.url);
    expect(await fileOf('clusters/eu/embedder.yaml', head.ref)).toBe('a: 1\n');
  });

  it('reads Kustomize`s images and the values of a chart', async () => {
    const kustomization = (tag: string) => `images:\n  - { name: registry.test/llm, newTag: '${tag}' }\n`;
    const values = (tag: string) =>
      `model:\n  image: { registry: registry.test, repository: llm, tag: ${tag} }\n`;
    for (const [index, render] of [kustomization, values].entries()) {
      const path = `apps/${index}/file.yaml`;
      await commit('First', { [path]: render('2026-02-20') });
      const bad = await commit('Ship', { [path]: render('2026-03-01') });
      const git = revertOf({ path: `./apps/${index}/` });
      expect(await propose(git)).toMatchObject({ state: 'opened', commit: bad, files: [path] });
    }
  });

  it('goes back over commits that left the image as it was', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    const bad = await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    await commit('Unrelated', { 'clusters/eu/other.yaml': 'a: 1\n' });
    await commit('Unrelated', { 'clusters/eu/other.yaml': 'a: 2\n' });
    expect(await propose()).toMatchObject({ state: 'opened', commit: bad, files: ['clusters/eu/llm.yaml'] });
  });

  it('is none where Git has the images back', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    const back = await commit('Revert', { 'clusters/eu/llm.yaml': deployment(OLD) });
    expect(await propose()).toEqual({ state: 'in-git', commit: back });
  });
});

describe('no pull request is made', () => {
  async function refused(git: GitRevert): Promise<string> {
    const before = await octokit.rest.pulls.list({ ...place, state: 'all', per_page: 100 });
    const error = await propose(git).then(
      (made) => Promise.reject(new Error(`it was ${made.state}`)),
      (thrown: Error) => thrown,
    );
    const after = await octokit.rest.pulls.list({ ...place, state: 'all', per_page: 100 });
    expect(after.data.length).toBe(before.data.length);
    return error.message;
  }

  it('where a file was changed again since', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    await commit('Scale', { 'clusters/eu/llm.yaml': deployment(NEW, 5) });
    expect(await refused(revertOf())).toMatch(/clusters\/eu\/llm\.yaml was changed again after commit/);
  });

  it('where another workload of the folder had the image first, or has it still', async () => {
    await commit('First', {
      'clusters/eu/llm.yaml': deployment(OLD),
      'clusters/eu/canary.yaml': deployment(OLD),
    });
    await commit('Canary', { 'clusters/eu/canary.yaml': deployment(NEW) });
    await commit('Promote', { 'clusters/eu/llm.yaml': deployment(NEW) });
    expect(await refused(revertOf())).toMatch(/alone does not bring the images back: other manifests/);
  });

  it('where Git never had the image that runs', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    expect(await refused(revertOf())).toMatch(/do not name the image that runs: the object itself, a base/);
  });

  it('where people closed the one that there was', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment(OLD) });
    await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    const made = await propose();
    if (made.state === 'in-git') throw new Error('not proposed');
    const { number } = await pullRequest(made.url);
    await octokit.rest.pulls.update({ ...place, pull_number: number, state: 'closed' });
    expect(await refused(revertOf())).toMatch(/was closed without being merged: ask who closed it/);
  });

  it('where the manifests name neither image, or never named the one before', async () => {
    await commit('First', { 'clusters/eu/llm.yaml': deployment('registry.test/llm:other') });
    expect(await refused(revertOf())).toMatch(/do not name the image that runs/);
    await commit('Ship', { 'clusters/eu/llm.yaml': deployment(NEW) });
    expect(await refused(revertOf())).toMatch(
      /commits in clusters\/eu brought the image that runs in place of/,
    );
  });

  it.each([
    ['another host', { repository: 'https://evil.example/acme/models' }],
    ['a repository that is not configured', { repository: 'https://localhost/acme/other' }],
    ['no address', { repository: 'GitRepository flux-system/models' }],
    ['several', { repository: 'https://localhost/a/b, https://localhost/c/d' }],
  ])('for %s', async (_, source) => {
    expect(await refused(revertOf(source))).toMatch(/not in gitops\.pullRequests\.github\.repositories/);
  });

  it('for what follows a tag or a commit, and for a path that leaves the repository', async () => {
    expect(await refused(revertOf({ follows: 'v1.2.3' }))).toMatch(/follows v1\.2\.3, which is no branch/);
    expect(await refused(revertOf({ path: '../../etc' }))).toMatch(/leaves its repository/);
  });

  it.each([
    [
      401,
      {},
      'Unauthorized',
      /gitops\.pullRequests\.github\.token was not accepted.*Pull requests: read and write/,
    ],
    [403, {}, 'Unauthorized', /no right to it; it needs "Contents: read and write"/],
    [403, { 'retry-after': '7' }, 'RateLimited', /rate limit/],
    [404, {}, 'NotFound', /does not exist, or the token may not see it; it needs "Contents/],
    [502, {}, 'Unavailable', /answered 502/],
  ] as const)('where GitHub answers %i %j', async (status, headers, type, message) => {
    const { url: apiUrl, close } = await listening((_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{"message":"no"}');
    });
    try {
      const reverts = createGitHubReverts({ apiUrl, token: 'secret-token', repositories: ['acme/models'] });
      const git = revertOf({ repository: 'git@127.0.0.1:acme/models.git' });
      const error = await reverts.proposeRevert({ incidentId: INCIDENT, target: TARGET, git }).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ type, message: expect.stringMatching(message) });
      expect(JSON.stringify(error)).not.toContain('secret-token');
    } finally {
      await close();
    }
  });

  it('where none are configured', async () => {
    await expect(
      createGitHubReverts(undefined).proposeRevert({ incidentId: INCIDENT, target: TARGET, git: revertOf() }),
    ).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining('configure gitops.pullRequests.github'),
    });
  });
});
