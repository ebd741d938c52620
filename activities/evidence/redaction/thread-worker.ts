/** The thread of detect-apart.ts: finds spans, one text after another. */
import { parentPort } from 'node:worker_threads';
import type { DetectReply, DetectRequest } from './detect-apart.ts';
import { DETECTORS } from './detectors.ts';
import { findSpans } from './redact.ts';

parentPort?.on('message', async ({ id, text }: DetectRequest) => {
  let reply: DetectReply;
  try {
    reply = { id, spans: await findSpans(DETECTORS, text) };
  } catch {
    // What a detector says may quote the text.
    reply = { id };
  }
  parentPort?.postMessage(reply);
});
