import axios from 'axios';
import type { Finding } from '../../domain/finding.ts';
import type { FirebreakConfig } from '../config/schema.ts';

/** What checks are made of: the configuration, and how its references are read. */
export interface Probing {
  config: FirebreakConfig;
  secret: (reference: string) => string;
  env: Record<string, string | undefined>;
}

/** A vendor that does not answer within this is not there for an incident either. */
export const PROBE_TIMEOUT_MS = 5_000;

/** Answers of any status come back; redirects are not followed, since a token goes along. */
export const http = axios.create({ timeout: PROBE_TIMEOUT_MS, maxRedirects: 0, validateStatus: () => true });

/** Looks, and makes a finding of what was seen or thrown. Never throws. */
export async function probe(what: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, detail: await look() };
  } catch (error) {
    return { what, ok: false, detail: sayError(error) };
  }
}

/** axios' messages name host and port of what was asked, which a reference may keep secret: their code says enough. */
function sayError(error: unknown): string {
  if (axios.isAxiosError(error)) {
    const host = error.config?.url === undefined ? 'it' : hostOf(error.config.url);
    return `${host} does not answer (${error.code ?? 'no reason given'})`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Only the host: the rest of an address may be a secret. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the address';
}

/** That something answers there, where more cannot be tried without an effect. */
export async function answers(url: string, done: string): Promise<string> {
  const { status } = await http.head(url);
  if (status >= 500) throw new Error(`${hostOf(url)} was answered ${status}`);
  return `${hostOf(url)} answers (${status}); ${done}`;
}
