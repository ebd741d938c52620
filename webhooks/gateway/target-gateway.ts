import { randomUUID } from 'node:crypto';
import {
  type Client,
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TargetInquiry } from '../../domain/rollback-inquiry.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { incidentId, targetWorkflowId } from '../../workflows/ids.ts';
import {
  type Answer,
  describeTargetQuery,
  INCIDENT_WORKFLOW,
  PLANNING_WORKFLOW,
  TARGET_WORKFLOW,
  type TargetView,
} from '../../workflows/messages.ts';
import type { PlanningInput } from '../../workflows/planning/workflow.ts';
import type { TargetInput } from '../../workflows/target/workflow.ts';
import { searchAttributesOf, toGatewayError } from './temporal-gateway.ts';
import { GatewayError, type IncidentStart } from './types.ts';

/** As for incidents: better an early no than a late one. */
const RPC_DEADLINE_MS = 5_000;
/** The workflow gives the cluster 15 s (workflows/planning); a worker that is busy has to begin it first. */
const INQUIRY_DEADLINE_MS = 20_000;
/** Nobody waits for it any more by then. */
const INQUIRY_TIMEOUT = '60s';
/** Memo of an incident that a person declared: which request it was. */
const DECLARATION_MEMO = 'declaration';

/** - started: now. - known: by this very request, before. - open: another one is open under this workflow id. */
export type Declared =
  | { result: 'started' | 'known'; incidentId: string }
  | { result: 'open'; incidentId: string };

/** What the edges need of Temporal for targets that no alert is about. Throws GatewayError only. */
export interface TargetGateway {
  /**
   * Starts an incident that a person declared.
   * @param input.key of the request: the same key again is the same incident.
   */
  declare(input: { workflowId: string; start: IncidentStart; key: string }): Promise<Declared>;
  /** Asks the target's cluster; changes nothing. `refused` with the failure's type where the cluster says no. */
  inquire(input: PlanningInput): Promise<TargetInquiry>;
  /** What the target's actor knows; undefined where it does not run. */
  describeTarget(target: Target): Promise<TargetView | undefined>;
  /** Sends the target's actor an update, and starts it where it does not run. */
  updateTarget(request: {
    target: Target;
    name: string;
    /** The same id again is the same update. */
    updateId: string;
    argument: unknown;
  }): Promise<Answer>;
}

/** @param options.taskQueue where the workflows' workers poll. */
export function createTargetGateway(client: Client, options: { taskQueue: string }): TargetGateway {
  const { taskQueue } = options;

  async function call<T>(what: string, deadlineMs: number, run: () => Promise<T>): Promise<T> {
    try {
      return await client.connection.withDeadline(Date.now() + deadlineMs, run);
    } catch (error) {
      throw toTargetError(what, error);
    }
  }

  return {
    async declare({ workflowId, start, key }) {
      try {
        return await client.connection.withDeadline(Date.now() + RPC_DEADLINE_MS, async () => {
          const handle = await client.workflow.start(INCIDENT_WORKFLOW, {
            workflowId,
            taskQueue,
            args: [start],
            memo: { [DECLARATION_MEMO]: key },
            // One that is over does not keep the next one from opening; one that is open does.
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            workflowIdConflictPolicy: 'FAIL',
            typedSearchAttributes: searchAttributesOf(start, undefined),
          });
          return { result: 'started', incidentId: incidentId(workflowId, handle.firstExecutionRunId) };
        });
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
          throw toTargetError('declare the incident', error);
        }
      }
      const open = await call('read the open incident', RPC_DEADLINE_MS, () =>
        client.workflow.getHandle(workflowId).describe(),
      );
      // The id that people know is that of the first run: it is the incident's, however often it goes on in a new one.
      const firstRunId = open.raw.workflowExecutionInfo?.firstRunId || open.runId;
      const same = open.memo?.[DECLARATION_MEMO] === key;
      return { result: same ? 'known' : 'open', incidentId: incidentId(workflowId, firstRunId) };
    },

    async inquire(input) {
      return await call('ask the cluster', INQUIRY_DEADLINE_MS, () =>
        client.workflow.execute(PLANNING_WORKFLOW, {
          workflowId: `planning-${targetKey(input.target)}-${randomUUID()}`,
          taskQueue,
          args: [input],
          workflowExecutionTimeout: INQUIRY_TIMEOUT,
        }),
      );
    },

    async describeTarget(target) {
      try {
        return await call('read what is known of the target', RPC_DEADLINE_MS, async () => {
          const handle = client.workflow.getHandle(targetWorkflowId(target));
          // An actor that has ended let everything go: what it knew is no news.
          const { status } = await handle.describe();
          return status.name === 'RUNNING' ? await handle.query(describeTargetQuery) : undefined;
        });
      } catch (error) {
        if (error instanceof GatewayError && error.problem === 'not-running') return undefined;
        throw error;
      }
    },

    async updateTarget({ target, name, updateId, argument }) {
      return await call('tell the target', RPC_DEADLINE_MS, () =>
        client.workflow.executeUpdateWithStart<(input: TargetInput) => Promise<void>, Answer, [unknown]>(
          name,
          {
            updateId,
            args: [argument],
            startWorkflowOperation: new WithStartWorkflowOperation(TARGET_WORKFLOW, {
              workflowId: targetWorkflowId(target),
              taskQueue,
              args: [{ target }],
              workflowIdConflictPolicy: 'USE_EXISTING',
            }),
          },
        ),
      );
    },
  };
}

function toTargetError(what: string, error: unknown): GatewayError {
  if (error instanceof WorkflowFailedError) {
    const { cause } = error;
    if (cause instanceof ApplicationFailure) {
      return new GatewayError('refused', cause.message, {
        cause: error,
        ...(cause.type ? { failureType: cause.type } : {}),
      });
    }
    return new GatewayError('unavailable', `Could not ${what}: it was not answered in time.`, {
      cause: error,
    });
  }
  if (error instanceof WorkflowNotFoundError) {
    return new GatewayError('not-running', 'Nothing is running for this target.', { cause: error });
  }
  return toGatewayError(what, error);
}
