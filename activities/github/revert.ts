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

/** The commit that changed the images, the one of the folder before it, and what it changed there. */
interface Change {
  bad: Commit;
  good: Commit;
  goodFiles: Folder;
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
  return {
    async proposeRevert({ incidentId, target, git }) {
      const request = { signal: AbortSignal.timeout(ACTIVITY_DEADLINE_MS) };
      const place = { ...repositoryOf(options, git), request };
      const name = `${place.owner}/${place.repo}`;
      try {
        return await propose(octokit, place, { incidentId, target, git });
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
  { incidentId, target, git }: { incidentId: string; target: Target; git: GitRevert },
): ReturnType<RepositoryActivities['proposeRevert']> {
  const { rest } = octokit;
  const folder = folderOf(git);
  const base = await branchOf(octokit, place, git);
  const tip = await rest.repos.getBranch({ ...place, branch: base }).then(({ data }) => data.commit);
  const reader = new FolderReader(octokit, place, folder);
  const change = await findChange(octokit, place, { git, base, folder, reader });
  if ('already' in change) return { state: 'in-git', commit: change.already.sha };
  const { bad, good, goodFiles, files } = change;
  const head = `firebreak/${incidentId}-${bad.sha.slice(0, 12)}`;
  const about = { commit: bad.sha, files };
  const existing = await findPullRequest(octokit, place, head);
  if (existing !== undefined) return { state: 'found', url: existing, ...about };

  const tipFiles = await reader.at(tip.sha);
  const badFiles = await reader.at(bad.sha);
  const left = files.filter((file) => tipFiles.get(file)?.sha !== goodFiles.get(file)?.sha);
  const later = left.filter((file) => tipFiles.get(file)?.sha !== badFiles.get(file)?.sha);
  if (later.length > 0) {
    throw fail(
      'PreconditionFailed',
      `${list(later)} was changed again after commit ${short(bad)}, which brought the images: revert it by hand`,
    );
  }
  const { data: tipCommit } = await rest.git.getCommit({ ...place, commit_sha: tip.sha });
  const { data: tree } = await rest.git.createTree({
    ...place,
    base_tree: tipCommit.tree.sha,
    tree: left.map((path) => {
      const blob = goodFiles.get(path);
      // The blobs are there already: their content never leaves Git. A file that was not there before is taken out.
      return { path, mode: (blob?.mode ?? '100644') as '100644', type: 'blob', sha: blob?.sha ?? null };
    }),
  });
  const title = `Put ${folder === '' ? 'the manifests' : folder} back to ${short(good)}`.slice(
    0,
    MAX_TITLE_CHARS,
  );
  const { data: commit } = await rest.git.createCommit({
    ...place,
    message: `${title}\n\nTakes back what commit ${bad.sha} changed there.\nIncident: ${incidentId}\n`,
    tree: tree.sha,
    parents: [tip.sha],
  });
  try {
    await rest.git.createRef({ ...place, ref: `refs/heads/${head}`, sha: commit.sha });
  } catch (error) {
    // An earlier attempt made the branch, for the same change, and got no further.
    if (!isRefusedContent(error)) throw error;
  }
  const body = bodyOf({ incidentId, target, git, change });
  const { data: opened } = await rest.pulls.create({ ...place, title, head, base, body });
  return { state: 'opened', url: opened.html_url, ...about };
}

/** '' for the whole repository. */
function folderOf({ owner, source }: GitRevert): string {
  const parts = (source.path ?? '').split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw fail('Refused', `the path of ${owner} leaves its repository`);
  return parts.join('/');
}

async function branchOf(
  octokit: Octokit,
  place: RepositoryCall,
  { owner, source }: GitRevert,
): Promise<string> {
  const { follows } = source;
  if (follows === undefined || follows === 'HEAD') {
    return (await octokit.rest.repos.get({ ...place })).data.default_branch;
  }
  const name = follows.replace(/^refs\/heads\//, '');
  try {
    return (await octokit.rest.repos.getBranch({ ...place, branch: name })).data.name;
  } catch (error) {
    if ((error as { status?: number }).status !== 404) throw error;
    throw fail('Refused', `${owner} follows ${stripControl(follows)}, which is no branch of its repository`);
  }
}

/** @throws ApplicationFailure Refused where no commit of the folder brought the images in place of those before. */
async function findChange(
  octokit: Octokit,
  place: RepositoryCall,
  { git, base, folder, reader }: { git: GitRevert; base: string; folder: string; reader: FolderReader },
): Promise<Change | { already: Commit }> {
  const { data } = await octokit.rest.repos.listCommits({
    ...place,
    sha: base,
    per_page: MAX_COMMITS,
    ...(folder === '' ? {} : { path: folder }),
  });
  const commits = data.map(
    ({ sha, commit }): Commit => ({ sha, title: commit.message.split('\n')[0] ?? '' }),
  );
  let bad: Commit | undefined;
  for (const commit of commits) {
    const named = await reader.images(commit.sha, [...git.leave, ...git.bringBack]);
    const isBad = git.leave.some((image) => named.has(image));
    const isGood = !isBad && git.bringBack.every((image) => named.has(image));
    if (bad === undefined && isGood) return { already: commit };
    if (isBad) {
      bad = commit;
      continue;
    }
    if (bad === undefined || !isGood) break;
    const [goodFiles, badFiles] = [await reader.at(commit.sha), await reader.at(bad.sha)];
    const paths = [...new Set([...goodFiles.keys(), ...badFiles.keys()])];
    const files = paths.filter((path) => goodFiles.get(path)?.sha !== badFiles.get(path)?.sha).sort();
    return { bad, good: commit, goodFiles, files };
  }
  const where = folder === '' ? 'the repository' : folder;
  throw fail(
    'Refused',
    bad === undefined
      ? `the manifests in ${where} do not name the image that runs: a base or a chart may set it`
      : `no commit of the last ${MAX_COMMITS} in ${where} names the image to go back to, right before the one that runs`,
  );
}

/** The files of one folder at several commits, each blob read once. */
class FolderReader {
  readonly #octokit: Octokit;
  readonly #place: RepositoryCall;
  readonly #folder: string;
  readonly #folders = new Map<string, Folder>();
  readonly #texts = new Map<string, string>();

  constructor(octokit: Octokit, place: RepositoryCall, folder: string) {
    this.#octokit = octokit;
    this.#place = place;
    this.#folder = folder;
  }

  async at(commit: string): Promise<Folder> {
    const known = this.#folders.get(commit);
    if (known !== undefined) return known;
    const { data } = await this.#octokit.rest.git.getTree({
      ...this.#place,
      tree_sha: commit,
      recursive: 'true',
    });
    // A part of the files would look like a change that took the others out.
    if (data.truncated) throw fail('Refused', 'the repository has more files than GitHub lists at once');
    const files = new Map<string, Blob>();
    for (const { path, type, sha, mode, size = 0 } of data.tree) {
      if (type !== 'blob' || path === undefined || sha === undefined || mode === undefined) continue;
      if (this.#folder !== '' && !path.startsWith(`${this.#folder}/`)) continue;
      files.set(path, { sha, mode, size });
    }
    this.#folders.set(commit, files);
    return files;
  }

  /** Which of the images the folder's manifests name. */
  async images(commit: string, images: readonly string[]): Promise<Set<string>> {
    const manifests = [...(await this.at(commit))].filter(
      ([path, { size }]) => MANIFEST.test(path) && size <= MAX_MANIFEST_BYTES,
    );
    if (manifests.length > MAX_MANIFESTS) {
      throw fail('Refused', `the folder has ${manifests.length} manifests, more than ${MAX_MANIFESTS}`);
    }
    const named = new Set<string>();
    for (const [, { sha }] of manifests) {
      for (const image of imagesNamedIn(await this.#text(sha), images)) named.add(image);
    }
    return named;
  }

  async #text(sha: string): Promise<string> {
    const known = this.#texts.get(sha);
    if (known !== undefined) return known;
    const { data } = await this.#octokit.rest.git.getBlob({ ...this.#place, file_sha: sha });
    const text = Buffer.from(data.content, data.encoding === 'base64' ? 'base64' : 'utf8').toString('utf8');
    this.#texts.set(sha, text);
    return text;
  }
}

/** Open, merged or closed: people have dealt with it, or will. */
async function findPullRequest(
  octokit: Octokit,
  place: RepositoryCall,
  head: string,
): Promise<string | undefined> {
  const { data } = await octokit.rest.pulls.list({
    ...place,
    state: 'all',
    head: `${place.owner}:${head}`,
    per_page: 1,
  });
  return data[0]?.html_url;
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
    `- As it was at: ${good.sha}`,
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

function short({ sha }: Commit): string {
  return sha.slice(0, 12);
}

function list(files: readonly string[]): string {
  const more = files.length - MAX_NAMED;
  return `${files.slice(0, MAX_NAMED).map(stripControl).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}
