import type { InputValue } from '../domain/runbook.ts';
import { splitTemplate } from '../domain/template.ts';

/**
 * Inputs of a runbook under `with`: the compiler puts their values in place of `${{ inputs.<name> }}` before a step type's
 * schema looks. A text that is nothing else becomes the value with its type; other expressions stay for the run.
 *
 * So that the JSON Schema, which sees the file as it is written, and the zod schemas, which see the values, say the same: the
 * former takes such a text wherever a scalar is taken, and what comes of it is a question of its own (`inputs/wrong-value`).
 */

const INPUT_REFERENCE = /^inputs\.([a-zA-Z_][a-zA-Z0-9_]*)$/;

/** A text that reads an input somewhere, as INPUT_REFERENCE and splitTemplate find it. */
export const INPUT_TEXT = /\$\{\{\s*inputs\.[a-zA-Z_][a-zA-Z0-9_]*\s*\}\}/;

/** The name of the input that a placeholder's expression is, or undefined where it is another expression. */
export function inputName(expression: string): string | undefined {
  return INPUT_REFERENCE.exec(expression)?.[1];
}

/** Whether a value of the file is a text that reads an input. */
export function readsInput(value: unknown): value is string {
  return typeof value === 'string' && INPUT_TEXT.test(value);
}

/** Puts values in place of the inputs in all texts; inputs that have none stay as they are (the checks tell them). */
export function putInputs(value: unknown, inputs: Readonly<Record<string, InputValue>>): unknown {
  if (Array.isArray(value)) return value.map((item) => putInputs(item, inputs));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, putInputs(item, inputs)]));
  }
  if (typeof value !== 'string') return value;
  const parts = splitTemplate(value).map((part) => {
    if ('text' in part) return part.text;
    const name = inputName(part.expression);
    const known = name !== undefined && Object.hasOwn(inputs, name) ? inputs[name] : undefined;
    return known ?? value.slice(part.start, part.end);
  });
  return parts.length === 1 ? parts[0] : parts.join('');
}
