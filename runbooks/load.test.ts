import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIBRARY_PATH, loadRunbooks } from './load.ts';
import { formatProblems } from './report.ts';

let folder: string;
let harm: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbooks-'));
  harm = await readFile(join(LIBRARY_PATH, 'ai-harm-response.yaml'), 'utf8');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const named = (name: string) => harm.replace('name: ai-harm-response', `name: ${name}`);

describe('loadRunbooks', () => {
  it('loads the shipped library', async () => {
    const { runbooks, problems } = await loadRunbooks();
    expect(problems).toEqual([]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['ai-harm-response', 'default']);
  });

  it('keeps the order of paths and of file names, and adds the shipped default', async () => {
    await mkdir(join(folder, 'team'));
    await writeFile(join(folder, 'team', 'b.yaml'), named('b'));
    await writeFile(join(folder, 'team', 'a.yml'), named('a'));
    await writeFile(join(folder, 'team', 'notes.md'), 'no runbook');
    await writeFile(join(folder, 'z.yaml'), named('z'));
    const { runbooks, problems } = await loadRunbooks([join(folder, 'z.yaml'), join(folder, 'team')]);
    expect(problems).toEqual([]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['z', 'a', 'b', 'default']);
  });

  it('reads a mounted ConfigMap: links beside folders with two dots', async () => {
    await mkdir(join(folder, '..data.1'));
    await writeFile(join(folder, '..data.1', 'a.yaml'), named('a'));
    await symlink(join(folder, '..data.1', 'a.yaml'), join(folder, 'a.yaml'));
    const { runbooks, problems } = await loadRunbooks([folder]);
    expect(problems).toEqual([]);
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['a', 'default']);
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
    expect(runbooks.map((runbook) => runbook.name)).toEqual(['c', 'default']);
  });

  it('says so for an empty folder and for a file that is too large', async () => {
    await writeFile(join(folder, 'big.yaml'), '#'.repeat(300_000));
    await mkdir(join(folder, 'empty'));
    const { problems } = await loadRunbooks([join(folder, 'empty'), join(folder, 'big.yaml')]);
    expect(problems.map((problem) => problem.rule)).toEqual(['file/unreadable', 'file/too-large']);
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
        `${file}:${line}:13 unknown step type tikcet; did you mean ticket? [steps/unknown-type]`,
        `  ${line} |       uses: tikcet`,
        `  ${' '.repeat(String(line).length)} |             ^^^^^^`,
        '',
        '1 problem in 1 file',
        '',
      ].join('\n'),
    );
    expect(formatProblems([])).toBe('');
  });
});
