/** Small runbooks as text, and a folder that a kubelet mounts them into. */
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A runbook that pages and opens a ticket; the first 9 of its lines are a right runbook too, one that only pages. */
export function smallRunbook(name: string, version: number, change: { alertname?: string } = {}): string {
  return `apiVersion: firebreak.dev/v1alpha1
kind: Runbook
metadata: { name: ${name}, owner: team@example.com, version: ${version} }
spec:
  match: ['alertname="${change.alertname ?? name}"']
  correlateBy: [namespace, deployment]
  quietFor: ${version}h
  steps:
    - { id: page, uses: page, with: { roles: [ml-oncall] } }
    - { id: ticket, uses: ticket }
`;
}

/** A right beginning of `smallRunbook`, as an editor that is half through leaves it. */
export function halfOf(text: string): string {
  return text.slice(0, text.indexOf('    - { id: ticket'));
}

/**
 * A mounted ConfigMap, changed as the kubelet does it (kubernetes/kubernetes, pkg/volume/util/atomic_writer.go): files in a
 * folder of their own, `..data` a link to it that is replaced by a rename, and links through `..data` for readers.
 */
export class ConfigMapMount {
  readonly folder: string;
  #version = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  async write(files: Record<string, string>): Promise<void> {
    const before = `..version_${this.#version}`;
    this.#version += 1;
    const now = `..version_${this.#version}`;
    await mkdir(join(this.folder, now));
    for (const [name, text] of Object.entries(files)) await writeFile(join(this.folder, now, name), text);
    await symlink(now, join(this.folder, '..data_tmp'));
    await rename(join(this.folder, '..data_tmp'), join(this.folder, '..data'));
    const shown = (await readdir(this.folder)).filter((name) => !name.startsWith('..'));
    for (const name of Object.keys(files)) {
      if (!shown.includes(name)) await symlink(join('..data', name), join(this.folder, name));
    }
    for (const name of shown) if (!(name in files)) await rm(join(this.folder, name));
    await rm(join(this.folder, before), { recursive: true, force: true });
  }
}
