/** The incident API, as the demo and the tests call it: with a person's token. */
import type { IncidentView } from '../../domain/incident.ts';

export interface IncidentLine {
  title: string;
  incidentId: string;
  state: IncidentView['state'];
  runbook: string;
  /** cluster/namespace/kind/name */
  target?: string;
}

export interface ApiAnswer {
  status: number;
  body: Record<string, unknown>;
}

export class Api {
  private readonly url: string;
  private readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  async call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<ApiAnswer> {
    const answer = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    const json = (answer.headers.get('content-type') ?? '').includes('json');
    return { status: answer.status, body: json ? (JSON.parse(text) as Record<string, unknown>) : { text } };
  }

  async incidents(): Promise<IncidentLine[]> {
    const { status, body } = await this.call('GET', '/incidents');
    if (status !== 200) throw new Error(`the incident list was answered ${status}`);
    return body.incidents as IncidentLine[];
  }

  /** Incidents of a namespace's Deployments, running or closed. */
  async incidentsIn(namespace: string): Promise<IncidentLine[]> {
    return (await this.incidents()).filter((line) => line.target?.split('/')[1] === namespace);
  }

  async incident(id: string): Promise<IncidentView> {
    const { status, body } = await this.call('GET', `/incidents/${id}`);
    if (status !== 200) throw new Error(`incident ${id} was answered ${status}`);
    return body.incident as IncidentView;
  }
}
