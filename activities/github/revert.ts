import type { Octokit } from 'octokit';
import type { GitRevert } from '../../domain/gitops-plan.ts';
import { escapeMarkdown, stripControl } from '../../domain/plain-text.ts';
import type { Target } from '../../domain/target.ts';
import type { RepositoryActivities } from '../contract.ts';
import { fail } from '../failure.ts';
import { ACTIVITY_DEADLINE_MS } from '../tickets/system.ts';
import { connectGitHub } from './connect.ts';
import { fromGitHub, isRefusedContent } from './errors.ts';
import type { RepositoryCall } from './issues.ts';
import { imagesNamedIn } from './manifest-images.ts';

/** Commits of the folder that are looked through, newest first: a change that is older is no incident's cause. */
const MAX_COMMITS = 30;
/** Manifests of one folder. */
const MAX_MANIFESTS = 300;
/** What is larger is no manifest that names images. */
const MAX_MANIFEST_BYTES = 256 * 1_024;
/** Blobs that are read at once: GitHub asks for few calls side by side. */
const AT_ONCE = 8;
/** Texts of blobs between attempts, a few kilobytes each. */
const MAX_KEPT_TEXTS = 1_000;
/** Named in messages and in the pull request. */
const MAX_NAMED = 20;
const MAX_TITLE_CHARS = 100;
const MANIFEST = /\.(ya?ml|json)$/i;
/** What GitHub's names of owners and repositories are made of. */
const REPOSITORY =
  /^(?:(?:https?|ssh):\/\/(?:[^@/]+@)?([^:/]+)(?::\d+)?\/|git@([^:/]+):)([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/;
const NEEDS = {
  setting: 'gitops.pullRequests.github.token',
  permission:
    'it needs "Contents: read and write" and "Pull requests: read and write" on the repository (a classic token: scope repo)',
  content: 'branches and pull requests',
};

export interface GitHubRevertsOptions {
  token: string;
  /** https://api.github.com, or https://HOST/api/v3 of GitHub Enterprise Server. */
  apiUrl: string;
  /** `owner/name`: nothing is read or written elsewhere, whatever an object of the cluster says. */
  repositories: readonly string[];
}

interface Commit {
  sha: string;
  /** First line of its message: somebody's text. */
  title: string;
}

interface Blob {
  sha: string;
  mode: string;
  size: number;
}

/** Files of the folder at a commit, by path. */
type Folder = ReadonlyMap<string, Blob>;

/** The commit that changed the images, the one that it was made on, and what it changed in the folder. */
interface Change {
  bad: Commit;
  good: string;
  goodFiles: Folder;
  badFiles: Folder;
  files: string[];
}

/** @param options undefined where none is configured: then every call is Refused. */
export function createGitHubReverts(options: GitHubRevertsOptions | undefined): RepositoryActivities {
  if (options === undefined) {
    return {
      proposeRevert: async () => {
        throw fail('Refused', 'no pull requests can be made: configure gitops.pullRequests.github');
      },
    };
  }
  const octokit = connectGitHub({ ...options, setting: 'gitops.pullRequests.github' });
  const texts = new Map<string, string>();
  return {
    async proposeRevert({ incidentId, target, git }) {
      const request = { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) };
      const place = { ...repositoryOf(options, git), request };
      const name = `${place.owner}/${place.repo}`;
      try {
        const reader = new FolderReader(octokit, place, git, texts);
        return await propose(octokit, place, reader, { incidentId, target, git });
      } catch (error) {
        throw fromGitHub(error, `GitHub pull request in ${name}`, `repository ${name}`, NEEDS);
      }
    },
  };
}

/** The source is somebody's text in the cluster: it only chooses among the repositories of the configuration. */
function repositoryOf(
  { apiUrl, repositories }: GitHubRevertsOptions,
  { owner, source }: GitRevert,
): { owner: string; repo: string } {
  const [, webHost, sshHost, account = '', repo = ''] = REPOSITORY.exec(source.repository ?? '') ?? [];
  const { hostname } = new URL(apiUrl);
  const host = hostname === 'api.github.com' ? 'github.com' : hostname;
  const named = `${account}/${repo}`.toLowerCase();
  const configured = repositories.find((one) => one.toLowerCase() === named);
  if ((webHost ?? sshHost)?.toLowerCase() !== host || configured === undefined) {
    throw fail(
      'Refused',
      `${owner} takes its manifests from a repository that is not in gitops.pullRequests.github.repositories`,
    );
  }
  const [own = '', name = ''] = configured.split('/');
  return { owner: own, repo: name };
}

async function propose(
  octokit: Octokit,
  place: RepositoryCall,
  reader: FolderReader,
  { incidentId, target, git }: { incidentId: string; target: Target; git: GitRevert },
): ReturnType<RepositoryActivities['proposeRevert']> {
  const { rest } = octokit;
  const { name: base, tip } = await branchOf(octokit, place, git);
  const change = await findChange(octokit, place, reader, tip);
  if ('back' in change) return { state: 'in-git', commit: change.back };
  const { bad, good, goodFiles, files } = change;
  const head = `firebreak/${incidentId}-${bad.sha.slice(0, 12)}`;
  const about = { commit: bad.sha, files };
  const existing = await findPullRequest(octokit, place, head);
  if (existing !== undefined) return { state: 'found', url: existing, ...about };

  const left = await whatIsLeft(reader, { tip, change });
  const { data: tipCommit } = await rest.git.getCommit({ ...place, commit_sha: tip });
  const { data: tree } = await rest.git.createTree({
    ...place,
    base_tree: tipCommit.tree.sha,
    tree: left.map((path) => {
      const blob = goodFiles.get(path);
      // The blobs are there already: their content never leaves Git. A file that was not there before is taken out.
      return { path, mode: (blob?.mode ?? '100644') as '100644', type: 'blob', sha: blob?.sha ?? null };
    }),
  });
  const folder = reader.folder === '' ? 'the manifests' : reader.folder;
  const title = `Put ${folder} back to before ${short(bad.sha)}`.slice(0, MAX_TITLE_CHARS);
  const { data: commit } = await rest.git.createCommit({
    ...place,
    message: `${title}\n\nTakes back what commit ${bad.sha} changed there, as it was at ${good}.\nIncident: ${incidentId}\n`,
    tree: tree.sha,
    parents: [tip],
  });
  await createBranch(octokit, place, reader, { head, commit: commit.sha, tip, left, goodFiles });
  const body = bodyOf({ incidentId, target, git, change });
  const { data: opened } = await rest.pulls.create({ ...place, title, head, base, body });
  return { state: 'opened', url: opened.html_url, ...about };
}

/**
 * The files that the tip has as the commit left them, and that are put back.
 * @throws ApplicationFailure PreconditionFailed where that would not be the whole of it, or more.
 */
async function whatIsLeft(
  reader: FolderReader,
  { tip, change }: { tip: string; change: Change },
): Promise<string[]> {
  const { bad, goodFiles, badFiles, files } = change;
  const tipFiles = await reader.at(tip);
  const left = files.filter((file) => tipFiles.get(file)?.sha !== goodFiles.get(file)?.sha);
  const later = left.filter((file) => tipFiles.get(file)?.sha !== badFiles.get(file)?.sha);
  if (later.length > 0) {
    throw fail(
      'PreconditionFailed',
      `${list(later)} was changed again after commit ${short(bad.sha)}, which brought the images: revert it by hand`,
    );
  }
  const result = new Map(tipFiles);
  for (const file of left) {
    const blob = goodFiles.get(file);
    if (blob === undefined) result.delete(file);
    else result.set(file, blob);
  }
  // Another workload of the folder may have had the image first, or have it still: then this commit is not the whole of it.
  if ((await reader.stateOf(result)) !== 'good') {
    throw fail(
      'PreconditionFailed',
      `taking back commit ${short(bad.sha)} alone does not bring the images back: other manifests of the folder name them too`,
    );
  }
  return left;
}

/**
 * Makes our branch. One that an earlier attempt left behind is taken where it is this very change, and nothing else.
 * @param left the files that are put back.
 */
async function createBranch(
  { rest }: Octokit,
  place: RepositoryCall,
  reader: FolderReader,
  {
    head,
    commit,
    tip,
    left,
    goodFiles,
  }: { head: string; commit: string; tip: string; left: string[]; goodFiles: Folder },
): Promise<void> {
  try {
    await rest.git.createRef({ ...place, ref: `refs/heads/${head}`, sha: commit });
  } catch (error) {
    if (!isRefusedContent(error)) throw error;
    // 422 is also the answer of rules that let nobody make branches.
    const ref = await rest.git.getRef({ ...place, ref: `heads/${head}` }).catch(() => undefined);
    if (ref === undefined) throw error;
    const there = ref.data.object.sha;
    const { data } = await rest.repos.compareCommitsWithBasehead({
      ...place,
      basehead: `${tip}...${there}`,
    });
    const changed = new Set(data.files?.map(({ filename }) => filename));
    const files = await reader.at(there);
    const isPutBack = (file: string) => files.get(file)?.sha === goodFiles.get(file)?.sha;
    if (left.every((file) => changed.delete(file) && isPutBack(file)) && changed.size === 0) return;
    throw fail(
      'PreconditionFailed',
      `the branch ${head} is there already and holds something else: look who made it, and delete it`,
    );
  }
}

/** '' for the whole repository. */
function folderOf({ owner, source }: GitRevert): string {
  const parts = (source.path ?? '').split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw fail('Refused', `the path of ${owner} leaves its repository`);
  return parts.join('/');
}

/** The branch that is followed, and its newest commit now. */
async function branchOf(
  { rest }: Octokit,
  place: RepositoryCall,
  { owner, source }: GitRevert,
): Promise<{ name: string; tip: string }> {
  // A repository that the token may not see is answered 404, as a branch that is not there.
  const { data: repository } = await rest.repos.get({ ...place });
  const { follows = 'HEAD' } = source;
  const branch = follows === 'HEAD' ? repository.default_branch : follows.replace(/^refs\/heads\//, '');
  try {
    const { data } = await rest.repos.getBranch({ ...place, branch });
    return { name: data.name, tip: data.commit.sha };
  } catch (error) {
    if ((error as { status?: number }).status !== 404) throw error;
    throw fail('Refused', `${owner} follows ${stripControl(branch)}, which is no branch of its repository`);
  }
}

/** Whether a folder names what runs, what it should go back to, or neither. */
type State = 'bad' | 'good' | 'neither';

/**
 * The newest commit of the branch after which the folder names the image that runs, and before which it named the one to go back
 * to. Before a merge is what it was merged into: its other side is another history.
 * @returns `back`: the newest commit, where Git had the image that runs and has it no more.
 * @throws ApplicationFailure Refused where there is none.
 */
async function findChange(
  { rest }: Octokit,
  place: RepositoryCall,
  reader: FolderReader,
  tip: string,
): Promise<Change | { back: string }> {
  const { data } = await rest.repos.listCommits({
    ...place,
    // Not the branch: it may move meanwhile.
    sha: tip,
    per_page: MAX_COMMITS,
    ...(reader.folder === '' ? {} : { path: reader.folder }),
  });
  const stateAt = async (commit: string) => reader.stateOf(await reader.at(commit));
  const now = await stateAt(tip);
  let wasBad = now === 'bad';
  for (const { sha, commit, parents } of data) {
    if ((await stateAt(sha)) !== 'bad') continue;
    wasBad = true;
    if (now === 'good') return { back: tip };
    if (now !== 'bad') break;
    const parent = parents[0]?.sha;
    if (parent === undefined || (await stateAt(parent)) !== 'good') continue;
    const [goodFiles, badFiles] = [await reader.at(parent), await reader.at(sha)];
    const paths = [...new Set([...goodFiles.keys(), ...badFiles.keys()])];
    const files = paths.filter((path) => goodFiles.get(path)?.sha !== badFiles.get(path)?.sha).sort();
    const bad = { sha, title: commit.message.split('\n')[0] ?? '' };
    return { bad, good: parent, goodFiles, badFiles, files };
  }
  const where = reader.folder === '' ? 'the repository' : reader.folder;
  throw fail(
    'Refused',
    wasBad
      ? `none of the last ${MAX_COMMITS} commits in ${where} brought the image that runs in place of the one to go back to`
      : `the manifests in ${where} do not name the image that runs: the object itself, a base or a chart may set it`,
  );
}

/** The files of one folder at several commits. */
class FolderReader {
  /** '' for the whole repository. */
  readonly folder: string;
  readonly #octokit: Octokit;
  readonly #place: RepositoryCall;
  readonly #git: GitRevert;
  readonly #folders = new Map<string, Folder>();
  /** Images that count, by the blob that names them: most blobs are the same from commit to commit. */
  readonly #named = new Map<string, Promise<ReadonlySet<string>>>();
  readonly #texts: Map<string, string>;

  /** @param texts of blobs by their ids, which say what is in them: kept from attempt to attempt. */
  constructor(octokit: Octokit, place: RepositoryCall, git: GitRevert, texts: Map<string, string>) {
    this.folder = folderOf(git);
    this.#octokit = octokit;
    this.#place = place;
    this.#git = git;
    this.#texts = texts;
  }

  async at(commit: string): Promise<Folder> {
    const known = this.#folders.get(commit);
    if (known !== undefined) return known;
    const files = new Map<string, Blob>();
    const tree = await this.#treeOf(commit);
    if (tree !== undefined) {
      const { data } = await this.#getTree(tree, true);
      // A part of the files would look like a change that took the others out.
      if (data.truncated) throw fail('Refused', 'the folder has more files than GitHub lists at once');
      const prefix = this.folder === '' ? '' : `${this.folder}/`;
      for (const { path, type, sha, mode, size = 0 } of data.tree) {
        if (type === 'blob' && path !== undefined && sha !== undefined && mode !== undefined)
          files.set(`${prefix}${path}`, { sha, mode, size });
      }
    }
    this.#folders.set(commit, files);
    return files;
  }

  /** By the manifests among these files. */
  async stateOf(files: Folder): Promise<State> {
    const manifests = [...files].filter(
      ([path, { size }]) => MANIFEST.test(path) && size <= MAX_MANIFEST_BYTES,
    );
    if (manifests.length > MAX_MANIFESTS) {
      throw fail('Refused', `the folder has ${manifests.length} manifests, more than ${MAX_MANIFESTS}`);
    }
    const named = new Set<string>();
    for (let start = 0; start < manifests.length; start += AT_ONCE) {
      const some = manifests.slice(start, start + AT_ONCE);
      for (const images of await Promise.all(some.map(([, { sha }]) => this.#imagesIn(sha))))
        for (const image of images) named.add(image);
    }
    const { leave, bringBack } = this.#git;
    if (leave.some((image) => named.has(image))) return 'bad';
    return bringBack.every((image) => named.has(image)) ? 'good' : 'neither';
  }

  #imagesIn(blob: string): Promise<ReadonlySet<string>> {
    const { leave, bringBack } = this.#git;
    const known =
      this.#named.get(blob) ?? this.#text(blob).then((text) => imagesNamedIn(text, [...leave, ...bringBack]));
    this.#named.set(blob, known);
    return known;
  }

  /** The folder's own tree: that of a whole repository may be too large to be listed. Undefined where there is none. */
  async #treeOf(commit: string): Promise<string | undefined> {
    let tree = commit;
    for (const part of this.folder.split('/').filter((name) => name !== '')) {
      const { data } = await this.#getTree(tree, false);
      const found = data.tree.find(({ path, type }) => path === part && type === 'tree')?.sha;
      if (found === undefined) return undefined;
      tree = found;
    }
    return tree;
  }

  #getTree(tree: string, recursive: boolean) {
    return this.#octokit.rest.git.getTree({
      ...this.#place,
      tree_sha: tree,
      ...(recursive ? { recursive: 'true' } : {}),
    });
  }

  async #text(sha: string): Promise<string> {
    const known = this.#texts.get(sha);
    if (known !== undefined) return known;
    const { data } = await this.#octokit.rest.git.getBlob({ ...this.#place, file_sha: sha });
    const text = Buffer.from(data.content, data.encoding === 'base64' ? 'base64' : 'utf8').toString('utf8');
    if (this.#texts.size >= MAX_KEPT_TEXTS) this.#texts.clear();
    this.#texts.set(sha, text);
    return text;
  }
}

/** @throws ApplicationFailure PreconditionFailed where people have closed it: they said no. */
async function findPullRequest(
  { rest }: Octokit,
  place: RepositoryCall,
  head: string,
): Promise<string | undefined> {
  const { data } = await rest.pulls.list({
    ...place,
    state: 'all',
    head: `${place.owner}:${head}`,
    per_page: 1,
  });
  const [found] = data;
  if (found?.state === 'closed' && !found.merged_at) {
    throw fail('PreconditionFailed', `${found.html_url} was closed without being merged: ask who closed it`);
  }
  return found?.html_url;
}

function bodyOf({
  incidentId,
  target,
  git,
  change,
}: {
  incidentId: string;
  target: Target;
  git: GitRevert;
  change: Change;
}): string {
  const { bad, good, files } = change;
  const images = (these: readonly string[]) => these.map(escapeMarkdown).join(', ');
  const more = files.length - MAX_NAMED;
  return [
    `Firebreak proposes this for incident ${escapeMarkdown(incidentId)}: ${target.kind} ` +
      `${escapeMarkdown(`${target.namespace}/${target.name}`)} harms, and ${escapeMarkdown(git.owner)} takes it from here.`,
    '',
    `- Takes back: ${bad.sha} ${escapeMarkdown(bad.title.slice(0, MAX_TITLE_CHARS))}`,
    `- As it was at: ${good}`,
    `- Image now: ${images(git.leave)}`,
    `- Image then: ${images(git.bringBack)}`,
    '',
    `Every file that the commit changed in this folder is put back, whatever it changed there:`,
    '',
    ...files.slice(0, MAX_NAMED).map((file) => `- ${escapeMarkdown(file)}`),
    ...(more > 0 ? [`- and ${more} more`] : []),
    '',
    'Nobody merges this but people. Once it is synced, retry the step with the revision that came back: recovery is proved then.',
    '',
  ].join('\n');
}

function short(sha: string): string {
  return sha.slice(0, 12);
}

function list(files: readonly string[]): string {
  const more = files.length - MAX_NAMED;
  return `${files.slice(0, MAX_NAMED).map(stripControl).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}
