/** Composition of the sample sources, and of what keeps their texts. */
import type { Client } from '@temporalio/client';
import { createKeepTexts, type KeepTexts } from '../activities/evidence/keep.ts';
import { detectApart } from '../activities/evidence/redaction/detect-apart.ts';
import { createPresidio } from '../activities/evidence/redaction/presidio.ts';
import { createRedact, type Detector } from '../activities/evidence/redaction/redact.ts';
import type { NamedKey } from '../activities/evidence/seal.ts';
import { createVault } from '../activities/evidence/vault.ts';
import type { RecordsStore } from '../activities/records/store.ts';
import { createSampleActivities, type SampleSource } from '../activities/samples/index.ts';
import type { Target } from '../domain/target.ts';
import type { EvidenceInput } from '../workflows/evidence/workflow.ts';
import { evidenceWorkflowId } from '../workflows/ids.ts';
import { EVIDENCE_WORKFLOW, evidenceKeptSignal } from '../workflows/messages.ts';
import type { FirebreakConfig } from './config/schema.ts';

type Secret = (reference: string) => string;

export function sampleSources(config: FirebreakConfig, secret: Secret): Record<string, SampleSource> {
  const optional = (reference: string | undefined) =>
    reference === undefined ? undefined : secret(reference);
  return Object.fromEntries(
    Object.entries(config.samples).map(([name, source]): [string, SampleSource] => {
      const common = { link: source.link, text: source.text, retentionMs: source.retention };
      switch (source.type) {
        case 'http-json':
          return [
            name,
            { ...common, type: source.type, url: source.url, bearerToken: optional(source.bearerToken) },
          ];
        case 'loki': {
          const { type, url, tenant, query, basic, fields } = source;
          return [
            name,
            {
              ...common,
              type,
              url,
              tenant,
              query,
              fields: Object.fromEntries(Object.entries(fields).filter(([, path]) => path !== undefined)),
              bearerToken: optional(source.bearerToken),
              basic: basic && { username: basic.username, password: secret(basic.password) },
            },
          ];
        }
        default:
          return [
            name,
            { ...common, type: source.type, connection: secret(source.connection), query: source.query },
          ];
      }
    }),
  );
}

/** A workload that is nobody's: the question is a real one, and its answer is empty. */
const NOBODY: Target = {
  cluster: 'firebreak-doctor',
  namespace: 'firebreak-doctor',
  kind: 'Deployment',
  name: 'firebreak-doctor',
};
const ASK_ABOUT_MS = 60_000;

/** Asks a source for the samples of a target that there is not, within `timeoutMs`. @throws what the source's activity throws. */
export async function askSampleSource(
  config: FirebreakConfig,
  name: string,
  secret: Secret,
  timeoutMs: number,
): Promise<string> {
  const nowMs = Date.now();
  const sources = sampleSources(config, secret);
  const { count } = await createSampleActivities({ sources, timeoutMs }).collectSamples({
    incidentId: 'firebreak-doctor',
    source: name,
    target: NOBODY,
    fromMs: nowMs - ASK_ABOUT_MS,
    toMs: nowMs,
    limit: 1,
  });
  if (count > 0) throw new Error('it answers with outputs of other targets: look at its query');
  return `answered; there was no row to judge its shape by; texts: ${config.samples[name]?.text ?? 'never'}`;
}

/** Somebody whom every model of a language that Presidio is given knows to be one, in a sentence of nobody. */
const PROBE_TEXT = 'Anna Schmidt, anna.schmidt@example.com';

/** Has a source's Presidio analyse a sentence. @throws what the redaction throws. */
export async function askPresidio(config: FirebreakConfig, name: string, secret: Secret): Promise<string> {
  const detect = presidioOf(config, name, secret);
  const found = (await detect?.(PROBE_TEXT)) ?? [];
  if (found.length === 0)
    throw new Error(`it finds neither the name nor the address in a test sentence: check its language`);
  return `found ${[...new Set(found.map(({ type }) => type))].join(' and ')} in a test sentence`;
}

function presidioOf(config: FirebreakConfig, name: string, secret: Secret): Detector | undefined {
  const presidio = config.samples[name]?.presidio;
  if (!presidio) return undefined;
  const bearerToken = presidio.bearerToken === undefined ? undefined : secret(presidio.bearerToken);
  return createPresidio({ ...presidio, bearerToken });
}

/** Redacts, encrypts and stores texts of the sources that are configured for it, and starts what destroys them. */
export function createTextKeeper(
  config: FirebreakConfig,
  parts: { secret: Secret; records: RecordsStore; evidenceKeys: readonly NamedKey[]; client: Client },
): KeepTexts {
  const { secret, client } = parts;
  const detect = detectApart();
  return createKeepTexts({
    vault: createVault(parts.records.evidence, parts.evidenceKeys),
    redact: (name) => {
      const presidio = presidioOf(config, name, secret);
      return createRedact(presidio ? [detect, presidio] : [detect]);
    },
    startRetention: async ({ incidentId, keyId, destroyAtMs }) => {
      const kept = { keyId, destroyAtMs };
      await client.workflow.signalWithStart(EVIDENCE_WORKFLOW, {
        workflowId: evidenceWorkflowId(incidentId),
        taskQueue: config.temporal.taskQueue,
        args: [{ incidentId, pending: [kept] } satisfies EvidenceInput],
        signal: evidenceKeptSignal,
        signalArgs: [kept],
      });
    },
  });
}
