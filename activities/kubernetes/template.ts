import { createHash } from 'node:crypto';
import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { POD_TEMPLATE_HASH_LABEL, type RawContainer, type RawTemplate } from './raw-objects.ts';

/** The plan travels in workflow history and in chat: a longer diff is cut, and says so. */
const MAX_DIFF_CHARS = 32_000;
const MASKED = '(masked)';
const MASKED_AND_DIFFERENT = '(masked, changed)';

/** The template as a Deployment has it: without the label that the controller adds to a ReplicaSet's. */
export function withoutHashLabel(template: RawTemplate): RawTemplate {
  const copy = structuredClone(template);
  if (copy.metadata?.labels !== undefined) delete copy.metadata.labels[POD_TEMPLATE_HASH_LABEL];
  return copy;
}

/** SHA-256 (hex) of the template: the ledger's key. Two templates are the same where kubectl's comparison says so. */
export function templateHash(template: RawTemplate): string {
  const text = canonicalJson(dropNulls(withoutHashLabel(template)));
  return createHash('sha256').update(text).digest('hex');
}

/** Images of the main containers, in order. */
export function imagesOf(template: RawTemplate): string[] {
  return (template.spec?.containers ?? []).map((container) => container.image ?? '');
}

/** Older API servers write `creationTimestamp: null` into templates, newer ones leave it out: it means the same. */
function dropNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(dropNulls);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== null);
  return Object.fromEntries(entries.map(([key, item]) => [key, dropNulls(item)]));
}

function containersOf(template: RawTemplate): RawContainer[] {
  return [...(template.spec?.initContainers ?? []), ...(template.spec?.containers ?? [])];
}

/**
 * Unified diff of two templates as YAML. Literal values of environment variables are masked, since people keep secrets in
 * them; that one differs is still shown. References (`valueFrom`) stay.
 */
export function diffTemplates(
  from: { name: string; template: RawTemplate },
  to: { name: string; template: RawTemplate },
): string {
  const before = toYaml(masked(from.template, from.template));
  const after = toYaml(masked(to.template, from.template));
  const patch = createTwoFilesPatch(from.name, to.name, before, after, '', '', { context: 3 });
  // The first line is a ruler for several files.
  const diff = patch.replace(/^=+\n/, '');
  return diff.length <= MAX_DIFF_CHARS
    ? diff
    : `${diff.slice(0, MAX_DIFF_CHARS)}\n(cut: ${diff.length} characters)\n`;
}

function toYaml(template: RawTemplate): string {
  return stringify(dropNulls(template), { sortMapEntries: true, lineWidth: 0 });
}

function masked(template: RawTemplate, original: RawTemplate): RawTemplate {
  const copy = withoutHashLabel(template);
  const before = containersOf(original);
  for (const container of containersOf(copy)) {
    const sameContainer = before.find(({ name }) => name === container.name);
    for (const variable of container.env ?? []) {
      if (variable.value === undefined) continue;
      const sameVariable = sameContainer?.env?.find(({ name }) => name === variable.name);
      const differs = sameVariable !== undefined && sameVariable.value !== variable.value;
      variable.value = differs ? MASKED_AND_DIFFERENT : MASKED;
    }
  }
  return copy;
}

/** ConfigMaps, Secrets and volumes that a template uses by name: what an undo of the template does not bring back. */
export interface References {
  configMaps: string[];
  secrets: string[];
  /** Volumes that hold data of their own, such as weights: `name (persistentVolumeClaim)`. */
  volumes: string[];
}

/** Volume types whose content comes with the pod or is nothing to restore. */
const EPHEMERAL_VOLUMES = new Set(['emptyDir', 'downwardAPI', 'configMap', 'secret', 'projected']);

export function referencesOf(template: RawTemplate): References {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const volumes = new Set<string>();
  for (const container of containersOf(template)) {
    for (const source of container.envFrom ?? []) addSource(source.configMapRef, source.secretRef);
    for (const { valueFrom } of container.env ?? []) {
      const { configMapKeyRef, secretKeyRef } = (valueFrom ?? {}) as Record<string, { name?: string }>;
      addSource(configMapKeyRef, secretKeyRef);
    }
  }
  for (const volume of template.spec?.volumes ?? []) {
    const { configMap, secret, projected } = volume as Record<string, Record<string, unknown>>;
    addSource(configMap, secret);
    for (const source of (projected?.sources ?? []) as Record<string, { name?: string }>[]) {
      addSource(source.configMap, source.secret);
    }
    const type = Object.keys(volume).find((key) => key !== 'name' && !EPHEMERAL_VOLUMES.has(key));
    if (type !== undefined) volumes.add(`${volume.name} (${type})`);
  }
  return { configMaps: [...configMaps].sort(), secrets: [...secrets].sort(), volumes: [...volumes].sort() };

  function addSource(configMap?: Record<string, unknown>, secret?: Record<string, unknown>): void {
    if (typeof configMap?.name === 'string') configMaps.add(configMap.name);
    // A volume names its Secret `secretName`, everything else `name`.
    const secretName = secret?.secretName ?? secret?.name;
    if (typeof secretName === 'string') secrets.add(secretName);
  }
}
