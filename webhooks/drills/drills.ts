import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import {
  DRILL_FOR_MS,
  DRILL_LABEL,
  type Drill,
  type DrillPlan,
  MAX_DRILL_MS,
  MIN_DRILL_MS,
  runsInDrill,
} from '../../domain/drill.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import { type Target, targetKey } from '../../domain/target.ts';
import { describeStep } from '../../runbooks/steps/definitions.ts';
import { deliver } from '../alertmanager/deliver.ts';
import { ownDelivery, targetLabels } from '../alertmanager/own-delivery.ts';
import { routeTo } from '../alertmanager/route-alert.ts';
import { EdgeError } from '../errors.ts';
import { GatewayError, type IncidentGateway } from '../gateway/types.ts';
import { refusing } from '../incidents/attempts.ts';
import { mayOrThrow, type PersonsRequest, type RollbackDeps } from '../rollbacks/deps.ts';
import { allowedTarget, attemptedOn, parseBody, targetInput } from '../rollbacks/request.ts';

const body = z.strictObject({
  target: targetInput,
  runbook: z.string().min(1).max(100),
  divert: z.boolean().default(false),
  forMs: z
    .int()
    .min(MIN_DRILL_MS, 'at least one minute')
    .max(MAX_DRILL_MS, 'at most 2 hours')
    .default(DRILL_FOR_MS),
});

export interface DrillDeps
  extends Pick<RollbackDeps, 'access' | 'runbooks' | 'clusters' | 'recordAttempt' | 'now'> {
  gateway: IncidentGateway;
}

/** A new incident is known by its workflow's first answer. */
const KNOWN_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 250;
const ID_BYTES = 4;
const ALERTNAME = 'FirebreakDrill';

/** What a drill would do; begins nothing. @throws EdgeError. */
export function planDrill(deps: DrillDeps, request: PersonsRequest): DrillPlan {
  mayOrThrow(deps, request.person, 'declare');
  return planOf(wantedOf(deps, request));
}

interface Wanted {
  target: Target;
  runbook: CompiledRunbook;
  drill: Drill;
}

/** @throws EdgeError invalid_request. */
function wantedOf(deps: DrillDeps, { person, body: asked }: PersonsRequest): Wanted {
  const { target, runbook, divert, forMs } = parseBody(body, asked);
  return {
    target: allowedTarget(target, deps.clusters),
    runbook: runbookNamed(deps, runbook),
    drill: { by: person.id, divert, forMs },
  };
}

function planOf({ target, runbook, drill }: Wanted): DrillPlan {
  return {
    target,
    runbook: { name: runbook.name, version: runbook.version, owner: runbook.owner },
    drill,
    steps: runbook.steps.map((step) => ({
      id: step.id,
      uses: step.uses,
      real: runsInDrill(step.uses, drill),
      what: describeStep(step),
      ...(step.approval ? { asks: step.approval.from } : {}),
    })),
  };
}

/**
 * Sends a labelled alert the way of every alert, and answers with the incident that it opened. Every attempt is recorded.
 * @throws EdgeError.
 */
export async function beginDrill(
  deps: DrillDeps,
  request: PersonsRequest,
): Promise<{ message: string; incidentId: string; plan: DrillPlan }> {
  const { person, via } = request;
  let attempted = 'drill';
  const record = (verdict: 'accepted' | 'denied' | 'invalid', reason: string) =>
    deps.recordAttempt({ incident: attempted, person: person.id, decision: 'drill', via, verdict, reason });
  const refuse = refusing(record);
  const need = async (action: 'declare' | 'override'): Promise<void> => {
    const permission = deps.access.may(person, action);
    if (!permission.allowed)
      await refuse('denied', new EdgeError('forbidden', `Not allowed: ${permission.reason}.`));
  };
  await need('declare');
  let wanted: Wanted;
  try {
    wanted = wantedOf(deps, request);
  } catch (error) {
    if (error instanceof EdgeError) return refuse('invalid', error);
    throw error;
  }
  const { target, runbook, drill } = wanted;
  attempted = attemptedOn(target);
  // A drill that diverts changes production: that is a commander's to ask for.
  if (drill.divert) await need('override');
  const id = `drill-${randomBytes(ID_BYTES).toString('hex')}`;
  const start = routeTo(runbook, labelsOf(target, id), deps.clusters);
  if (!start.target.ok) {
    return refuse(
      'invalid',
      new EdgeError('invalid_request', `Runbook ${runbook.name} finds no target: ${start.target.reason}.`, {
        hint: 'Its target has to follow from the labels cluster, namespace and the kind (deployment, say).',
      }),
    );
  }
  await record('accepted', drill.divert ? `${id}, with a diversion` : id);
  const workflowId = await send(deps, id, labelsOf(target, id), { ...start, drill });
  const incidentId = await incidentIdOf(deps.gateway, workflowId);
  return {
    message: `${incidentId} is a drill of ${targetKey(target)}: people are paged.`,
    incidentId,
    plan: planOf(wanted),
  };
}

function runbookNamed({ runbooks }: DrillDeps, name: string): CompiledRunbook {
  const loaded = runbooks.current().runbooks;
  const runbook = loaded.find((one) => one.name === name);
  if (runbook !== undefined) return runbook;
  throw new EdgeError('invalid_request', 'No runbook of that name is loaded.', {
    hint: `Loaded: ${loaded.map((one) => one.name).join(', ')}.`,
  });
}

function labelsOf(target: Target, id: string): Record<string, string> {
  return { alertname: ALERTNAME, rmf_function: 'MANAGE', ...targetLabels(target), [DRILL_LABEL]: id };
}

async function send(
  deps: DrillDeps,
  id: string,
  labels: Record<string, string>,
  start: ReturnType<typeof routeTo>,
): Promise<string> {
  const nowMs = deps.now();
  const summary = 'This is a drill: nothing is wrong.';
  try {
    const { incidents } = await deliver(
      ownDelivery({ key: id, status: 'firing', labels, summary }, nowMs),
      nowMs,
      { gateway: deps.gateway, routeAlert: () => start },
    );
    return incidents[0]?.workflowId ?? '';
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new EdgeError('temporal_unavailable', `The drill did not begin: ${error.message}`, {
      cause: error,
    });
  }
}

async function incidentIdOf(gateway: IncidentGateway, workflowId: string): Promise<string> {
  const untilMs = performance.now() + KNOWN_WITHIN_MS;
  for (;;) {
    const view = await gateway.describe(workflowId).catch(() => undefined);
    if (view !== undefined) return view.incidentId;
    if (performance.now() >= untilMs) {
      throw new EdgeError('outcome_unknown', 'The drill was sent, and its incident does not answer yet.', {
        hint: 'See firebreak incident list; does a worker run?',
      });
    }
    await delay(LOOK_EVERY_MS);
  }
}
