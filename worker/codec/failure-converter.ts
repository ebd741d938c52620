import { DefaultFailureConverter } from '@temporalio/common';

/**
 * Messages and stack traces of failures travel as payloads, so that the codec encrypts them too. Loaded by path: by
 * clients and workers, and into the workflow bundle.
 */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
