import { Connection } from '@temporalio/client';
import { pollUntil } from '../stack/poll.ts';

/** How long the history of its workflows is kept: Temporal's least. */
const RETENTION_SECONDS = 86_400;
const NAMESPACE_READY_MS = 30_000;

/** A Temporal namespace of a shared server, so that two installations never take each other's tasks. */
export async function createTemporalNamespace(address: string, name: string): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace: name,
      workflowExecutionRetentionPeriod: { seconds: RETENTION_SECONDS as never, nanos: 0 },
    });
    await pollUntil(`namespace ${name} being served`, NAMESPACE_READY_MS, async () => {
      await connection.workflowService.listWorkflowExecutions({ namespace: name, pageSize: 1 });
      return true;
    });
  } finally {
    await connection.close();
  }
}
