import type { z } from 'zod';
import type { RunbookView, StepView } from '../checks/view.ts';
import type { Path } from '../problem.ts';
import type { Rule } from '../rules/rule.ts';

/** CEL type of an output, as expressions see it; numbers are doubles. */
export type OutputType = 'string' | 'double' | 'bool' | 'list<string>' | 'dyn';
export type Outputs = Readonly<Record<string, OutputType>>;

/** What a step names that is written in the configuration of an installation, not in the runbook. */
export type ReferenceKind = 'role' | 'policy' | 'group' | 'source' | 'channel' | 'endpoint' | 'ticketing';

export interface ConfigReference {
  kind: ReferenceKind;
  name: string;
  /** Below `with`. */
  path: Path;
}

/** A CEL text within `with`; `any`: its value may be a number, text, true or false. */
export interface StepExpression {
  path: Path;
  text: string;
  wanted: 'bool' | 'any';
}

/** A mistake that only the type itself can know of. */
export interface StepProblem {
  /** One of the compiler's rules, or one of the type's own. */
  rule: string;
  /** Below the step: `['with', 'attachTo']`. */
  path: Path;
  message: string;
}

/**
 * What the compiler and the tools know of a step type: the whole of it, so that a new type is its folder and a line in the
 * registry. The implementation stands beside it in run.ts, without zod.
 */
export interface StepDefinition {
  /** One sentence for people who choose a type. */
  summary: string;
  /** Schema of `with`; durations are numbers of milliseconds in its output, under names that end in Ms. */
  input: z.ZodType<Record<string, unknown>>;
  /** What other steps can read once it has succeeded: fixed, or depending on what is written under `with`. */
  outputs: Outputs | ((input: Record<string, unknown>) => Outputs);
  /** Not run in observe mode, but recorded: it changes production, or has people decide about what does. */
  mutates: boolean | ((input: Record<string, unknown>) => boolean);
  /** Changes production itself; the same as `mutates` unless a type says otherwise. */
  changesProduction: StepDefinition['mutates'];
  /** Its runner makes a plan, within the step's timeout, before people are asked. */
  prepares: boolean;
  /** Cannot work without a target. */
  needsTarget: boolean;
  /** Does nothing but wait for the people of `approval`, which it must have. */
  needsApproval: boolean;
  /** What an unknown `when` or `whenever` means where the runbook does not say. */
  whenUnknownDefault: 'run' | 'skip';
  /** Time for the step itself; waiting for people is not part of it. */
  defaultTimeoutMs: number;
  /** A wait inside the step that its timeout must leave room for. */
  innerWaitMs?: ((input: Record<string, unknown>) => number) | undefined;
  /** What it does with this input, in plain words that continue "this step ...". */
  describe(input: Record<string, unknown>): string;
  /** CEL texts within `with`, as far as it can be read. */
  expressions(input: Record<string, unknown>): StepExpression[];
  /** Texts within `with` that hold `${{ expression }}`. */
  templates(input: Record<string, unknown>): { path: Path; text: string }[];
  references(input: Record<string, unknown>): ConfigReference[];
  /**
   * Rules that only this type has, as `<type>/<name>`: of its `check`, and of refinements of its schema that JSON Schema
   * cannot say (`params: { rule }`).
   */
  rules: Readonly<Record<string, Rule>>;
  check(step: StepView, view: RunbookView): StepProblem[];
}

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
const DEFAULT_TIMEOUT_MS = 5 * MINUTE_MS;
/** What a step may take beyond the wait inside it: commands to the target, records, retries of activities. */
export const TIMEOUT_ROOM_MS = 5 * MINUTE_MS;

/** The parts of a definition that depend on the input see it as the schema gives it. */
type Typed<Input> = {
  summary: string;
  input: z.ZodType<Input>;
  outputs?: StepDefinition['outputs'];
  mutates?: boolean | ((input: Input) => boolean);
  changesProduction?: boolean | ((input: Input) => boolean);
  prepares?: boolean;
  needsTarget?: boolean;
  needsApproval?: boolean;
  whenUnknownDefault?: 'run' | 'skip';
  defaultTimeoutMs?: number;
  innerWaitMs?: (input: Input) => number;
  describe(input: Input): string;
  /** These see `with` as it is written, right or wrong: they must not rely on its shape. */
  expressions?: StepDefinition['expressions'];
  templates?: StepDefinition['templates'];
  references?: StepDefinition['references'];
  rules?: StepDefinition['rules'];
  check?: StepDefinition['check'];
};

/** Fills in what most types share. */
export function defineStep<Input extends Record<string, unknown>>(typed: Typed<Input>): StepDefinition {
  const none = () => [];
  return {
    outputs: {},
    needsTarget: false,
    needsApproval: false,
    prepares: false,
    whenUnknownDefault: 'skip',
    defaultTimeoutMs: DEFAULT_TIMEOUT_MS,
    expressions: none,
    templates: none,
    references: none,
    rules: {},
    check: none,
    ...typed,
    // `input` has given the value that these are called with.
    mutates: (typed.mutates ?? false) as StepDefinition['mutates'],
    changesProduction: (typed.changesProduction ??
      typed.mutates ??
      false) as StepDefinition['changesProduction'],
    innerWaitMs: typed.innerWaitMs as StepDefinition['innerWaitMs'],
    describe: typed.describe as StepDefinition['describe'],
  };
}

/** Whether a step of this type with this input changes production itself. */
export function changesProduction(
  definition: StepDefinition | undefined,
  input: Record<string, unknown>,
): boolean {
  const changes = definition?.changesProduction ?? false;
  return typeof changes === 'function' ? changes(input) : changes;
}

/** Entries of a list under `with` that are text, with their paths: `roles`, `escalate.to`. */
export function textsAt(input: Record<string, unknown>, ...path: string[]): { path: Path; text: string }[] {
  let value: unknown = input;
  for (const part of path) value = (value as Record<string, unknown> | undefined)?.[part];
  const entries = Array.isArray(value) ? value : [];
  return entries.flatMap((text, index) =>
    typeof text === 'string' ? [{ path: [...path, index], text }] : [],
  );
}

/** Names of roles in a list under `with`. */
export function rolesAt(input: Record<string, unknown>, ...path: string[]): ConfigReference[] {
  return textsAt(input, ...path).map(({ path: at, text }) => ({ kind: 'role', name: text, path: at }));
}
