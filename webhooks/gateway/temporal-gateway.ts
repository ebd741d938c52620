import {
  type Client,
  isGrpcServiceError,
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  WorkflowClient,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { ApplicationFailure, defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { stripControl } from '../../domain/plain-text.ts';
import { targetKey } from '../../domain/target.ts';
import {
  type Answer,
  alertsReceivedSignal,
  describeQuery,
  INCIDENT_WORKFLOW,
  SEARCH_ATTRIBUTES,
} from '../../workflows/messages.ts';
import { Turns } from './turns.ts';
import { GatewayError, type IncidentGateway, type IncidentStart, type UpdateRequest } from './types.ts';

/** A sender waits for the answer, and Alertmanager tries again: better an early no than a late one. */
const RPC_DEADLINE_MS = 5_000;
/** A delivery's wait for others of the same incident. With the call itself below the 10 s that Alertmanager waits at least. */
const TURN_WAIT_MS = 4_500;
/** Keyword search attributes hold 255 characters in SQL visibility stores. */
const MAX_KEYWORD = 255;

/** gRPC codes that say no more than that there was no answer: CANCELLED (by the deadline), DEADLINE_EXCEEDED, UNAVAILABLE. */
const SILENCE = new Set([1, 4, 14]);

const KEYWORDS = Object.fromEntries(
  Object.entries(SEARCH_ATTRIBUTES).map(([name, attribute]) => [
    name,
    defineSearchAttributeKey(attribute, SearchAttributeType.KEYWORD),
  ]),
) as Record<keyof typeof SEARCH_ATTRIBUTES, ReturnType<typeof defineSearchAttributeKey<'KEYWORD'>>>;

/**
 * @param options.taskQueue where the incident workflow's workers poll.
 * @param options.rpcDeadlineMs of one call, its retries included; 5 s.
 */
export function createTemporalGateway(
  client: Client,
  options: { taskQueue: string; rpcDeadlineMs?: number },
): IncidentGateway {
  const rpcDeadlineMs = options.rpcDeadlineMs ?? RPC_DEADLINE_MS;
  // Queries are for incidents that run: a closed one is read from the records, without a worker replaying it.
  const openOnly = new WorkflowClient({
    connection: client.connection,
    namespace: client.options.namespace,
    identity: client.options.identity,
    dataConverter: client.options.dataConverter,
    queryRejectCondition: 'NOT_OPEN',
  });

  const turns = new Turns();
  const inTurn = <T>(workflowId: string, run: () => Promise<T>): Promise<T> =>
    turns.take(
      workflowId,
      TURN_WAIT_MS,
      run,
      () => new GatewayError('unavailable', 'Too many deliveries for one incident at once.'),
    );

  /** Runs a call under the deadline and turns whatever it throws into a GatewayError. */
  async function call<T>(what: string, run: () => Promise<T>): Promise<T> {
    try {
      return await client.connection.withDeadline(Date.now() + rpcDeadlineMs, run);
    } catch (error) {
      throw toGatewayError(what, error);
    }
  }

  return {
    async signalWithStart({ workflowId, start, alerts }) {
      await inTurn(workflowId, () =>
        call('signal or start the incident', () =>
          client.workflow.signalWithStart(INCIDENT_WORKFLOW, {
            workflowId,
            taskQueue: options.taskQueue,
            args: [start],
            signal: alertsReceivedSignal,
            signalArgs: [alerts],
            // A closed incident does not keep the next one from opening; a running one takes the alerts.
            workflowIdReusePolicy: 'ALLOW_DUPLICATE',
            workflowIdConflictPolicy: 'USE_EXISTING',
            typedSearchAttributes: searchAttributesOf(start, alerts.alerts[0]?.labels.alertname),
          }),
        ),
      );
    },

    async signal({ workflowId, alerts }) {
      try {
        await inTurn(workflowId, () =>
          call('signal the incident', () =>
            client.workflow.getHandle(workflowId).signal(alertsReceivedSignal, alerts),
          ),
        );
        return 'signalled';
      } catch (error) {
        if (error instanceof GatewayError && error.problem === 'not-running') return 'not-running';
        throw error;
      }
    },

    async describe(workflowId) {
      try {
        return await call('read the incident', () => openOnly.getHandle(workflowId).query(describeQuery));
      } catch (error) {
        if (error instanceof GatewayError && error.problem === 'not-running') return undefined;
        throw error;
      }
    },

    async update(request: UpdateRequest) {
      return await call('update the incident', () =>
        client.workflow.getHandle(request.workflowId).executeUpdate<Answer, [unknown]>(request.name, {
          updateId: request.updateId,
          args: [request.argument],
        }),
      );
    },

    async listRunning({ limit, workflowIdPrefix }) {
      // The query language has no parameters, so only characters of our own ids get into it.
      const prefix = (workflowIdPrefix ?? '').replaceAll(/[^a-z0-9-]/g, '');
      const query =
        `WorkflowType = '${INCIDENT_WORKFLOW}' AND ExecutionStatus = 'Running'` +
        (prefix === '' ? '' : ` AND WorkflowId STARTS_WITH '${prefix}'`);
      return await call('list the running incidents', async () => {
        const running = [];
        for await (const execution of client.workflow.list({ query, pageSize: limit })) {
          running.push({ workflowId: execution.workflowId, startedAtMs: execution.startTime.getTime() });
          if (running.length >= limit) break;
        }
        return running;
      });
    },

    async checkReady() {
      const namespace = client.options.namespace;
      try {
        const { customAttributes } = await call('read the search attributes', () =>
          client.connection.operatorService.listSearchAttributes({ namespace }),
        );
        const missing = Object.values(SEARCH_ATTRIBUTES).filter(
          (name) => !(name in (customAttributes ?? {})),
        );
        const problems = missing.map(
          (name) =>
            `Search attribute ${name} is not registered, so every start would be refused: ` +
            `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
        );
        return { ok: problems.length === 0, problems };
      } catch (error) {
        return { ok: false, problems: [(error as Error).message] };
      }
    },
  };
}

/** What is known at the start; the workflow keeps them up to date. No personal data. */
export function searchAttributesOf(start: IncidentStart, alertname: string | undefined) {
  const pairs = [
    { key: KEYWORDS.runbook, value: keyword(start.runbook.name) },
    { key: KEYWORDS.state, value: 'triggered' },
  ];
  if (start.target.ok) pairs.push({ key: KEYWORDS.target, value: keyword(targetKey(start.target.target)) });
  if (alertname !== undefined && alertname !== '') {
    pairs.push({ key: KEYWORDS.alertname, value: keyword(alertname) });
  }
  return pairs;
}

/** Alert names are text from outside: no control characters, and no longer than the store takes. */
function keyword(text: string): string {
  return stripControl(text).slice(0, MAX_KEYWORD).toWellFormed();
}

export function toGatewayError(what: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  if (error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError) {
    return new GatewayError('not-running', 'No such incident is running.', { cause: error });
  }
  if (error instanceof WorkflowUpdateFailedError) {
    const failure = error.cause;
    const failureType = failure instanceof ApplicationFailure ? (failure.type ?? undefined) : undefined;
    // The workflow ended or continued as new with the update in it: the same id may be sent again.
    if (failureType === 'AcceptedUpdateCompletedWorkflow') {
      return new GatewayError('unavailable', `Could not ${what}: the workflow moved on meanwhile.`, {
        cause: error,
      });
    }
    return new GatewayError('refused', failure?.message ?? 'The incident refused it.', {
      cause: error,
      failureType,
    });
  }
  if (error instanceof QueryNotRegisteredError) {
    return new GatewayError('refused', `Could not ${what}: its worker does not know this query.`, {
      cause: error,
    });
  }
  // Transport, deadline, overload, a missing search attribute: nothing was accepted as far as anybody knows.
  const cause = error instanceof ServiceError ? (error.cause ?? error) : (error as Error);
  const silent = isGrpcServiceError(cause) && SILENCE.has(cause.code);
  const message = silent
    ? `Temporal does not answer: could not ${what}`
    : `Could not ${what}: ${cause.message}`;
  return new GatewayError('unavailable', message, { cause: error });
}
