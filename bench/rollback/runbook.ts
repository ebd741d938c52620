import { rollbackRunbook } from '../../demo/world/rollback-runbook.ts';

/** What an alert opens here is measured from the approval on: nothing is proved, the incident is stopped once rolled out. */
export const BENCH_ALERT = 'BenchRollback';

export const BENCH_RUNBOOK = rollbackRunbook({ name: 'bench-rollback', alert: BENCH_ALERT });
