import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileRunbooks, LIBRARY_PATH, loadRunbooks, readRunbooks } from './load.ts';
import { formatProblems, githubAnnotations } from './report.ts';

let folder: string;
let harm: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-'));
  harm = await readFile(join(LIBRARY_PATH, 'ai-harm-response.yaml'), 'utf8');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The harm runbook under another name, for other alerts. */
const named = (name: string) =>
  harm
    .replace('name: ai-harm-response', `name: ${name}`)
    .replace('- alertname=', `- team="${name}"\n    - alertname=`);

describe('loadRunbooks', () => {
  it('loads the shipped library', async () => {
    const { runbooks, problems } = await loadRunbooks();
    expect(problems).toEqual([]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual([
      'ai-harm-response',
      'breaker-false-positive',
      'default',
      'evaluation-failed',
      'fairness-disparity',
      'input-drift',
      'manual-rollback',
      'model-latency-regression',
      'pii-in-logs',
      'prompt-injection-to-action',
    ]);
  });

  it('keeps the order of paths and of file names, and adds the shipped ones that are called for by name', async () => {
    await mkdir(join(folder, 'team'));
    await writeFile(join(folder, 'team', 'b.yaml'), named('b'));
    await writeFile(join(folder, 'team', 'a.yml'), named('a'));
    await writeFile(join(folder, 'team', 'notes.md'), 'no runbook');
    await writeFile(join(folder, 'z.yaml'), named('z'));
    const { runbooks, problems } = await loadRunbooks([join(folder, 'z.yaml'), join(folder, 'team')]);
    expect(problems).toEqual([]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['z', 'a', 'b', 'default', 'manual-rollback']);
  });

  it('reads a mounted ConfigMap: links beside folders with two dots', async () => {
    await mkdir(join(folder, '..data.1'));
    await writeFile(join(folder, '..data.1', 'a.yaml'), named('a'));
    await symlink(join(folder, '..data.1', 'a.yaml'), join(folder, 'a.yaml'));
    const { runbooks, problems } = await loadRunbooks([folder]);
    expect(problems).toEqual([]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['a', 'default', 'manual-rollback']);
  });

  it('leaves scenarios to the tests of runbooks, by their names and by what they say', async () => {
    await writeFile(join(folder, 'a.yaml'), named('a'));
    await writeFile(join(folder, 'a.scenario.yaml'), 'no: runbook');
    await writeFile(join(folder, 'b.scenario.yml'), 'no: runbook');
    await writeFile(join(folder, 'other.yaml'), 'kind: Scenario');
    const { ok, files } = await loadRunbooks([folder]);
    expect(ok).toBe(true);
    expect(files).toEqual([
      join(folder, 'a.yaml'),
      expect.stringMatching(/library\/default\.yaml$/),
      expect.stringMatching(/library\/manual-rollback\.yaml$/),
    ]);
  });

  it('tells the problems of all files at once', async () => {
    await writeFile(join(folder, 'a.yaml'), named('a').replace('uses: page', 'uses: pgae'));
    await writeFile(join(folder, 'b.yaml'), named('b').replace('version: 1', 'version: -1'));
    await writeFile(join(folder, 'c.yaml'), named('c'));
    await writeFile(join(folder, 'd.yaml'), named('c'));
    const { problems, runbooks } = await loadRunbooks([folder, join(folder, 'nothing')]);
    expect(problems.map((problem) => [problem.rule, problem.file.slice(folder.length)])).toEqual([
      ['steps/unknown-type', '/a.yaml'],
      ['schema/wrong-value', '/b.yaml'],
      ['runbook/duplicate-name', '/d.yaml'],
      ['file/unreadable', '/nothing'],
    ]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['c', 'default', 'manual-rollback']);
  });

  it('says so for an empty folder and for a file that is too large', async () => {
    await writeFile(join(folder, 'big.yaml'), '#'.repeat(300_000));
    await mkdir(join(folder, 'empty'));
    const { problems } = await loadRunbooks([join(folder, 'empty'), join(folder, 'big.yaml')]);
    expect(problems.map((problem) => problem.rule)).toEqual(['file/unreadable', 'file/too-large']);
  });
});

describe('loadRunbooks', () => {
  it('says where a file stops being UTF-8', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(
      file,
      Buffer.concat([Buffer.from('# fine\n# M'), Buffer.from([0xfc]), Buffer.from('ller\n')]),
    );
    const { ok, problems } = await loadRunbooks([file]);
    expect(ok).toBe(false);
    expect(problems).toMatchObject([{ rule: 'file/encoding', line: 2, column: 4 }]);
  });

  it('leaves scenarios out, and says so where one was named', async () => {
    const scenario = join(folder, 'a.scenario.yaml');
    const other = join(folder, 'b.yaml');
    for (const file of [scenario, other])
      await writeFile(file, 'apiVersion: firebreak.dev/v1alpha1\nkind: Scenario\n');
    await writeFile(join(folder, 'c.yaml'), named('c'));
    expect(await loadRunbooks([folder])).toMatchObject({ ok: true, problems: [] });
    expect((await loadRunbooks([folder])).files.map((file) => file.slice(folder.length))).toContain(
      '/c.yaml',
    );
    const { ok, problems } = await loadRunbooks([scenario, join(folder, 'c.yaml')]);
    expect(ok).toBe(true);
    expect(problems).toMatchObject([{ rule: 'file/scenario', severity: 'warning', file: scenario }]);
  });

  it('can use runbooks with warnings', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(file, named('a').replace('escalate: { after: 5m, to: [commander] }', ''));
    const { ok, problems, runbooks } = await loadRunbooks([file]);
    expect(problems.map(({ rule, severity }) => [rule, severity])).toEqual([
      ['page/no-escalation', 'warning'],
    ]);
    expect(ok).toBe(true);
    expect(runbooks.map(({ name }) => name)).toEqual(['a', 'default', 'manual-rollback']);
  });

  it('tells inputs of runbooks that there are not', async () => {
    const options = { inputs: { defaultt: { limit: 1 } }, configFile: 'firebreak.yaml' };
    const { ok, problems } = await loadRunbooks([], options);
    expect(ok).toBe(false);
    expect(problems).toMatchObject([{ rule: 'inputs/unknown-runbook', file: 'firebreak.yaml' }]);
    expect(problems[0]?.message).toContain('did you mean default?');
  });

  it('starts with the shipped runbooks whatever the installation has, but not with its own', async () => {
    const installation = { roles: [], groups: {}, sources: [], ticketing: false };
    const shipped = await loadRunbooks([], { installation });
    expect(shipped.ok).toBe(true);
    expect(shipped.problems.length).toBeGreaterThan(0);
    await writeFile(join(folder, 'a.yaml'), named('a'));
    const own = await loadRunbooks([folder], { installation });
    expect(own.ok).toBe(false);
    // The shipped default is added without having been asked for.
    const severities = own.problems.map(({ file, severity }) => [file.startsWith(folder), severity] as const);
    expect(new Set(severities.map(String))).toEqual(new Set(['true,error', 'false,warning']));
  });
});

describe('loadRunbooks of two with the same matchers', () => {
  const matching = (name: string, match: string) =>
    named(name).replace(/ {2}match:(?:\n {4}- .*)+/, `  match: ${match}`);

  it('warns that the later one is never reached, in whatever order the matchers stand', async () => {
    await writeFile(join(folder, 'a.yaml'), matching('a', `['alertname="X"', 'team="y"']`));
    await writeFile(join(folder, 'b.yaml'), matching('b', `['team=y', 'alertname="X"']`));
    await writeFile(join(folder, 'c.yaml'), matching('c', `['team=y']`));
    const { ok, problems } = await loadRunbooks([folder]);
    expect(ok).toBe(true);
    expect(problems).toMatchObject([
      {
        rule: 'runbook/never-matches',
        severity: 'warning',
        file: join(folder, 'b.yaml'),
        path: 'spec.match',
      },
    ]);
    expect(problems[0]?.message).toContain(join(folder, 'a.yaml'));
  });

  it('can be told not to, and the entry is not unused where a file is checked alone', async () => {
    const ignore =
      'metadata:\n  ignore: [{ rule: runbook/never-matches, reason: the other one goes away next week }]';
    await writeFile(join(folder, 'a.yaml'), matching('a', `['team=y']`));
    await writeFile(join(folder, 'b.yaml'), matching('b', `['team=y']`).replace('metadata:', ignore));
    expect((await loadRunbooks([folder])).problems).toEqual([]);
    expect((await loadRunbooks([join(folder, 'b.yaml')])).problems).toEqual([]);
  });
});

describe.skipIf(process.platform === 'win32')('loadRunbooks of what is no regular file', () => {
  it('refuses a pipe and a link to one without opening them', async () => {
    await writeFile(join(folder, 'a.yaml'), named('a'));
    execFileSync('mkfifo', [join(folder, 'pipe.yaml')]);
    await symlink(join(folder, 'pipe.yaml'), join(folder, 'link.yaml'));
    const unreadable = (name: string) => ({ rule: 'file/unreadable', file: join(folder, name) });
    const { ok, problems } = await loadRunbooks([folder]);
    expect(ok).toBe(false);
    expect(problems).toMatchObject([unreadable('link.yaml'), unreadable('pipe.yaml')]);
    expect(problems[0]?.message).toContain('no regular file');
    expect((await loadRunbooks([join(folder, 'pipe.yaml')])).problems).toMatchObject([
      unreadable('pipe.yaml'),
    ]);
  });
});

describe('githubAnnotations', () => {
  it('escapes as the runner reads it', () => {
    const problem = {
      file: '/repo/a,b:c.yaml',
      line: 3,
      column: 5,
      length: 4,
      rule: 'cel/syntax',
      severity: 'error' as const,
      message: '50% is\r\nwrong: no, really',
      path: '',
    };
    expect(githubAnnotations([problem, { ...problem, severity: 'warning' }], (file) => file.slice(6))).toBe(
      '::error file=a%2Cb%3Ac.yaml,line=3,col=5,endColumn=9,title=cel/syntax::50%25 is%0D%0Awrong: no, really\n' +
        '::warning file=a%2Cb%3Ac.yaml,line=3,col=5,endColumn=9,title=cel/syntax::50%25 is%0D%0Awrong: no, really',
    );
  });
});

describe('readRunbooks', () => {
  it('keeps what is compiled, whatever becomes of the files meanwhile', async () => {
    await writeFile(join(folder, 'a.yaml'), named('a'));
    const sources = await readRunbooks([folder]);
    await rm(folder, { recursive: true });
    const { ok, runbooks } = await compileRunbooks(sources);
    expect(ok).toBe(true);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['a', 'default', 'manual-rollback']);
  });

  it('has the same hash for the same files only: names, contents and what cannot be read count', async () => {
    const hashes: string[] = [];
    const look = async () => hashes.push((await readRunbooks([folder])).hash);
    await writeFile(join(folder, 'a.yaml'), named('a'));
    await look();
    await writeFile(join(folder, 'notes.md'), 'no runbook');
    await look();
    expect(hashes[1]).toBe(hashes[0]);
    await writeFile(join(folder, 'a.yaml'), named('b'));
    await look();
    await rename(join(folder, 'a.yaml'), join(folder, 'b.yaml'));
    await look();
    await symlink('nowhere', join(folder, 'c.yaml'));
    await look();
    expect(new Set(hashes).size).toBe(4);
  });
});

describe('formatProblems', () => {
  it('shows place, message, rule, line and caret', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(file, named('a').replace('uses: ticket', 'uses: tikcet'));
    const { problems } = await loadRunbooks([file]);
    const unknown = problems.filter((problem) => problem.rule === 'steps/unknown-type');
    const line = unknown[0]?.line ?? 0;
    expect(formatProblems(unknown)).toBe(
      [
        `${file}:${line}:13 error: unknown step type tikcet; did you mean ticket? [steps/unknown-type]`,
        `  ${line} |       uses: tikcet`,
        `  ${' '.repeat(String(line).length)} |             ^^^^^^`,
        '',
        '1 error in 1 file',
        '',
      ].join('\n'),
    );
    expect(formatProblems([])).toBe('');
  });
});
