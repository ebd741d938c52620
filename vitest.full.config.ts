import { defineConfig } from 'vitest/config';

/** The long versions of tests that `npm test` has short ones of: `npm run test:full`. */
const FULL_TIMEOUT_MS = 60 * 60_000;
const SETUP_TIMEOUT_MS = 120_000;

export default defineConfig({
  test: {
    name: 'full',
    // Temporal's native module does not survive worker threads.
    pool: 'forks',
    include: ['test/full/**/*.test.ts'],
    // One stack for all files, and each file uses all of the machine.
    globalSetup: ['test/setup/stack.ts'],
    fileParallelism: false,
    testTimeout: FULL_TIMEOUT_MS,
    hookTimeout: SETUP_TIMEOUT_MS,
  },
});
