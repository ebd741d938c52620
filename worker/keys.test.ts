import { execFile } from 'node:child_process';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadOrCreateKeys } from './keys.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'firebreak-keys-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe('keys', () => {
  it('are made at the first start and are the same at the next', async () => {
    const first = await loadOrCreateKeys(dataDir);
    expect(await loadOrCreateKeys(dataDir)).toEqual(first);
    expect(first.payload[0]?.key).toHaveLength(32);
    const der = createPublicKey(first.edge.publicKeyPem).export({ type: 'spki', format: 'der' });
    expect(first.edge.keyId).toBe(createHash('sha256').update(der).digest('hex').slice(0, 16));
    expect(first.trustedEdges).toEqual({ [first.edge.keyId]: first.edge.publicKeyPem });
  });

  it('are readable by their owner alone, and nothing else is left behind', async () => {
    await loadOrCreateKeys(dataDir);
    const names = await readdir(join(dataDir, 'keys'));
    expect(names.sort()).toEqual(['edge-private.pem', 'edge-public.pem', 'payload.json']);
    for (const name of names) expect((await stat(join(dataDir, 'keys', name))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dataDir, 'keys'))).mode & 0o777).toBe(0o700);
  });

  it('are one set for processes that start at the same moment', async () => {
    const module = join(import.meta.dirname, 'keys.ts');
    const script = `import(${JSON.stringify(module)}).then(async ({ loadOrCreateKeys }) => {
      const keys = await loadOrCreateKeys(${JSON.stringify(dataDir)});
      console.log(keys.edge.keyId, Buffer.from(keys.payload[0].key).toString('hex'));
    })`;
    const starts = Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, ['-e', script]));
    const lines = (await Promise.all(starts)).map(({ stdout }) => stdout.trim());
    expect(lines[0]).toMatch(/^[0-9a-f]{16} [0-9a-f]{64}$/);
    expect(new Set(lines).size).toBe(1);
  });

  it('can be rotated: a key in front encrypts, the old ones stay', async () => {
    await loadOrCreateKeys(dataDir);
    const path = join(dataDir, 'keys', 'payload.json');
    const file = JSON.parse(await readFile(path, 'utf8')) as { keys: { id: string; key: string }[] };
    const fresh = { id: 'k-new', key: Buffer.alloc(32, 7).toString('base64') };
    await writeFile(path, JSON.stringify({ keys: [fresh, ...file.keys] }));
    const { payload } = await loadOrCreateKeys(dataDir);
    expect(payload.map(({ id }) => id)).toEqual(['k-new', file.keys[0]?.id]);
  });

  it('include the public keys of other edges that are trusted', async () => {
    const folder = join(dataDir, 'keys', 'trusted-edges');
    await mkdir(folder, { recursive: true });
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    await writeFile(join(folder, 'eu.pem'), other);
    const { trustedEdges } = await loadOrCreateKeys(dataDir);
    expect(Object.values(trustedEdges)).toContain(other);
    expect(Object.keys(trustedEdges)).toHaveLength(2);
  });

  it('are refused when other users can read them, when damaged, or when they do not belong together', async () => {
    await loadOrCreateKeys(dataDir);
    const payload = join(dataDir, 'keys', 'payload.json');
    await chmod(payload, 0o644);
    await expect(loadOrCreateKeys(dataDir)).rejects.toThrow(/chmod 600/);
    await chmod(payload, 0o600);
    const whole = await readFile(payload, 'utf8');
    await writeFile(payload, whole.slice(0, 30));
    await expect(loadOrCreateKeys(dataDir)).rejects.toThrow(/payload\.json is not of the form/);
    await writeFile(payload, whole);
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    await writeFile(join(dataDir, 'keys', 'edge-public.pem'), other);
    await expect(loadOrCreateKeys(dataDir)).rejects.toThrow(/does not belong to/);
  });
});
