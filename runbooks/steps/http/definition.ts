import { z } from 'zod';
import { ENDPOINT_PATH, isEndpointPath } from '../../../domain/endpoint-path.ts';
import type { Path } from '../../problem.ts';
import { defineStep } from '../define.ts';
import { roleName } from '../fields.ts';

/** A request says what happened; more than this is a document, and the plan goes into each workflow's input. */
const MAX_JSON_LENGTH = 16_384;
const MAX_PATH_LENGTH = 500;
const MAX_STATUSES = 20;

const BAD_PATH =
  'a path starts with / and is literal: no .. , no //, nothing filled in; the rest of the address is the configuration';

/** Calls an endpoint of the configuration. */
export const httpInput = z
  .strictObject({
    endpoint: roleName.describe('Name of an endpoint of the configuration (http.<name>).'),
    method: z
      .enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
      .default('POST')
      .describe('All but GET change something: in observe mode they are recorded, not sent.'),
    path: z
      .string()
      .max(MAX_PATH_LENGTH)
      .regex(ENDPOINT_PATH, BAD_PATH)
      .refine(isEndpointPath, { error: BAD_PATH, params: { rule: 'http/path' } })
      .default('')
      .describe("Appended to the endpoint's address: /models/block."),
    json: z
      .json()
      .refine((json) => JSON.stringify(json).length <= MAX_JSON_LENGTH, {
        error: `at most ${MAX_JSON_LENGTH} characters as JSON`,
        params: { rule: 'http/json-size' },
      })
      .optional()
      .describe(`Body; \${{ expression }} in its texts is replaced, and alone it keeps its type.`),
    expectStatus: z
      .array(z.int().min(200).max(599))
      .min(1)
      .max(MAX_STATUSES)
      .optional()
      .describe('Statuses that mean success; default: any 2xx.'),
  })
  .refine((input) => input.method !== 'GET' || input.json === undefined, {
    path: ['json'],
    error: 'a GET has no body: put it into the path, or use another method',
  })
  // As the refinement says it, for editors.
  .meta({
    if: { properties: { method: { const: 'GET' } }, required: ['method'] },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema.
    then: { not: { required: ['json'] } },
  });

export type HttpInput = z.output<typeof httpInput>;

/** Every text in the body, with its path below `with`. */
function textsIn(value: unknown, path: Path): { path: Path; text: string }[] {
  if (typeof value === 'string') return [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((item, index) => textsIn(item, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => textsIn(item, [...path, key]));
}

export const definition = defineStep({
  summary:
    'Calls an HTTP endpoint of the configuration; all methods but GET count as a change of production.',
  input: httpInput,
  outputs: { status: 'double', body: 'dyn' },
  mutates: ({ method }) => method !== 'GET',
  describe: ({ endpoint, method, path }) => `calls ${method} ${endpoint}${path}`,
  rules: {
    'http/path': {
      severity: 'error',
      asks: 'The path of a call stays below the address of its endpoint.',
      why: 'With .. or an encoded slash, a call would reach what the configuration does not name.',
      mend: 'Write the path that is meant, or configure another endpoint.',
    },
    'http/json-size': {
      severity: 'error',
      asks: 'The body of a call is short.',
      why: 'It is carried in the plan of every incident.',
      mend: 'Send what happened, and let the receiver look up the rest.',
    },
  },
  templates: ({ json }) => textsIn(json, ['json']),
  references: ({ endpoint }) =>
    typeof endpoint === 'string' ? [{ kind: 'endpoint', name: endpoint, path: ['endpoint'] }] : [],
});
