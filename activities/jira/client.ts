import axios, { type AxiosRequestConfig } from 'axios';
import { z } from 'zod';
import { fail } from '../failure.ts';
import { ACTIVITY_DEADLINE_MS } from '../tickets/system.ts';
import { fromCreation, fromJira } from './errors.ts';
import { MAX_ANSWER_BYTES } from './limits.ts';

export interface JiraOptions {
  /** Of the site, as people open it: https://acme.atlassian.net. */
  url: string;
  /** Base of the API where it is another one: https://api.atlassian.com/ex/jira/CLOUD-ID for tokens with scopes. */
  apiUrl?: string | undefined;
  email: string;
  apiToken: string;
}

/** The parts of the answers that are read; Jira adds fields as it likes. */
const id = z.string();
export const createdIssue = z.object({ id, key: z.string().min(1) });
export const foundIssues = z.object({ issues: z.array(z.object({ id, key: z.string().min(1) })) });
export const adfNode = z.looseObject({ type: z.string() });
export const issueFields = z.object({
  id,
  key: z.string(),
  fields: z.object({
    summary: z.string().optional(),
    description: z.object({ content: z.array(adfNode).default([]) }).nullish(),
    labels: z.array(z.string()).default([]),
    status: z.object({ statusCategory: z.object({ key: z.string() }) }).optional(),
    attachment: z.array(z.object({ filename: z.string() })).default([]),
    issuelinks: z
      .array(
        z.object({
          inwardIssue: z.object({ key: z.string() }).optional(),
          outwardIssue: z.object({ key: z.string() }).optional(),
        }),
      )
      .default([]),
  }),
});
const comment = z.object({
  id,
  author: z.object({ accountId: z.string() }).optional(),
  body: z.object({ content: z.array(adfNode).default([]) }).nullish(),
});
export const createdComment = comment;
export const comments = z.object({ comments: z.array(comment), total: z.number() });
export const transitions = z.object({
  transitions: z.array(
    z.object({
      id,
      name: z.string(),
      to: z.object({ name: z.string(), statusCategory: z.object({ key: z.string() }) }),
      fields: z
        .record(
          z.string(),
          z.object({
            required: z.boolean(),
            hasDefaultValue: z.boolean().optional(),
            allowedValues: z
              .array(z.looseObject({ id: id.optional(), name: z.string().optional() }))
              .optional(),
          }),
        )
        .default({}),
    }),
  ),
});
export const myself = z.object({ accountId: z.string() });
export const nothing = z.unknown();

export interface JiraCall {
  method: 'GET' | 'POST' | 'PUT';
  /** Below /rest/api/3. */
  path: string;
  params?: Record<string, string | number>;
  data?: unknown;
  headers?: Record<string, string>;
  /** In words: `create issue in OPS`. */
  what: string;
  /** What was acted on: `project OPS`. */
  thing: string;
  /** A lost answer leaves something behind that cannot be read at once. */
  creates?: boolean;
}

export interface JiraClient {
  /** @returns the answer as the schema has it. @throws ApplicationFailure. */
  call<T>(schema: z.ZodType<T>, call: JiraCall): Promise<T>;
  /** As `call`, with the error as it was, for those who can do something about it. */
  attempt<T>(schema: z.ZodType<T>, call: JiraCall): Promise<T>;
  /** All calls of one activity end by then. */
  within(signal: AbortSignal): JiraClient;
}

/**
 * Jira Cloud's REST API v3 with an API token (https://developer.atlassian.com/cloud/jira/platform/basic-auth-for-rest-apis/).
 * One attempt a call: waiting and retrying are Temporal's, where they are seen and bounded. Redirects are not followed: a site
 * that moved would be sent the token.
 */
export function createJiraClient(options: JiraOptions): JiraClient {
  const http = axios.create({
    baseURL: `${(options.apiUrl ?? options.url).replace(/\/+$/, '')}/rest/api/3`,
    auth: { username: options.email, password: options.apiToken },
    headers: { accept: 'application/json', 'user-agent': 'firebreak' },
    maxRedirects: 0,
    maxContentLength: MAX_ANSWER_BYTES,
    timeout: ACTIVITY_DEADLINE_MS,
  });
  const client = (signal: AbortSignal | undefined): JiraClient => {
    const attempt = async <T>(schema: z.ZodType<T>, call: JiraCall): Promise<T> => {
      const { method, path, params, data, headers } = call;
      const request: AxiosRequestConfig = { method, url: path, params, data, headers };
      const answer = await http.request<unknown>(signal ? { ...request, signal } : request);
      const parsed = schema.safeParse(answer.data);
      if (parsed.success) return parsed.data;
      throw fail(
        'Unavailable',
        `Jira ${call.what}: something else than Jira's JSON was answered: are tickets.jira.url and apiUrl right?`,
      );
    };
    return {
      attempt,
      async call(schema, call) {
        try {
          return await attempt(schema, call);
        } catch (error) {
          throw (call.creates ? fromCreation : fromJira)(error, `Jira ${call.what}`, call.thing);
        }
      },
      within: (other) => client(other),
    };
  };
  return client(undefined);
}
