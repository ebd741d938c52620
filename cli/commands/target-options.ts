import { type Command, InvalidArgumentError } from 'commander';
import { parseDurationMs } from '../../domain/duration.ts';
import type { RollbackTo } from '../../domain/rollback-plan.ts';
import type { Target } from '../../domain/target.ts';
import { isNamespaceName, parseTargetReference, TARGET_FORM } from '../../domain/target-reference.ts';
import type { ApiClient, ApiOptions, NamedTarget } from '../api-client.ts';
import type { Io, Output } from '../output.ts';

/** What commands on one target have in common. */
export interface TargetOptions extends ApiOptions {
  namespace: string;
  cluster?: string;
  context?: string;
  json?: boolean;
}

export type TargetReference = Pick<Target, 'kind' | 'name'>;

/** The argument KIND/NAME and the options that say where it is and who asks. */
export function withTarget(command: Command): Command {
  return command
    .argument('<KIND/NAME>', `the workload: ${TARGET_FORM}`, target)
    .requiredOption('-n, --namespace <name>', 'its namespace', namespaceName)
    .option('--cluster <name>', 'its cluster, by its name in the configuration; the only one needs no name')
    .option('--context <name>', 'the same as --cluster')
    .option('--url <url>', 'base URL of the server (FIREBREAK_URL; default http://127.0.0.1:8787)')
    .option('--token-file <path>', 'file with your API token (instead of FIREBREAK_TOKEN)')
    .option('--json', 'print JSON');
}

export async function connect(
  options: ApiOptions,
  { io, output }: { io: Io; output: Output },
): Promise<ApiClient> {
  const { createApiClient } = await import('../api-client.ts');
  return createApiClient(options, io.env, (text) => output.note(output.colors.yellow(text)));
}

export function namedTarget({ kind, name }: TargetReference, options: TargetOptions): NamedTarget {
  const cluster = options.cluster ?? options.context;
  return { kind, name, namespace: options.namespace, ...(cluster === undefined ? {} : { cluster }) };
}

/** The target as it stands in a command that a person could type next. */
export function typedTarget({ kind, name }: TargetReference, options: TargetOptions): string {
  const cluster = options.cluster ?? options.context;
  return `${kind.toLowerCase()}/${name} -n ${options.namespace}${cluster === undefined ? '' : ` --cluster ${cluster}`}`;
}

export function target(text: string): TargetReference {
  const parsed = parseTargetReference(text);
  if (parsed === undefined) throw new InvalidArgumentError(`expected ${TARGET_FORM}`);
  return parsed;
}

export function namespaceName(text: string): string {
  if (!isNamespaceName(text)) throw new InvalidArgumentError('expected the name of a namespace');
  return text;
}

export function rollbackTo(text: string): RollbackTo {
  if (text === 'last-known-good' || text === 'previous') return text;
  if (/^[1-9]\d{0,8}$/.test(text)) return { revision: Number(text) };
  throw new InvalidArgumentError('expected last-known-good, previous or the number of a revision');
}

export function durationMs(text: string): number {
  const parsed = parseDurationMs(text);
  if (parsed === undefined) throw new InvalidArgumentError('expected a duration such as 30m or 2h');
  return parsed;
}

export function reason(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('a reason is needed');
  return text;
}
