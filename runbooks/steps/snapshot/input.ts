import { z } from 'zod';

/** Keeps template, digests, configuration hashes and rollout history; takes no input. */
export const snapshotInput = z.strictObject({});
