import { MILESTONES } from '../../domain/incident.ts';
import type { CompiledRunbook } from '../../domain/runbook.ts';
import {
  correlationOf,
  DEFAULT_RUNBOOK,
  MANUAL_ROLLBACK_RUNBOOK,
  matchesLabels,
} from '../../runbooks/match.ts';
import type { Path, Problem } from '../../runbooks/problem.ts';
import { stepDefinition } from '../../runbooks/steps/definitions.ts';
import { didYouMean } from '../../runbooks/suggest.ts';
import type { YamlSource } from '../../runbooks/yaml-source.ts';
import type { PersonEvent, Scenario, Trigger, Vendor } from './schema.ts';

/** Something a human is needed for: a trigger beside milestones and steps. */
export const NEEDS_HUMAN = 'needs-human';
const ASKED = 'asked-';

/** What a scenario says of its runbook, checked against the runbook: names, and what belongs together. */
export function checkScenario(source: YamlSource, scenario: Scenario, runbook: CompiledRunbook): Problem[] {
  const { spec } = scenario;
  const problems: Problem[] = [];
  const wrong = (path: Path, message: string) =>
    void problems.push(source.problem('schema/wrong-value', ['spec', ...path], message));
  const steps = runbook.steps.map(({ id }) => id);
  const asking = runbook.steps.filter(({ approval }) => approval !== undefined).map(({ id }) => id);
  const triggers = [...MILESTONES, NEEDS_HUMAN, ...asking.map((id) => `${ASKED}${id}`), ...steps];

  const known = (path: Path, what: string, name: string, names: readonly string[]) => {
    if (!names.includes(name)) wrong(path, `the runbook has no ${what} ${name}${didYouMean(name, names)}`);
  };
  const checkTrigger = (path: Path, { at, after, wait, occurrence }: Trigger, needed: boolean) => {
    if (at !== undefined && after !== undefined) wrong([...path, 'after'], 'write at or after, not both');
    if (needed && at === undefined && after === undefined)
      wrong(path, 'when: write at: 5m, or after: contained');
    if (after === undefined && wait !== undefined)
      wrong([...path, 'wait'], 'wait goes with after: write at alone');
    if (after === undefined && occurrence !== undefined) {
      wrong([...path, 'occurrence'], 'occurrence goes with after');
    }
    if (after !== undefined && !triggers.includes(after)) {
      wrong([...path, 'after'], `nothing that can happen is called ${after}${didYouMean(after, triggers)}`);
    }
  };

  for (const [name, value] of Object.entries(spec.inputs)) {
    known(['inputs', name], 'input', name, Object.keys(runbook.inputs));
    const wanted = typeof runbook.inputs[name];
    if (wanted !== 'undefined' && typeof value !== wanted)
      wrong(['inputs', name], `input ${name} takes a ${wanted}`);
  }
  for (const name of Object.keys(spec.world.metrics))
    known(['world', 'metrics', name], 'metric', name, Object.keys(runbook.metrics));

  const [first] = spec.alerts;
  if (spec.declared === undefined && first === undefined)
    wrong(['alerts'], 'at least one alert, or declared: somebody has to open the incident');
  if (spec.declared !== undefined && first !== undefined)
    wrong(['declared'], 'an alert opens the incident, or a person does: write one of the two');
  if (spec.declared !== undefined && runbook.name !== MANUAL_ROLLBACK_RUNBOOK)
    wrong(['declared'], `only runbook ${MANUAL_ROLLBACK_RUNBOOK} is declared by a person`);
  const correlation = JSON.stringify(correlationOf(runbook, first?.labels ?? {}));
  for (const [index, alert] of spec.alerts.entries()) {
    const path = ['alerts', index];
    checkTrigger(path, alert, false);
    if (index === 0 && alert.after !== undefined)
      wrong([...path, 'after'], 'the first alert starts the scenario: write at, or nothing');
    if (alert.resolved) checkTrigger([...path, 'resolved'], alert.resolved, true);
    if (runbook.name !== DEFAULT_RUNBOOK && !matchesLabels(runbook.match, alert.labels)) {
      wrong([...path, 'labels'], `an alert with these labels is not matched by runbook ${runbook.name}`);
    } else if (JSON.stringify(correlationOf(runbook, alert.labels)) !== correlation) {
      const labels = runbook.correlateBy.join(', ');
      wrong(
        [...path, 'labels'],
        `it is about another incident than the first alert: ${labels} must be the same`,
      );
    }
  }

  for (const [index, event] of spec.people.entries()) {
    const path = ['people', index];
    checkTrigger(path, event, true);
    if (event.step !== undefined) known([...path, 'step'], 'step', event.step, steps);
    const missing = missingOf(event);
    if (missing !== undefined) wrong([...path, 'does'], missing);
    if (
      ['approve', 'reject'].includes(event.does) &&
      event.step !== undefined &&
      steps.includes(event.step)
    ) {
      if (!asking.includes(event.step))
        wrong([...path, 'step'], `step ${event.step} has no approval that could be given`);
    }
  }
  for (const [index, { from, until }] of spec.vendors.entries()) {
    if (until !== undefined && until <= from) wrong(['vendors', index, 'until'], 'it ends before it begins');
  }
  const names = namesOf(runbook);
  for (const [index, { vendor, for: only = [] }] of spec.vendors.entries()) {
    const kind = NARROWED_BY[vendor];
    if (kind === undefined && only.length > 0)
      wrong(['vendors', index, 'for'], `${vendor} is one: leave for out, or name another vendor`);
    if (kind === undefined) continue;
    for (const [at, name] of only.entries()) known(['vendors', index, 'for', at], kind, name, names[kind]);
  }
  for (const name of Object.keys(spec.world.endpoints))
    known(['world', 'endpoints', name], 'endpoint', name, names.endpoint);
  const numbers = spec.world.revisions.map(({ revision }) => revision);
  if (numbers.some((number, index) => index > 0 && number >= (numbers[index - 1] ?? 0)))
    wrong(['world', 'revisions'], 'revisions stand newest first, each with a number of its own');

  const { expect } = spec;
  for (const name of Object.keys(expect.steps ?? {})) known(['expect', 'steps', name], 'step', name, steps);
  for (const name of Object.keys(expect.asked ?? {})) known(['expect', 'asked', name], 'step', name, steps);
  for (const [id, groups] of Object.entries(expect.asked ?? {})) {
    const from = runbook.steps.find((step) => step.id === id)?.approval?.from;
    if (steps.includes(id) && from === undefined) wrong(['expect', 'asked', id], `step ${id} asks nobody`);
    if (from === undefined) continue;
    for (const [at, group] of groups.entries())
      if (!from.includes(group))
        wrong(['expect', 'asked', id, at], `step ${id} does not ask ${group}${didYouMean(group, from)}`);
  }
  for (const field of ['paged', 'notPaged'] as const)
    for (const [at, role] of (expect[field] ?? []).entries())
      known(['expect', field, at], 'role', role, names.role);
  for (const [at, channel] of (expect.notified ?? []).entries())
    known(['expect', 'notified', at], 'channel', channel, names.channel);
  for (const [index, name] of (expect.wouldHave ?? []).entries())
    known(['expect', 'wouldHave', index], 'step', name, steps);
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

type NameKind = 'role' | 'channel' | 'endpoint' | 'source';

/** What calls of a vendor ask for by name; the other vendors are one for everything. */
const NARROWED_BY: Partial<Record<Vendor, NameKind>> = {
  pager: 'role',
  notifications: 'channel',
  endpoints: 'endpoint',
  samples: 'source',
};
/** Paged for what goes wrong, whatever the runbook says (workflows/incident/services.ts, COMMANDER_ROLE). */
const COMMANDER = 'commander';

/** Names of the installation that the steps of a runbook use. */
function namesOf(runbook: CompiledRunbook): Record<NameKind, string[]> {
  const names: Record<NameKind, string[]> = { role: [], channel: [], endpoint: [], source: [] };
  for (const step of runbook.steps) {
    for (const { kind, name } of stepDefinition(step.uses)?.references(step.with) ?? []) {
      const known = Object.hasOwn(names, kind) ? names[kind as NameKind] : undefined;
      if (known !== undefined && !known.includes(name)) known.push(name);
    }
  }
  if (!names.role.includes(COMMANDER)) names.role.push(COMMANDER);
  return names;
}

function missingOf(event: PersonEvent): string | undefined {
  if (['retry', 'skip'].includes(event.does) && event.step === undefined) {
    return `${event.does} needs a step: write step: rollback`;
  }
  if (event.does === 'override' && event.force === undefined)
    return 'override needs force: open, closed or none';
  if (event.does === 'severity' && event.severity === undefined) return 'severity needs severity: SEV1';
  if (event.breakGlass && event.does !== 'approve') return 'breakGlass is for approve';
  return undefined;
}
