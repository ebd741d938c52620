import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import type { SignalingActivities } from '../activities/contract.ts';
import { clusterTaskQueue, targetWorkflowId } from '../workflows/ids.ts';
import { TARGET_WORKFLOW, targetCommandSignal } from '../workflows/messages.ts';
import type { TargetInput } from '../workflows/target/workflow.ts';

/** What workflow code cannot ask of Temporal itself: SignalWithStart of a target's actor, and who polls a queue. */
export function createSignalingActivities(
  client: Client,
  taskQueue: string,
  raiseAlert: SignalingActivities['raiseAlert'],
): SignalingActivities {
  return {
    raiseAlert,
    async commandTarget({ target, command }) {
      await client.workflow.signalWithStart(TARGET_WORKFLOW, {
        workflowId: targetWorkflowId(target),
        taskQueue,
        args: [{ target } satisfies TargetInput],
        signal: targetCommandSignal,
        signalArgs: [command],
      });
    },
    async describeQueue({ cluster }) {
      const queue = clusterTaskQueue(cluster);
      const { pollers } = await client.workflowService.describeTaskQueue({
        namespace: client.options.namespace,
        taskQueue: { name: queue },
        taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
      });
      const seenMs = (pollers ?? []).flatMap(({ lastAccessTime }) =>
        lastAccessTime ? [tsToMs(lastAccessTime)] : [],
      );
      return {
        queue,
        pollers: pollers?.length ?? 0,
        ...(seenMs.length > 0 ? { lastSeenMs: Math.max(...seenMs) } : {}),
      };
    },
  };
}
