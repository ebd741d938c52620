import { randomBytes } from 'node:crypto';
import {
  ApplicationFailure,
  DefaultFailureConverter,
  defaultFailureConverter,
  defaultPayloadConverter,
  type Payload,
} from '@temporalio/common';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
  encodeErrorToFailure,
  encodeToPayloads,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import { describe, expect, it } from 'vitest';
import { createEncryptionCodec, type PayloadKey } from './encryption-codec.ts';

const CANARY = 'the output that must not be readable';

function newKey(id: string): PayloadKey {
  return { id, key: randomBytes(32) };
}

/** The data converter as Temporal's client and worker load it. */
function converterWith(...keys: PayloadKey[]) {
  return {
    payloadConverter: defaultPayloadConverter,
    failureConverter: defaultFailureConverter,
    payloadCodecs: [createEncryptionCodec(keys)],
  };
}

async function encrypted(key: PayloadKey, value: unknown): Promise<Payload> {
  const [payload] = (await encodeToPayloads(converterWith(key), value)) ?? [];
  if (payload === undefined) throw new Error('nothing was encoded');
  return payload;
}

describe('encryption codec', () => {
  it('gives back through the data converter what it was given, and shows nothing of it on the wire', async () => {
    const converter = converterWith(newKey('k1'));
    const values = [{ text: CANARY, count: 3 }, CANARY, null, undefined, Buffer.from(CANARY)];
    const payloads = (await encodeToPayloads(converter, ...values)) ?? [];
    for (const payload of payloads) {
      expect(Buffer.from(payload.data ?? []).includes(CANARY)).toBe(false);
      expect(Buffer.from(payload.metadata?.encoding ?? []).toString()).toBe('binary/encrypted');
    }
    const [object, text, nothing, missing, bytes] = await decodeArrayFromPayloads(converter, payloads);
    expect([object, text, nothing, missing]).toEqual(values.slice(0, 4));
    expect(Buffer.from(bytes as Uint8Array).toString()).toBe(CANARY);
  });

  it('encrypts failures, with common attributes encoded, through the failure converter', async () => {
    const converter = {
      ...converterWith(newKey('k1')),
      failureConverter: new DefaultFailureConverter({ encodeCommonAttributes: true }),
    };
    const failure = await encodeErrorToFailure(
      converter,
      ApplicationFailure.create({ message: CANARY, type: 'Refused', details: [{ text: CANARY }] }),
    );
    expect(JSON.stringify(failure)).not.toContain(CANARY);
    expect(Buffer.from(failure.encodedAttributes?.metadata?.encoding ?? []).toString()).toBe(
      'binary/encrypted',
    );
    const error = await decodeOptionalFailureToOptionalError(converter, failure);
    expect(error).toMatchObject({ message: CANARY, type: 'Refused', details: [{ text: CANARY }] });
  });

  it('uses a fresh IV for every payload', async () => {
    const key = newKey('k1');
    const [a, b] = [await encrypted(key, CANARY), await encrypted(key, CANARY)];
    expect(Buffer.from(a.data ?? [])).not.toEqual(Buffer.from(b.data ?? []));
  });

  it('refuses a payload of which any byte was changed', async () => {
    const key = newKey('k1');
    const payload = await encrypted(key, CANARY);
    const { decode } = createEncryptionCodec([key]);
    for (let index = 0; index < (payload.data?.length ?? 0); index += 1) {
      const data = Buffer.from(payload.data ?? []);
      data[index] = (data[index] ?? 0) ^ 1;
      await expect(decode([{ ...payload, data }])).rejects.toThrow(/cannot be decrypted/);
    }
    await expect(decode([{ ...payload, data: payload.data?.subarray(0, 20) }])).rejects.toThrow(/cut off/);
  });

  it('refuses a payload whose key id was exchanged, even where both names have the same key', async () => {
    const { key } = newKey('k1');
    const payload = await encrypted({ id: 'k1', key }, CANARY);
    const codec = createEncryptionCodec([
      { id: 'k1', key },
      { id: 'k2', key },
    ]);
    const renamed = { ...payload, metadata: { ...payload.metadata, 'encryption-key-id': Buffer.from('k2') } };
    await expect(codec.decode([renamed])).rejects.toThrow(/cannot be decrypted/);
  });

  it('encrypts with the first key and decrypts with all of them', async () => {
    const [old, fresh] = [newKey('old'), newKey('new')];
    const before = await encrypted(old, CANARY);
    const rotated = converterWith(fresh, old);
    expect(await decodeArrayFromPayloads(rotated, [before])).toEqual([CANARY]);
    const [after] = (await encodeToPayloads(rotated, CANARY)) ?? [];
    expect(Buffer.from(after?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('new');
  });

  it('names the key that it does not have, and where it belongs', async () => {
    const payload = await encrypted(newKey('lost'), CANARY);
    const { decode } = createEncryptionCodec([newKey('k1')]);
    await expect(decode([payload])).rejects.toThrow(/"lost".*it has: k1.*payload\.json/);
  });

  it('lets plain payloads pass', async () => {
    const payload = defaultPayloadConverter.toPayload('sent by hand');
    const { decode } = createEncryptionCodec([newKey('k1')]);
    expect(await decode([payload])).toEqual([payload]);
  });

  it('refuses keys that are not 32 bytes long, doubled ids and none at all', () => {
    expect(() => createEncryptionCodec([{ id: 'k', key: randomBytes(16) }])).toThrow(/16 bytes/);
    expect(() => createEncryptionCodec([newKey('k'), newKey('k')])).toThrow(/used twice/);
    expect(() => createEncryptionCodec([])).toThrow(/at least one/);
  });
});
