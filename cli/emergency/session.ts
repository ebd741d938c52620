/** What both emergencies have in common: the cluster, the person, the record, and asking before anything is done. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { addPointer, whoHas, writeRecord } from '../../activities/emergency/index.ts';
import { type ClusterClients, createClusterClients } from '../../activities/kubernetes/index.ts';
import { type EmergencyActor, type EmergencyRecord, emergencyId, sayActor } from '../../domain/emergency.ts';
import type { Target } from '../../domain/target.ts';
import type { TargetReference } from '../commands/target-options.ts';
import { ask } from '../confirm.ts';
import { CliError, EXIT, type ExitCode } from '../exit-codes.ts';
import { type Io, type Output, plain } from '../output.ts';
import type { EmergencyOptions } from './options.ts';

/** Not the name of a configured cluster: none is known here. */
const CLUSTER = 'kubeconfig';
const RANDOM_BYTES = 4;

export interface Session {
  clients: ClusterClients;
  target: Target;
  id: string;
  by: EmergencyActor;
  nowMs: number;
}

/** @throws CliError where the kubeconfig cannot be used. */
export async function openSession(
  { io, output }: { io: Io; output: Output },
  reference: TargetReference,
  options: EmergencyOptions,
): Promise<Session> {
  const kubeconfig = options.kubeconfig ?? defaultKubeconfig(io.env.all.KUBECONFIG);
  const access = { kubeconfig, ...(options.context === undefined ? {} : { context: options.context }) };
  const nowMs = Date.now();
  try {
    const clients: ClusterClients = {
      ...createClusterClients({ ...access, namespaces: { [options.namespace]: { mode: 'approve' } } }),
      actsInAnyMode: true,
    };
    const by = await whoHas(access, options.as);
    const session: Session = {
      clients,
      target: { cluster: CLUSTER, namespace: options.namespace, ...reference },
      id: emergencyId(nowMs, randomBytes(RANDOM_BYTES).toString('hex')),
      by,
      nowMs,
    };
    output.note(output.colors.dim(plain(`Acting as ${sayActor(by)}, ${session.id}`)));
    return session;
  } catch (error) {
    throw new CliError(
      EXIT.usage,
      'usage',
      plain(`The kubeconfig cannot be used: ${error instanceof Error ? error.message : 'unknown reason'}`),
      'Give --kubeconfig FILE, and --context NAME where it has several.',
    );
  }
}

function defaultKubeconfig(fromEnv: string | undefined): string {
  // $KUBECONFIG may hold several files; the first that is there is used.
  const files = (fromEnv ?? '').split(delimiter).filter((file) => file !== '');
  return files.find((file) => existsSync(file)) ?? files[0] ?? join(homedir(), '.kube', 'config');
}

/** Only the target's own name is a yes: another terminal's target is quickly meant. */
export async function confirmByName(
  { io }: { io: Io },
  { target }: Session,
  options: EmergencyOptions,
  question: string,
): Promise<void> {
  if (options.yes === true) return;
  const typed = await ask(
    io,
    `${question}\nType the name of the workload (${target.name}) to go on: `,
    'Add --yes to act without being asked.',
  );
  if (typed !== target.name) throw new CliError(EXIT.failed, 'not_confirmed', 'Nothing was done.');
}

/**
 * Writes down what begins, does it, writes down how it ended. Where it cannot be written down that it ended, that it began
 * stands there: it becomes an incident either way.
 */
export async function recorded<T>(
  { clients, target, id, by, nowMs }: Session,
  what: Pick<EmergencyRecord, 'what' | 'reason' | 'before' | 'after'>,
  work: () => Promise<{ value: T; detail?: string }>,
  warn: (text: string) => void,
): Promise<T> {
  const record: EmergencyRecord = { id, ...what, at: new Date(nowMs).toISOString(), by, state: 'begun' };
  const write = async (state: EmergencyRecord['state'], detail: string | undefined): Promise<void> => {
    try {
      await writeRecord(clients, target, { ...record, state, ...(detail === undefined ? {} : { detail }) });
      if (state === 'begun') await addPointer(clients, target);
    } catch (error) {
      // What stops the harm matters more than the note about it.
      warn(`It could not be written down in the cluster: ${messageOf(error)}. Tell your team what you did.`);
    }
  };
  await write('begun', undefined);
  try {
    const { value, detail } = await work();
    await write('done', detail);
    return value;
  } catch (error) {
    await write('failed', messageOf(error));
    throw error;
  }
}

/** Failures of the cluster, in words and with the exit code that scripts rely on. */
export async function inCluster<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CliError) throw error;
    const type = error instanceof ApplicationFailure ? (error.type ?? '') : '';
    throw new CliError(exitCodeOf(type), type === '' ? 'failed' : type, plain(messageOf(error)));
  }
}

function exitCodeOf(type: string): ExitCode {
  if (type === 'NotFound') return EXIT.notFound;
  if (type === 'Unauthorized') return EXIT.refused;
  if (type === 'InvalidInput') return EXIT.usage;
  return type === 'Unavailable' || type === 'RateLimited' || type === 'Conflict'
    ? EXIT.unavailable
    : EXIT.failed;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the reason is not known';
}
