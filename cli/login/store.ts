/** Who is signed in where, in a file that only its owner can read. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { acquireProcessLock, type ProcessLock } from '../../activities/records/process-lock.ts';
import { CliError, EXIT } from '../exit-codes.ts';

const FILE = 'login.json';
/** Another command refreshes within seconds, or the issuer does not answer it either. */
const LOCK_TIMEOUT_MS = 15_000;
const LOCK_RETRY_MS = 50;
/** Permission bits of everybody but the owner. */
const OTHERS = 0o077;

const savedLogin = z.object({
  issuer: z.string(),
  clientId: z.string(),
  scopes: z.array(z.string()),
  idToken: z.string(),
  /** Absent where the issuer gave none: then one signs in again when the ID token has expired. */
  refreshToken: z.string().optional(),
  /** Of the ID token. */
  expiresAtMs: z.number(),
});
export type SavedLogin = z.output<typeof savedLogin>;

const fileSchema = z.object({ version: z.literal(1), logins: z.record(z.string(), savedLogin) });

/** @param server base URL of a Firebreak. @throws CliError where the file is not as it should be. */
export async function readLogin(configDir: string, server: URL): Promise<SavedLogin | undefined> {
  return (await readAll(configDir))[keyOf(server)];
}

/** @param login absent: forgets it. */
export async function writeLogin(
  configDir: string,
  server: URL,
  login: SavedLogin | undefined,
): Promise<void> {
  await mkdir(configDir, { recursive: true, mode: 0o700 });
  const { [keyOf(server)]: _former, ...logins } = await readAll(configDir);
  if (login !== undefined) logins[keyOf(server)] = login;
  const path = join(configDir, FILE);
  // Whole or not at all, and never for a moment readable by others.
  const aside = `${path}.${randomUUID()}`;
  try {
    await writeFile(aside, `${JSON.stringify({ version: 1, logins }, null, 2)}\n`, {
      mode: 0o600,
      flag: 'wx',
    });
    await rename(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}

/**
 * One command at a time: refresh tokens are used once, and an issuer that sees one twice takes it for stolen and ends the
 * whole sign-in (RFC 9700, 4.14.2).
 */
export async function whileLocked<T>(configDir: string, work: () => Promise<T>): Promise<T> {
  await mkdir(configDir, { recursive: true, mode: 0o700 });
  const deadlineAtMs = performance.now() + LOCK_TIMEOUT_MS;
  let lock: ProcessLock | undefined;
  while (lock === undefined) {
    lock = await acquireProcessLock(join(configDir, `${FILE}.lock`), () => undefined).catch(() => undefined);
    if (lock !== undefined) break;
    if (performance.now() > deadlineAtMs) {
      throw new CliError(
        EXIT.unavailable,
        'login_locked',
        'Another command is refreshing the sign-in and does not end.',
        `If none is running, remove ${join(configDir, `${FILE}.lock`)}.`,
      );
    }
    await delay(LOCK_RETRY_MS);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

async function readAll(configDir: string): Promise<Record<string, SavedLogin>> {
  const path = join(configDir, FILE);
  let text: string;
  try {
    // Windows has no such bits, and says that everybody may.
    if (process.platform !== 'win32' && ((await stat(path)).mode & OTHERS) !== 0) {
      throw new CliError(
        EXIT.refused,
        'login_exposed',
        `Others can read ${path}, which holds your sign-in.`,
        'Sign out at the issuer if anybody may have, then: chmod 600 on the file, or remove it and firebreak login.',
      );
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    return fileSchema.parse(JSON.parse(text)).logins;
  } catch {
    throw new CliError(
      EXIT.failed,
      'login_broken',
      `${path} cannot be read.`,
      'Remove it, then: firebreak login',
    );
  }
}

function keyOf(server: URL): string {
  return server.href.replace(/\/+$/, '');
}
