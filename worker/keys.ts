import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PayloadKey } from './codec/encryption-codec.ts';

const PAYLOAD_FILE = 'payload.json';
const EVIDENCE_FILE = 'evidence.json';
const EDGE_PRIVATE_FILE = 'edge-private.pem';
const EDGE_PUBLIC_FILE = 'edge-public.pem';
/** Public keys of other edges (or former ones) whose decisions this process believes, one PEM file each. */
const TRUSTED_FOLDER = 'trusted-edges';

/** Short enough to read in a log, long enough that two keys never share it. */
const KEY_ID_LENGTH = 16;
const PAYLOAD_KEY_BYTES = 32;

const payloadFile = z.strictObject({
  keys: z.array(z.strictObject({ id: z.string().min(1), key: z.base64() })).min(1),
});

interface EdgeKeys {
  /** First 16 hex digits of the SHA-256 of the public key (DER, SubjectPublicKeyInfo). */
  keyId: string;
  /** PKCS #8. */
  privateKeyPem: string;
  /** SubjectPublicKeyInfo. */
  publicKeyPem: string;
}

export interface Keys {
  /** The first encrypts, all decrypt. */
  payload: PayloadKey[];
  /** What this process signs decisions with (Ed25519). */
  edge: EdgeKeys;
  /** By key id: public keys (PEM) whose signatures count. The own one is among them. */
  trustedEdges: Record<string, string>;
}

/**
 * Reads the keys in `dataDir`/keys, and makes those that are missing (files 0600, folder 0700). Two processes that start
 * at once end up with the same keys: a file appears whole, and the first one stays.
 *
 * To rotate the payload key, put a new one in front of the list in payload.json ({ id, key: 32 bytes in base64 }) on
 * every process; remove the old one when Temporal's retention has passed.
 * @throws Error naming the file, and what to do; never its content.
 */
export async function loadOrCreateKeys(dataDir: string): Promise<Keys> {
  const folder = join(dataDir, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const payload = parsePayloadKeys(
    join(folder, PAYLOAD_FILE),
    await readOrCreate(join(folder, PAYLOAD_FILE), newPayloadFile),
  );
  const edge = edgeKeys(
    join(folder, EDGE_PRIVATE_FILE),
    await readOrCreate(join(folder, EDGE_PRIVATE_FILE), newEdgePrivateKey),
  );
  const publicText = await readOrCreate(join(folder, EDGE_PUBLIC_FILE), () => edge.publicKeyPem);
  const publicKey = publicKeyOf(join(folder, EDGE_PUBLIC_FILE), publicText);
  if (keyIdOf(publicKey) !== edge.keyId) {
    throw new Error(
      `${join(folder, EDGE_PUBLIC_FILE)} does not belong to ${EDGE_PRIVATE_FILE}: remove it, and it is made again`,
    );
  }
  return { payload, edge, trustedEdges: { ...(await readTrusted(folder)), [edge.keyId]: edge.publicKeyPem } };
}

/**
 * The keys that wrap the data keys of kept samples, in `dataDir`/keys/evidence.json: the first wraps, all unwrap. Every
 * process with the role `worker` or `webhooks` needs the same file. Texts are destroyed at their date without it (the data key
 * is); to make copies of the database unreadable too, rotate: docs/samples.md.
 * @throws Error naming the file, and what to do; never its content.
 */
export async function loadOrCreateEvidenceKeys(dataDir: string): Promise<PayloadKey[]> {
  const folder = join(dataDir, 'keys');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, EVIDENCE_FILE);
  return parsePayloadKeys(path, await readOrCreate(path, newPayloadFile));
}

/** Ids of the keys in `dataDir`/keys/evidence.json; undefined where there is no such file. Makes none. */
export async function evidenceKeyIds(dataDir: string): Promise<string[] | undefined> {
  const path = join(dataDir, 'keys', EVIDENCE_FILE);
  if (!existsSync(path)) return undefined;
  return parsePayloadKeys(path, await readFile(path, 'utf8')).map(({ id }) => id);
}

function newPayloadFile(): string {
  const id = `k-${randomBytes(4).toString('hex')}`;
  const key = randomBytes(PAYLOAD_KEY_BYTES).toString('base64');
  return `${JSON.stringify({ keys: [{ id, key }] }, null, 2)}\n`;
}

function newEdgePrivateKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function parsePayloadKeys(path: string, text: string): PayloadKey[] {
  const parsed = payloadFile.safeParse(jsonOrUndefined(text));
  if (!parsed.success) {
    throw new Error(
      `${path} is not of the form {"keys":[{"id":"...","key":"<base64>"}]}: restore it from a backup`,
    );
  }
  return parsed.data.keys.map(({ id, key }) => {
    const bytes = Buffer.from(key, 'base64');
    if (bytes.length !== PAYLOAD_KEY_BYTES) {
      throw new Error(`${path}: key ${id} has ${bytes.length} bytes, and AES-256 takes ${PAYLOAD_KEY_BYTES}`);
    }
    return { id, key: bytes };
  });
}

function edgeKeys(path: string, privateKeyPem: string): EdgeKeys {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(privateKeyPem);
  } catch {
    throw new Error(`${path} holds no private key in PEM: restore it from a backup`);
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error(`${path} holds no Ed25519 key`);
  const publicKey = createPublicKey(privateKey);
  return {
    keyId: keyIdOf(publicKey),
    privateKeyPem,
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

async function readTrusted(folder: string): Promise<Record<string, string>> {
  const trusted = join(folder, TRUSTED_FOLDER);
  if (!existsSync(trusted)) return {};
  const names = (await readdir(trusted)).filter((name) => name.endsWith('.pem')).sort();
  const keys = await Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      const pem = await readFile(join(trusted, name), 'utf8');
      return [keyIdOf(publicKeyOf(join(trusted, name), pem)), pem];
    }),
  );
  return Object.fromEntries(keys);
}

function publicKeyOf(path: string, pem: string): KeyObject {
  // createPublicKey would take a private key too, and derive: a private key has no business in these files.
  if (!pem.includes('-----BEGIN PUBLIC KEY-----')) throw new Error(`${path} holds no public key in PEM`);
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Said below.
  }
  throw new Error(`${path} holds no Ed25519 public key`);
}

function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, KEY_ID_LENGTH);
}

async function readOrCreate(path: string, make: () => string): Promise<string> {
  if (!existsSync(path)) await createOnce(path, make());
  const { mode } = await stat(path);
  if ((mode & 0o007) !== 0) {
    throw new Error(`${path} can be read by every user of this machine: chmod 600 ${path}`);
  }
  return readFile(path, 'utf8');
}

/** Writes the file aside, and links it to its name: whole or not at all, and never over another process's. */
async function createOnce(path: string, text: string): Promise<void> {
  const aside = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    const file = await open(aside, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
