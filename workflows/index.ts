/** Everything the workflow bundle registers; names are the functions' names (workflows/messages.ts). */
export { aftercare } from './aftercare/workflow.ts';
export { evidence } from './evidence/workflow.ts';
export { incident } from './incident/workflow.ts';
export { watchdog } from './paging/watchdog.ts';
export { paging } from './paging/workflow.ts';
export { planning } from './planning/workflow.ts';
export { rollback } from './rollback/workflow.ts';
export { target } from './target/workflow.ts';
export { verification } from './verification/workflow.ts';
