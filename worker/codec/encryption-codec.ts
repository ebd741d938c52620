import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type Payload, type PayloadCodec, ValueError } from '@temporalio/common';
import proto from '@temporalio/proto';

/** A key of AES-256-GCM with the name that goes into the metadata of what it encrypts. */
export interface PayloadKey {
  id: string;
  /** 32 bytes. */
  key: Uint8Array;
}

// The package is CommonJS without named exports that Node could see.
const PayloadProto = proto.temporal.api.common.v1.Payload;

/** The encoding name of Temporal's own encryption samples: codec servers and the UI's decoder know it. */
const ENCODING = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
/**
 * 96 bits, made at random for every payload: NIST SP 800-38D (8.3) allows 2^32 payloads under one key that way, which
 * is 40 payloads a second for three years. Rotate before that.
 */
const IV_BYTES = 12;
/** The full tag: SP 800-38D, 5.2.1.2. */
const TAG_BYTES = 16;

/**
 * Encrypts every payload that goes to Temporal. The first key encrypts; all of them decrypt, so that a key is rotated by
 * putting a new one in front. Encoding and key id are authenticated with the data. Payloads that are not encrypted
 * (sent by hand, or before encryption was switched on) pass as they are: nothing rests on them being secret, and
 * decisions carry signatures of their own.
 */
export function createEncryptionCodec(keys: readonly PayloadKey[]): PayloadCodec {
  const [current] = keys;
  if (current === undefined) throw new ValueError('payload encryption needs at least one key');
  const byId = new Map<string, Uint8Array>();
  for (const { id, key } of keys) {
    if (key.length !== KEY_BYTES)
      throw new ValueError(`payload key ${id} has ${key.length} bytes, not ${KEY_BYTES}`);
    if (byId.has(id)) throw new ValueError(`payload key id ${id} is used twice`);
    byId.set(id, key);
  }
  return {
    encode: async (payloads) => payloads.map((payload) => encrypt(payload, current)),
    decode: async (payloads) =>
      payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload, byId) : payload)),
  };
}

function encrypt(payload: Payload, { id, key }: PayloadKey): Payload {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundMetadata(id));
  const plain = PayloadProto.encode(payload).finish();
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  return {
    metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) },
    data: Buffer.concat([iv, encrypted, cipher.getAuthTag()]),
  };
}

function decrypt(payload: Payload, keys: ReadonlyMap<string, Uint8Array>): Payload {
  const id = textOf(payload.metadata?.[KEY_ID]);
  const key = keys.get(id);
  if (key === undefined) {
    throw new ValueError(
      `a payload is encrypted with the key ${JSON.stringify(id)}, which this process does not have (it has: ${[...keys.keys()].join(', ')}); ` +
        'add it to keys/payload.json in the data folder',
    );
  }
  const data = payload.data ?? new Uint8Array();
  if (data.length < IV_BYTES + TAG_BYTES) throw new ValueError('an encrypted payload is cut off');
  const decipher = createDecipheriv(ALGORITHM, key, data.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(boundMetadata(id));
  decipher.setAuthTag(data.subarray(data.length - TAG_BYTES));
  try {
    const encrypted = data.subarray(IV_BYTES, data.length - TAG_BYTES);
    return PayloadProto.decode(Buffer.concat([decipher.update(encrypted), decipher.final()]));
  } catch {
    throw new ValueError(
      `a payload encrypted with the key ${JSON.stringify(id)} cannot be decrypted: it was changed, or another key has that id`,
    );
  }
}

function isEncrypted(payload: Payload): boolean {
  return textOf(payload.metadata?.encoding) === ENCODING;
}

/** Additional authenticated data: encoding and key id cannot be exchanged without the tag failing. */
function boundMetadata(keyId: string): Buffer {
  return Buffer.from(`firebreak-payload-v1\n${ENCODING}\n${keyId}`);
}

function textOf(bytes: Uint8Array | null | undefined): string {
  return bytes ? Buffer.from(bytes).toString('utf8') : '';
}
