import { z } from 'zod';
import { defineStep, SECOND_MS } from '../define.ts';

/** Keeps template, digests, configuration hashes and rollout history; takes no input. */
export const snapshotInput = z.strictObject({});

export const definition = defineStep({
  summary: 'Keeps template, digests, configuration hashes and rollout history before anything changes.',
  input: snapshotInput,
  outputs: {
    uid: 'string',
    revision: 'double',
    images: 'list<string>',
    digests: 'list<string>',
    templateHash: 'string',
  },
  needsTarget: true,
  // The design's limit: containment never waits for evidence, and evidence is of no use when it is late.
  defaultTimeoutMs: 60 * SECOND_MS,
  describe: () => 'keeps a snapshot of the target and its rollout history',
});
