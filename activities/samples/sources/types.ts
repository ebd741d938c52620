import type { Target } from '../../../domain/target.ts';

/** What every kind of source has. */
export interface SourceCommon {
  /** Address of an output in its store, with `{id}` and `{requestId}`; filled with encoded ids only. */
  link?: string | undefined;
  /** `keep`: the text is redacted, encrypted and stored beside the records. Default `never`: it is hashed and dropped. */
  text?: 'never' | 'keep' | undefined;
  /** How long a kept text lives. */
  retentionMs?: number | undefined;
}

/** Where the members of a sample are found in a row: dotted paths for JSON lines, columns for SQL. */
export interface SampleFields {
  id: string;
  requestId: string;
  at: string;
  categories: string;
  text: string;
  sha256: string;
  length: string;
}

export interface HttpJsonSource extends SourceCommon {
  type?: 'http-json';
  url: string;
  bearerToken?: string | undefined;
}

export interface LokiSource extends SourceCommon {
  type: 'loki';
  /** Base URL, without /loki/api/v1. */
  url: string;
  bearerToken?: string | undefined;
  basic?: { username: string; password: string } | undefined;
  /** Sent as X-Scope-OrgID. */
  tenant?: string | undefined;
  /** LogQL with $cluster, $namespace, $name and $kind, which are bound as string literals. */
  query: string;
  fields: Partial<SampleFields>;
}

export interface PostgresSource extends SourceCommon {
  type: 'postgres';
  /** postgresql://...; a secret. */
  connection: string;
  /** One SELECT with $1 namespace, $2 name, $3 from, $4 to, $5 limit, $6 cluster. */
  query: string;
}

export type SampleSource = HttpJsonSource | LokiSource | PostgresSource;

export interface SourceQuestion {
  target: Target;
  fromMs: number;
  toMs: number;
  /** Rows to choose from. */
  candidates: number;
  /** Samples that are wanted in the end. */
  wanted: number;
  timeoutMs: number;
  /** `samples.<name>`, for messages. */
  what: string;
}

/** Rows of a source in the shape of the http-json answer's items, not yet checked. */
export interface SourceRows {
  rows: unknown[];
  /** The source has promised the shape itself, so that the first row that is not as it should be is worth naming. */
  ownShape: boolean;
}
