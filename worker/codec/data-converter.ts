import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { createEncryptionCodec, type PayloadKey } from './encryption-codec.ts';

const HERE = fileURLToPath(import.meta.url);

/** The workflow bundle is built with it, whether payloads are encrypted or not. */
export const FAILURE_CONVERTER_PATH = path.join(path.dirname(HERE), `failure-converter${path.extname(HERE)}`);

/** @param keys absent: payloads are readable by everybody who may read the Temporal namespace. */
export function createDataConverter(keys: readonly PayloadKey[] | undefined): DataConverter {
  return {
    failureConverterPath: FAILURE_CONVERTER_PATH,
    ...(keys === undefined ? {} : { payloadCodecs: [createEncryptionCodec(keys)] }),
  };
}
