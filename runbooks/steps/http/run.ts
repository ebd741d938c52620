import type { Evaluation } from '../../../activities/contract.ts';
import { fillTemplate, splitTemplate, type TextPart } from '../../../domain/template.ts';
import type { StepContext, StepRunner } from '../context.ts';
import type { HttpInput } from './definition.ts';

/**
 * Calls an endpoint once as far as it keeps to idempotency keys. The key stays over our own attempts; a person who retries
 * the step means it to be done again.
 */
export const run: StepRunner = {
  async run(context) {
    const input = context.step.with as HttpInput;
    const answer = await context.vendors.callEndpoint({
      incidentId: context.incidentId,
      key: `${context.incidentId}.${context.round}.${context.step.id}.${context.attempt}`,
      endpoint: input.endpoint,
      method: input.method,
      path: input.path,
      ...(input.json === undefined ? {} : { json: await fillJson(context, input.json) }),
      // None: any 2xx.
      expectStatus: input.expectStatus ?? [],
    });
    context.record(
      'evidence',
      `${input.method} ${input.endpoint}${input.path} was answered ${answer.status}`,
    );
    return { status: answer.status, body: answer.body };
  },
};

/** Fills all texts of a body over one measurement. A text that is one expression takes its value; unknown is null. */
async function fillJson(context: StepContext, json: unknown): Promise<unknown> {
  const texts: TextPart[][] = [];
  collect(json, texts);
  const expressions: Record<string, string> = {};
  for (const [text, parts] of texts.entries()) {
    for (const [index, part] of parts.entries()) {
      if ('expression' in part) expressions[`${text}.${index}`] = part.expression;
    }
  }
  if (Object.keys(expressions).length === 0) return json;
  const { results } = await context.evaluate(expressions);
  return replace(json, { texts, next: 0, results });
}

/** The texts in the order in which `replace` meets them. */
function collect(value: unknown, into: TextPart[][]): void {
  if (typeof value === 'string') into.push(splitTemplate(value));
  else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) collect(item, into);
  }
}

interface Filling {
  texts: readonly TextPart[][];
  next: number;
  results: Readonly<Record<string, Evaluation>>;
}

function replace(value: unknown, filling: Filling): unknown {
  if (typeof value === 'string') return textOf(filling);
  if (Array.isArray(value)) return value.map((item) => replace(item, filling));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replace(item, filling)]));
}

function textOf(filling: Filling): unknown {
  const text = filling.next++;
  const parts = filling.texts[text] ?? [];
  const values = Object.fromEntries(
    parts.map((_, index) => [
      String(index),
      filling.results[`${text}.${index}`] ?? { known: false as const },
    ]),
  );
  const [only, ...others] = parts;
  if (only !== undefined && 'expression' in only && others.length === 0) {
    const value = values[0];
    if (!value?.known) return null;
    // Texts are made plain below, like those that stand among others.
    if (typeof value.value !== 'string') return value.value;
  }
  return fillTemplate(parts, values);
}
