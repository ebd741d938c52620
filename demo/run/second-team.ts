/** Another team that answers the same harm: the demo's runbook and alert once more, under names of their own. */
import { parseDocument } from 'yaml';
import { demoRules, demoRunbook } from './timings.ts';

export const FIRST_RUNBOOK = 'ai-harm-response';
export const SECOND_RUNBOOK = 'content-safety-response';
/** Not one that the first runbook's `AiHarmful.*` matches: each alert has one runbook. */
const SECOND_ALERT = 'ContentSafetyHarmRateHigh';

/** The demo's runbook as the second team has it: an incident of its own, for the same target and by the same steps. */
export function secondTeamRunbook(): string {
  const document = parseDocument(demoRunbook());
  document.setIn(['metadata', 'name'], SECOND_RUNBOOK);
  document.setIn(['metadata', 'owner'], 'content-safety@example.com');
  document.setIn(['spec', 'match'], ['rmf_function="MANAGE"', `alertname="${SECOND_ALERT}"`]);
  return document.toString();
}

/**
 * The demo's alert as the second team has it, for one namespace: others on the same Prometheus have one team.
 * @throws Error when the rules no longer hold the counters that are narrowed.
 */
export function secondTeamRules(namespace: string): string {
  const document = parseDocument(demoRules());
  const expression = ['groups', 0, 'rules', 0, 'expr'];
  const everywhere = String(document.getIn(expression));
  const here = everywhere.replace(/(ai_[a-z_]+_total)\[/g, `$1{namespace="${namespace}"}[`);
  if (here === everywhere) throw new Error('the alert rules no longer hold counters without a selector');
  document.setIn(['groups', 0, 'name'], 'content-safety');
  document.setIn(['groups', 0, 'rules', 0, 'alert'], SECOND_ALERT);
  document.setIn(expression, here);
  return document.toString();
}
