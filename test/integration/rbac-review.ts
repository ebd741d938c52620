/** Asks a real API server what somebody may do, and reads what they did. */
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { buffer } from 'node:stream/consumers';
import type { V1SubjectRulesReviewStatus } from '@kubernetes/client-node';
import type { StackKube } from '../../demo/stack/attach-stack.ts';

/** As RBAC says it; `resource` has the subresource: `deployments/scale`. */
export interface Right {
  verb: string;
  group: string;
  resource: string;
  /** Only for the object of this name. */
  name?: string;
}

/** One line of the audit log, as far as it is read here. */
export interface AuditedRequest extends Right {
  namespace?: string;
  status: number;
}

/**
 * All verbs that authorizers know: those of HTTP requests, and those that are asked of RBAC for themselves.
 * https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
 */
export const VERBS = [
  ...['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'],
  ...['impersonate', 'bind', 'escalate', 'use', 'approve', 'sign', 'attest', '*'],
];

/** Requests under way at once: enough to keep two cores busy. */
const CONCURRENCY = 24;

export function rightText({ verb, group, resource, name }: Right): string {
  return `${verb} ${group === '' ? '' : `${group}/`}${resource}${name === undefined ? '' : ` ${name}`}`;
}

/** The rules of a review, one right each, in order. */
export function rightsOf(status: V1SubjectRulesReviewStatus): Right[] {
  const rights = status.resourceRules.flatMap(({ verbs, apiGroups, resources, resourceNames }) =>
    verbs.flatMap((verb) =>
      (apiGroups ?? []).flatMap((group) =>
        (resources ?? []).flatMap((resource): Right[] =>
          resourceNames?.length
            ? resourceNames.map((name) => ({ verb, group, resource, name }))
            : [{ verb, group, resource }],
        ),
      ),
    ),
  );
  return rights.sort((a, b) => {
    const [left, right] = [a, b].map(({ group, resource, name = '', verb }) =>
      [group, resource, name, verb].join('\n'),
    );
    return (left ?? '') < (right ?? '') ? -1 : 1;
  });
}

/** The API as its administrator sees it, over connections that are kept: thousands of questions are asked. */
export class AskingApi {
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #token: string;

  private constructor(kube: StackKube, ca: string) {
    this.#base = new URL(kube.server);
    this.#agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY, ca });
    this.#token = kube.adminToken;
  }

  static async connect(kube: StackKube): Promise<AskingApi> {
    return new AskingApi(kube, await readFile(kube.caPath, 'utf8'));
  }

  close(): void {
    this.#agent.destroy();
  }

  async json(path: string, body?: object): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const outgoing = request(new URL(path, this.#base), {
      agent: this.#agent,
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (answer) => {
      buffer(answer).then((bytes) => {
        const status = answer.statusCode ?? 0;
        if (status >= 300) reject(new Error(`${path} was answered ${status}: ${bytes.toString('utf8')}`));
        else resolve(JSON.parse(bytes.toString('utf8')));
      }, reject);
    });
    outgoing.end(body && JSON.stringify(body));
    return await promise;
  }

  /** Every resource and subresource that the server has, of all groups and versions. */
  async resources(): Promise<{ group: string; resource: string }[]> {
    const { groups } = (await this.json('/apis')) as {
      groups: { name: string; versions: { groupVersion: string }[] }[];
    };
    const versions = groups.flatMap(({ name, versions }) =>
      versions.map(({ groupVersion }) => ({ group: name, path: `/apis/${groupVersion}` })),
    );
    const found = new Map<string, { group: string; resource: string }>();
    for (const { group, path } of [{ group: '', path: '/api/v1' }, ...versions]) {
      const list = (await this.json(path)) as { resources: { name: string }[] };
      for (const { name } of list.resources) found.set(`${group}/${name}`, { group, resource: name });
    }
    return [...found.values()];
  }

  /** Those of the questions that are answered yes, by SubjectAccessReview. */
  async allowed<Question extends Right & { namespace?: string }>(
    who: { user: string; groups: string[] },
    questions: readonly Question[],
  ): Promise<Question[]> {
    const yes = new Set<Question>();
    const rest = [...questions];
    const ask = async () => {
      for (let question = rest.pop(); question !== undefined; question = rest.pop()) {
        const { verb, group, name, namespace } = question;
        const [resource, ...subresource] = question.resource.split('/');
        const review = (await this.json('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          spec: {
            ...who,
            resourceAttributes: {
              ...{ verb, group, resource, name, namespace },
              subresource: subresource.join('/') || undefined,
            },
          },
        })) as { status: { allowed: boolean } };
        if (review.status.allowed) yes.add(question);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, ask));
    return questions.filter((question) => yes.has(question));
  }
}

/** What a user asked of the API, from its audit log. */
export async function requestsOf(auditLogPath: string, user: string): Promise<AuditedRequest[]> {
  const lines = (await readFile(auditLogPath, 'utf8')).split('\n').filter((line) => line.includes(user));
  return lines.flatMap((line): AuditedRequest[] => {
    const { user: by, verb, objectRef, responseStatus } = JSON.parse(line) as AuditLine;
    if (by.username !== user || objectRef === undefined) return [];
    const { apiGroup: group = '', resource, subresource, name, namespace } = objectRef;
    return [
      {
        verb,
        group,
        resource: subresource === undefined ? resource : `${resource}/${subresource}`,
        name,
        namespace,
        status: responseStatus?.code ?? 0,
      },
    ];
  });
}

interface AuditLine {
  user: { username: string };
  verb: string;
  objectRef?: {
    apiGroup?: string;
    resource: string;
    subresource?: string;
    name?: string;
    namespace?: string;
  };
  responseStatus?: { code?: number };
}
