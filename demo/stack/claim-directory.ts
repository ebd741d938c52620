import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeAtomic } from './write-atomic.ts';

const PS_TIMEOUT_MS = 5_000;
const CLAIM_FILE = 'supervisor.pid';

export interface DirectoryClaim {
  hold(supervisorPid: number | undefined): Promise<void>;
  release(): Promise<void>;
}

/**
 * Makes sure that no running stack has its files in `dir`, whose data the start of another would remove. Throws where
 * one has. The claim is the supervisor's: it ends after the servers did, however our process ends.
 */
export async function claimDirectory(dir: string): Promise<DirectoryClaim> {
  const file = join(dir, CLAIM_FILE);
  const owner = Number(await readFile(file, 'utf8').catch(() => ''));
  if (owner > 0 && (await isSupervisor(owner))) {
    throw new Error(`a stack runs in ${dir} (supervisor process ${owner}): stop it, or use another folder`);
  }
  return {
    hold: (pid) => writeAtomic(file, String(pid ?? 0)),
    release: () => rm(file, { force: true }),
  };
}

/** By its command line as well: the number of a process that ended may be another's by now. */
async function isSupervisor(pid: number): Promise<boolean> {
  try {
    const ps = await promisify(execFile)('ps', ['-o', 'args=', '-p', String(pid)], {
      timeout: PS_TIMEOUT_MS,
    });
    return ps.stdout.includes('supervisor-process');
  } catch {
    // No such process, or no ps: the file alone is no proof.
    return false;
  }
}
