import { defineConfig } from 'vitest/config';

/**
 * Real servers start, rollouts happen, Prometheus scrapes once a second: minutes, not the unit tests' seconds. Each wait has its
 * own, shorter limit; this one ends what nobody thought of.
 */
const SCENARIO_TIMEOUT_MS = 6 * 60_000;
const SETUP_TIMEOUT_MS = 4 * 60_000;

export default defineConfig({
  test: {
    // Temporal's native module does not survive worker threads.
    pool: 'forks',
    // Tests on real servers mostly wait for them: more files at once than cores.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{bench,clients,domain,runbooks,simulation,workflows,activities,worker,webhooks,cli,demo,scripts}/**/*.test.ts',
            'test/properties/**/*.test.ts',
          ],
          testTimeout: 20_000,
          // Unit tests share nothing but modules: without a process a file, they take half the time.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'workflow',
          include: ['test/workflow/**/*.test.ts', 'test/replay/**/*.test.ts'],
          globalSetup: ['test/setup/parts.ts'],
          // Waits have limits of their own in skipped time; hours of it take a minute on a busy machine.
          testTimeout: 180_000,
          // Not ours: see test/workflow/time-skipping.ts. No other failure is tried again.
          retry: { count: 2, condition: /the time-skipping server lost a task/ },
          hookTimeout: SETUP_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: SETUP_TIMEOUT_MS,
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: ['test/{integration,e2e,faults}/**/*.test.ts'],
          // One stack for all files of the project.
          globalSetup: ['test/setup/stack.ts'],
          testTimeout: SCENARIO_TIMEOUT_MS,
          hookTimeout: SETUP_TIMEOUT_MS,
        },
      },
    ],
  },
});
