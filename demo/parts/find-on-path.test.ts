import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findOnPath, isOlder } from './find-on-path.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'firebreak-path-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function executable(folder: string, name: string, script: string): Promise<string> {
  await mkdir(join(root, folder), { recursive: true });
  const path = join(root, folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
}

const kubectl = (version: string) => `echo '{"clientVersion": {"gitVersion": "v${version}"}}'`;

describe('findOnPath', () => {
  it('passes over a version that is too old and takes the next one', async () => {
    await executable('old', 'kubectl', kubectl('1.20.2'));
    const newer = await executable('new', 'kubectl', kubectl('1.33.1'));
    const found = await findOnPath('kubectl', [join(root, 'old'), join(root, 'new')]);
    expect(found).toEqual({ path: newer, version: '1.33.1' });
  });

  it('says why it took none', async () => {
    const old = await executable('old', 'kubectl', kubectl('1.20.2'));
    expect(await findOnPath('kubectl', [join(root, 'old')])).toBe(
      `${old}: version 1.20.2 is older than 1.30`,
    );
    expect(await findOnPath('kubectl', [join(root, 'empty')])).toBe('no kubectl');
  });

  it('does not take a file that cannot be run, or one that fails', async () => {
    const plain = await executable('plain', 'temporal', '');
    await chmod(plain, 0o644);
    await executable('broken', 'temporal', 'exit 3');
    const reason = await findOnPath('temporal', [join(root, 'plain'), join(root, 'broken')]);
    expect(reason).toMatch(/broken\/temporal.*ended with 3/);
    expect(reason).not.toContain('plain');
  });

  it('knows other names of a part', async () => {
    const path = await executable('debian', 'prometheus-alertmanager', 'echo alertmanager, version 0.25.0');
    expect(await findOnPath('alertmanager', [join(root, 'debian')])).toEqual({ path, version: '0.25.0' });
  });
});

describe('isOlder', () => {
  it.each([
    ['1.9.1', '1.30', true],
    ['1.30.0', '1.30', false],
    ['1.30', '1.30.1', true],
    ['2.0', '1.30', false],
    ['0.25.0', '0.25', false],
  ])('compares %s with %s by number: %s', (version, atLeast, older) => {
    expect(isOlder(version, atLeast)).toBe(older);
  });
});
