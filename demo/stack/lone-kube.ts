import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { resolveParts } from '../parts/resolve-parts.ts';
import { attachKube, type StackKube } from './attach-stack.ts';
import { startKube } from './kube.ts';
import { Supervisor } from './supervisor.ts';

/** A Kubernetes control plane without the rest of a stack: one more cluster beside it. */
export interface LoneKube extends StackKube {
  /** Stops its servers and waits until they have ended. */
  stop(): Promise<void>;
}

/**
 * Starts another control plane, on ports and in a folder of its own; its data of before is removed. It ends with this
 * process at the latest.
 */
export async function startLoneKube(options: { dir: string; audit?: boolean }): Promise<LoneKube> {
  const dir = resolve(options.dir);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const parts = await resolveParts(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl']);
  const supervisor = new Supervisor(join(dir, 'logs'));
  try {
    const kube = await startKube({ supervisor, parts, dir, audit: options.audit });
    return {
      ...attachKube(kube.description),
      stop: async () => {
        await kube.stop();
        await supervisor.stop();
      },
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}
