import type { Client } from '@temporalio/client';
import type { SignalingActivities } from '../activities/contract.ts';
import { targetWorkflowId } from '../workflows/ids.ts';
import { TARGET_WORKFLOW, targetCommandSignal } from '../workflows/messages.ts';
import type { TargetInput } from '../workflows/target/workflow.ts';

/** SignalWithStart for workflow code, which has none of its own: wakes the target's actor and gives it a command. */
export function createSignalingActivities(client: Client, taskQueue: string): SignalingActivities {
  return {
    async commandTarget({ target, command }) {
      await client.workflow.signalWithStart(TARGET_WORKFLOW, {
        workflowId: targetWorkflowId(target),
        taskQueue,
        args: [{ target } satisfies TargetInput],
        signal: targetCommandSignal,
        signalArgs: [command],
      });
    },
  };
}
