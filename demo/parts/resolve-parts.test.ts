import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PartEvent } from './resolve-parts.ts';
import { PartsError, resolveParts } from './resolve-parts.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'firebreak-resolve-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function script(name: string, output: string): Promise<string> {
  const path = join(root, name);
  await writeFile(path, `#!/bin/sh\necho '${output}'\n`);
  await chmod(path, 0o755);
  return path;
}

describe('resolveParts', () => {
  it('takes the paths that the user gives', async () => {
    const temporal = await script('temporal', 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)');
    const amtool = await script('amtool', 'amtool, version 0.28.1 (branch: , revision: unknown)');
    const events: PartEvent[] = [];
    const parts = await resolveParts(['temporal', 'amtool'], {
      cacheDir: root,
      paths: { temporal, amtool },
      report: (event) => events.push(event),
    });
    expect(parts).toEqual({ temporal, amtool });
    const found = events.filter(({ state }) => state === 'found').map(({ part }) => part);
    expect(found.sort()).toEqual(['alertmanager', 'temporal']);
  });

  it('never replaces a given path that is of no use, and tells all of them at once', async () => {
    const temporal = await script('temporal', 'temporal version 1.1.0');
    const resolving = resolveParts(['temporal', 'kubectl'], {
      cacheDir: root,
      paths: { temporal, kubectl: join(root, 'missing') },
    });
    const error = await resolving.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PartsError);
    const { message, failures } = error as PartsError;
    expect(failures.map(({ part }) => part).sort()).toEqual(['kube', 'temporal']);
    expect(message).toContain('version 1.1.0 is older than 1.5');
    expect(message).toContain(`${join(root, 'missing')}: no executable file`);
    expect(message).toMatch(/What to do: install the Temporal CLI/);
  });
});
