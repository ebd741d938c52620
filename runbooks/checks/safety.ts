import type { Reference } from '../expression-syntax.ts';
import { parseExpression } from '../expressions.ts';
import type { Problem } from '../problem.ts';
import type { YamlSource } from '../yaml-source.ts';
import { stepsById, succeededBefore } from './graph.ts';
import { nameOf, type RunbookView, type StepView } from './view.ts';

/** What keeps a runbook from calling a model healthy, or sending it traffic, without people and proof. */
export function checkSafety(view: RunbookView, source: YamlSource): Problem[] {
  const byId = stepsById(view.steps);
  const ofType = (uses: string) => view.steps.filter((step) => step.uses === uses);
  const isOpen = (step: StepView) => step.needs.some((need) => !byId.has(need));
  const succeeded = (step: StepView) => [...succeededBefore(step, byId)];
  const problems: Problem[] = [];

  for (const rollback of ofType('rollback')) {
    if (!rollback.hasApproval) {
      const message = 'a rollback asks people: add approval: { from: [ml-oncall] }';
      problems.push(source.problem('rollback/approval', rollback.path, message));
    }
    problems.push(...checkPreapproval(rollback, source));
    const verified = ofType('verify').some(
      // A need that there is not was told: the rollback may have been meant.
      (verify) => isOpen(verify) || (rollback.id !== undefined && succeeded(verify).includes(rollback.id)),
    );
    if (!verified) {
      const name = nameOf(rollback);
      const message = `nothing proves rollback ${name}: add { id: verify, uses: verify, needs: [${name}] }`;
      problems.push(source.problem('rollback/verify', rollback.path, message));
    }
  }
  for (const divert of ofType('divert')) {
    if (ofType('restore').length > 0) continue;
    const message = 'nothing brings the traffic back: add { id: restore, uses: restore, needs: [verify] }';
    problems.push(source.problem('divert/restore', divert.path, message));
  }
  for (const restore of ofType('restore')) {
    if (isOpen(restore)) continue;
    if (!restore.always && succeeded(restore).some((id) => byId.get(id)?.uses === 'verify')) continue;
    const message =
      'traffic comes back to a proved revision only: let it need a verify step, without always on the way';
    problems.push(source.problem('restore/proof', restore.path, message));
  }
  for (const verify of ofType('verify')) problems.push(...checkVerifyMetrics(verify, view, source));
  return problems;
}

const READ_BY_THE_INCIDENT: Partial<Record<Reference['kind'], string>> = {
  step: 'outputs of steps',
  incident: 'the incident',
  label: 'labels of the alert',
};

/** The worker in the cluster measures the condition again before it patches, and has no incident to read. */
function checkPreapproval(rollback: StepView, source: YamlSource): Problem[] {
  const { preapprovedWhen } = rollback.approval;
  if (typeof preapprovedWhen !== 'string') return [];
  return parseExpression(preapprovedWhen).references.flatMap((reference) => {
    const what = READ_BY_THE_INCIDENT[reference.kind];
    if (what === undefined) return [];
    const message = `the worker that rolls back measures this itself, and cannot read ${what}: read metrics, target, inputs or now`;
    const path = [...rollback.path, 'approval', 'preapprovedWhen'];
    return [source.textProblem('rollback/preapproval', path, reference, message)];
  });
}

/** Verification counts the metrics of these names (activities/contract.ts, judgeRecovery). */
function checkVerifyMetrics(verify: StepView, view: RunbookView, source: YamlSource): Problem[] {
  const hasCounter = (name: string) => view.metrics.get(name)?.counter !== undefined;
  const byRequests = verify.with.allowRequestsAsDenominator === true;
  const problems: Problem[] = [];
  if (!hasCounter('harmful')) {
    const message =
      'verify counts a metric named harmful: add harmful: { counter: ..., labels: ... } to spec.metrics';
    problems.push(source.problem('verify/metrics', [...verify.path, 'uses'], message));
  }
  if (!hasCounter('classified') && !(byRequests && hasCounter('requests'))) {
    const message =
      'verify divides by a metric named classified: add it as a counter, or one named requests with allowRequestsAsDenominator: true';
    problems.push(source.problem('verify/metrics', [...verify.path, 'uses'], message));
  }
  return problems;
}
