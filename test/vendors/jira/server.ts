/**
 * Jira Cloud's REST API v3 as far as tickets use it, with the limits that Atlassian documents
 * (https://developer.atlassian.com/cloud/jira/platform/rest/v3/intro/): documents are checked against the published schema of the
 * format, the search lags behind, and what a project does not have is refused.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

export interface FakeNode {
  type: string;
  text?: string;
  attrs?: Record<string, unknown>;
  marks?: { type: string; attrs?: Record<string, unknown> }[];
  content?: FakeNode[];
}
export interface FakeDocument {
  version: number;
  type: string;
  content: FakeNode[];
}

export interface FakeIssue {
  id: string;
  key: string;
  type: string;
  summary: string;
  description: FakeDocument | undefined;
  labels: string[];
  duedate: string | undefined;
  assignee: string | undefined;
  status: { name: string; category: 'new' | 'indeterminate' | 'done' };
  resolution: string | undefined;
  comments: { id: string; accountId: string; body: FakeDocument }[];
  attachments: { filename: string; text: string; type: string }[];
  links: { type: string; to: string; as: 'inwardIssue' | 'outwardIssue' }[];
  /** Account that created it: Jira's to set. */
  creator: string;
  /** The search does not know it yet. */
  indexed: boolean;
}

export interface JiraOptions {
  /** Fields that are on no screen of the project. */
  withoutFields?: ('duedate' | 'assignee' | 'labels')[];
  attachments?: boolean;
  links?: boolean;
  /** Of the way to Done; `resolution` is asked for by many workflows. */
  requiredByDone?: 'resolution' | 'customfield_10010';
  /** Issues are found at once; false: once `index()` is called. */
  indexesAtOnce?: boolean;
}

export interface FakeJira {
  url: string;
  email: string;
  apiToken: string;
  project: string;
  /** An account that issues can be assigned to. */
  accountId: string;
  issues: FakeIssue[];
  options: JiraOptions;
  /** The search catches up. */
  index(): void;
  /** A person writes. */
  commentAs(accountId: string, key: string, body: FakeDocument): void;
  close(): Promise<void>;
}

const EMAIL = 'firebreak@acme.example';
const TOKEN = 'fake-jira-token';
const PROJECT = 'OPS';
const BOT = '5b10ac8d82e05b22cc7d4ef5';
const PERSON = '5b10a2844c20165700ede21g';
const MAX_SUMMARY = 255;
const MAX_LABEL = 255;
const MAX_TEXT = 32_767;
const TYPES = ['Task', 'Incident'];
const LINK_TYPES = ['Relates', 'Blocks'];

const schema = JSON.parse(
  readFileSync(fileURLToPath(new URL('./adf.schema.json', import.meta.url)), 'utf8'),
) as Record<string, unknown>;
// Ajv knows no draft-04; nothing of it that differs is used.
const { $schema: _, ...adf } = schema;
const validDocument = new Ajv({ strict: false, allErrors: false, logger: false }).compile<FakeDocument>(adf);

class Refused extends Error {
  readonly status: number;
  readonly errors: Record<string, string>;
  constructor(status: number, message: string, errors: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export async function startFakeJira(options: JiraOptions = {}): Promise<FakeJira> {
  const issues: FakeIssue[] = [];
  const app = Fastify({ bodyLimit: 32 * 1024 * 1024 });
  const fake: FakeJira = {
    url: '',
    email: EMAIL,
    apiToken: TOKEN,
    project: PROJECT,
    accountId: PERSON,
    issues,
    options,
    index() {
      for (const issue of issues) issue.indexed = true;
    },
    commentAs(accountId, key, body) {
      issueOf(issues, key).comments.push({ id: String(20_000 + issues.length), accountId, body });
    },
    close: () => app.close(),
  };
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  app.addHook('onRequest', async (request, reply) => {
    const expected = `Basic ${Buffer.from(`${EMAIL}:${TOKEN}`).toString('base64')}`;
    if (request.headers.authorization !== expected) await reply.code(401).send({ message: 'Unauthorized' });
  });
  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof Refused) {
      const messages = Object.keys(error.errors).length === 0 ? [error.message] : [];
      return reply.code(error.status).send({ errorMessages: messages, errors: error.errors });
    }
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    return reply.code(status).send({ errorMessages: [String(error)], errors: {} });
  });
  route(app, fake);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  fake.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  return fake;
}

function route(app: FastifyInstance, fake: FakeJira): void {
  const { issues, options } = fake;
  const base = '/rest/api/3';
  type Keyed = FastifyRequest<{ Params: { key: string } }>;

  app.get(`${base}/myself`, async () => ({ accountId: BOT, emailAddress: EMAIL }));
  app.get(`${base}/mypermissions`, async (request) => {
    const { permissions = '', projectKey } = request.query as Record<string, string>;
    if (projectKey !== PROJECT) throw new Refused(404, 'No project could be found');
    const missing = options.attachments === false ? ['CREATE_ATTACHMENTS'] : [];
    const found = permissions.split(',').map((key) => [key, { havePermission: !missing.includes(key) }]);
    return { permissions: Object.fromEntries(found) };
  });
  app.get(`${base}/issue/createmeta/:key/issuetypes`, async () => ({
    issueTypes: TYPES.map((name) => ({ name })),
  }));

  app.post(`${base}/search/jql`, async (request) => {
    const { jql, fields, maxResults = 50 } = request.body as Record<string, unknown>;
    const wanted = labelsOfJql(String(jql));
    const found = issues.filter(
      (issue) =>
        issue.indexed && issue.creator === BOT && wanted.every((label) => issue.labels.includes(label)),
    );
    // Without `fields` only ids come back.
    if (!Array.isArray(fields)) throw new Refused(400, 'fields are expected as a list');
    return {
      isLast: true,
      issues: found.slice(0, Number(maxResults)).map(({ id, key }) => ({ id, key, fields: {} })),
    };
  });

  app.post(`${base}/issue`, async (request, reply) => {
    const { fields } = request.body as { fields: Record<string, unknown> };
    const errors: Record<string, string> = {};
    if ((fields.project as { key?: string } | undefined)?.key !== PROJECT)
      errors.project = 'valid project is required';
    const type = (fields.issuetype as { name?: string } | undefined)?.name ?? '';
    if (!TYPES.includes(type)) errors.issuetype = 'Specify a valid issue type';
    for (const field of options.withoutFields ?? []) {
      if (fields[field] !== undefined)
        errors[field] = `Field '${field}' cannot be set. It is not on the appropriate screen, or unknown.`;
    }
    checkFields(fields, errors);
    const assignee = (fields.assignee as { accountId?: string } | undefined)?.accountId;
    if (assignee !== undefined && assignee !== PERSON)
      errors.assignee = `User '${assignee}' cannot be assigned issues.`;
    if (Object.keys(errors).length > 0) throw new Refused(400, 'refused', errors);
    const number = issues.length + 1;
    const issue: FakeIssue = {
      id: String(10_000 + number),
      key: `${PROJECT}-${number}`,
      type,
      summary: String(fields.summary),
      description: fields.description as FakeDocument | undefined,
      labels: [...new Set(fields.labels as string[] | undefined)],
      duedate: fields.duedate as string | undefined,
      assignee,
      status: { name: 'To Do', category: 'new' },
      resolution: undefined,
      comments: [],
      attachments: [],
      links: [],
      creator: BOT,
      indexed: options.indexesAtOnce !== false,
    };
    issues.push(issue);
    return reply
      .code(201)
      .send({ id: issue.id, key: issue.key, self: `${fake.url}${base}/issue/${issue.id}` });
  });

  app.get(`${base}/issue/:key`, async (request: Keyed) => {
    const issue = issueOf(issues, request.params.key);
    return {
      id: issue.id,
      key: issue.key,
      fields: {
        summary: issue.summary,
        description: issue.description ?? null,
        labels: issue.labels,
        status: { name: issue.status.name, statusCategory: { key: issue.status.category } },
        attachment: issue.attachments.map(({ filename }) => ({ filename })),
        issuelinks: issue.links.map(({ type, to, as }) => ({ type: { name: type }, [as]: { key: to } })),
      },
    };
  });

  app.put(`${base}/issue/:key`, async (request: Keyed, reply) => {
    const issue = issueOf(issues, request.params.key);
    const { fields = {}, update = {} } = request.body as {
      fields?: Record<string, unknown>;
      update?: { labels?: { add?: string; remove?: string }[] };
    };
    const errors: Record<string, string> = {};
    if (fields.labels !== undefined && update.labels !== undefined)
      errors.labels = "Field 'labels' cannot appear in both 'fields' and 'update'";
    checkFields({ summary: issue.summary, ...fields }, errors);
    checkLabels(update.labels?.flatMap(({ add }) => (add === undefined ? [] : [add])) ?? [], errors);
    if (Object.keys(errors).length > 0) throw new Refused(400, 'refused', errors);
    if (fields.summary !== undefined) issue.summary = String(fields.summary);
    if (fields.description !== undefined) issue.description = fields.description as FakeDocument;
    for (const { add, remove } of update.labels ?? []) {
      issue.labels = issue.labels.filter((label) => label !== remove && label !== add);
      if (add !== undefined) issue.labels.push(add);
    }
    return reply.code(204).send();
  });

  app.get(`${base}/issue/:key/comment`, async (request: Keyed) => {
    const { startAt = '0', maxResults = '50', orderBy } = request.query as Record<string, string>;
    const { comments } = issueOf(issues, request.params.key);
    const ordered = orderBy === '-created' ? comments.toReversed() : comments;
    const size = Math.min(Number(maxResults), 100);
    return {
      startAt: Number(startAt),
      maxResults: size,
      total: comments.length,
      comments: ordered
        .slice(Number(startAt), Number(startAt) + size)
        .map(({ id, accountId, body }) => ({ id, author: { accountId }, body })),
    };
  });
  app.post(`${base}/issue/:key/comment`, async (request: Keyed, reply) => {
    const issue = issueOf(issues, request.params.key);
    const { body } = request.body as { body: FakeDocument };
    const errors: Record<string, string> = {};
    checkDocument('comment', body, errors);
    if (Object.keys(errors).length > 0) throw new Refused(400, 'refused', errors);
    const comment = { id: String(20_000 + issue.comments.length), accountId: BOT, body };
    issue.comments.push(comment);
    return reply.code(201).send({ id: comment.id, author: { accountId: BOT }, body });
  });

  app.post(`${base}/issue/:key/attachments`, async (request: Keyed) => {
    const issue = issueOf(issues, request.params.key);
    if (request.headers['x-atlassian-token'] !== 'no-check') throw new Refused(403, 'XSRF check failed');
    if (options.attachments === false) throw new Refused(404, 'attachments are disabled');
    const form = await new Response(request.body as Uint8Array<ArrayBuffer>, {
      headers: { 'content-type': String(request.headers['content-type']) },
    }).formData();
    const file = form.get('file');
    if (!(file instanceof File)) throw new Refused(400, 'the form has no part named file');
    issue.attachments.push({ filename: file.name, text: await file.text(), type: file.type });
    return [{ filename: file.name }];
  });

  app.get(`${base}/issue/:key/transitions`, async (request: Keyed) => {
    const issue = issueOf(issues, request.params.key);
    const { expand } = request.query as Record<string, string>;
    return { transitions: transitionsOf(issue, options, expand === 'transitions.fields') };
  });
  app.post(`${base}/issue/:key/transitions`, async (request: Keyed, reply: FastifyReply) => {
    const issue = issueOf(issues, request.params.key);
    const { transition, fields = {} } = request.body as {
      transition: { id: string };
      fields?: Record<string, unknown>;
    };
    const chosen = transitionsOf(issue, options, true).find(({ id }) => id === transition.id);
    if (chosen === undefined)
      throw new Refused(400, 'It seems that you have tried to perform an illegal workflow operation');
    const asked: Record<string, { required: boolean }> = chosen.fields ?? {};
    for (const [field, { required }] of Object.entries(asked)) {
      if (required && fields[field] === undefined)
        throw new Refused(400, 'refused', { [field]: 'is required' });
    }
    issue.status = { name: chosen.to.name, category: chosen.to.statusCategory.key };
    issue.resolution = (fields.resolution as { id?: string } | undefined)?.id;
    return reply.code(204).send();
  });

  app.post(`${base}/issueLink`, async (request, reply) => {
    const { type, inwardIssue, outwardIssue } = request.body as Record<
      string,
      { name?: string; key?: string }
    >;
    if (options.links === false || !LINK_TYPES.includes(type?.name ?? ''))
      throw new Refused(404, 'No issue link type with that name found');
    const inward = issueOf(issues, inwardIssue?.key ?? '');
    const outward = issueOf(issues, outwardIssue?.key ?? '');
    inward.links.push({ type: String(type?.name), to: outward.key, as: 'outwardIssue' });
    outward.links.push({ type: String(type?.name), to: inward.key, as: 'inwardIssue' });
    return reply.code(201).send();
  });
}

function issueOf(issues: readonly FakeIssue[], key: string): FakeIssue {
  const issue = issues.find((one) => one.key === key || one.id === key);
  if (issue === undefined)
    throw new Refused(404, 'Issue does not exist or you do not have permission to see it.');
  return issue;
}

/** The only queries that are asked; the real endpoint refuses those without a bound. */
function labelsOfJql(jql: string): string[] {
  const match =
    /^(labels = "[^"]+"(?: AND labels = "[^"]+")*) AND creator = currentUser\(\) ORDER BY created ASC$/.exec(
      jql,
    );
  if (!match?.[1]) throw new Refused(400, 'Error in the JQL Query');
  return [...match[1].matchAll(/"([^"]+)"/g)].map(([, label]) => label ?? '');
}

function checkFields(fields: Record<string, unknown>, errors: Record<string, string>): void {
  const summary = String(fields.summary ?? '');
  if (summary.trim() === '') errors.summary = 'You must specify a summary of the issue.';
  else if (summary.length > MAX_SUMMARY) errors.summary = "Summary can't exceed 255 characters.";
  else if (/[\r\n]/.test(summary))
    errors.summary = 'The summary is invalid because it contains newline characters.';
  if (fields.description !== undefined) checkDocument('description', fields.description, errors);
  checkLabels((fields.labels as string[] | undefined) ?? [], errors);
  const { duedate } = fields;
  if (duedate !== undefined && !/^\d{4}-\d{2}-\d{2}$/.test(String(duedate)))
    errors.duedate = 'Error parsing date string';
}

function checkLabels(labels: readonly string[], errors: Record<string, string>): void {
  if (labels.some((label) => /\s/.test(label))) errors.labels = 'The label contains spaces which is invalid.';
  if (labels.some((label) => label.length > MAX_LABEL))
    errors.labels = 'The label exceeds the maximum length of 255 characters.';
}

function checkDocument(field: string, document: unknown, errors: Record<string, string>): void {
  if (!validDocument(document)) errors[field] = 'INVALID_INPUT';
  else if (JSON.stringify(document).length > MAX_TEXT) errors[field] = 'CONTENT_LIMIT_EXCEEDED';
}

function transitionsOf({ status }: FakeIssue, { requiredByDone }: JiraOptions, withFields: boolean) {
  const required =
    requiredByDone === 'resolution'
      ? {
          resolution: {
            required: true,
            hasDefaultValue: false,
            allowedValues: [
              { id: '10001', name: "Won't Do" },
              { id: '10000', name: 'Done' },
            ],
          },
        }
      : requiredByDone && { [requiredByDone]: { required: true, hasDefaultValue: false } };
  const all = [
    {
      id: '21',
      name: 'Start',
      to: { name: 'In Progress', statusCategory: { key: 'indeterminate' as const } },
    },
    { id: '31', name: 'Finish', to: { name: 'Done', statusCategory: { key: 'done' as const } } },
    { id: '41', name: 'Cancel', to: { name: 'Cancelled', statusCategory: { key: 'done' as const } } },
  ];
  return all
    .filter(({ to }) => to.name !== status.name)
    .map((one) => ({
      ...one,
      ...(withFields && { fields: (one.id === '31' ? required : undefined) ?? {} }),
    }));
}
