import { z } from 'zod';
import type { RollbackTo } from '../../domain/rollback-plan.ts';
import { type Target, targetKey, WORKLOAD_KINDS } from '../../domain/target.ts';
import { isNamespaceName, isObjectName } from '../../domain/target-reference.ts';
import { wellFormed } from '../alertmanager/bound.ts';
import type { AllowedTargets } from '../alertmanager/route-alert.ts';
import { EdgeError } from '../errors.ts';
import { problemsOf } from '../zod-problems.ts';

/** As long as a note: it is read in a timeline. */
const MAX_TEXT = 4_000;
const MIN_FREEZE_MS = 60_000;
/** A freeze that nobody renews for a week was forgotten. */
export const MAX_FREEZE_MS = 7 * 24 * 3_600_000;

const reason = z
  .string()
  .transform(wellFormed)
  .pipe(z.string().trim().min(1, 'must not be empty').max(MAX_TEXT));

export const targetInput = z.strictObject({
  cluster: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected the name of a configured cluster')
    .optional(),
  namespace: z.string().refine(isNamespaceName, 'expected the name of a namespace'),
  kind: z.enum(WORKLOAD_KINDS),
  name: z.string().refine(isObjectName, 'expected the name of a workload'),
});

const to = z.union(
  [z.enum(['last-known-good', 'previous']), z.strictObject({ revision: z.int().min(1).max(999_999_999) })],
  { error: 'expected last-known-good, previous or { revision: 12 }' },
);

/** Whether people have read this very plan: what waits later may be another one. */
const planHash = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'expected the hash of the plan: 64 hex digits')
  .optional();

export const inquiryBody = z.strictObject({ target: targetInput, to: to.optional() });
export const declareBody = z.strictObject({ target: targetInput, to: to.optional(), reason, planHash });
export const freezeBody = z.strictObject({
  target: targetInput,
  reason,
  forMs: z.int().min(MIN_FREEZE_MS, 'at least one minute').max(MAX_FREEZE_MS, 'at most 7 days'),
});
export const unfreezeBody = z.strictObject({ target: targetInput, reason });

type TargetInput = z.output<typeof targetInput>;

/** @throws EdgeError invalid_request, naming the fields, never their values. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.output<T> {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  throw new EdgeError('invalid_request', 'The body is not as it should be.', {
    problems: problemsOf(result.error),
  });
}

/**
 * The target that is meant, where it is one that may be acted on. The only configured cluster needs no name.
 * @throws EdgeError invalid_request.
 */
export function allowedTarget(input: TargetInput, clusters: AllowedTargets): Target {
  const names = Object.keys(clusters).sort();
  const cluster = input.cluster ?? (names.length === 1 ? names[0] : undefined);
  if (cluster === undefined) {
    throw new EdgeError('invalid_request', 'Several clusters are configured: the request has to name one.', {
      hint: `Add the cluster: ${names.join(', ')} (firebreak: --cluster).`,
    });
  }
  if (!Object.hasOwn(clusters, cluster)) {
    throw new EdgeError('invalid_request', `Cluster ${cluster} is not configured.`, {
      hint: `Configured: ${names.join(', ') || 'none'}.`,
    });
  }
  const { namespace, kind, name } = input;
  if (!Object.hasOwn(clusters[cluster]?.namespaces ?? {}, namespace)) {
    throw new EdgeError(
      'invalid_request',
      `Namespace ${namespace} of cluster ${cluster} is not configured.`,
      {
        hint: `Only namespaces under clusters.${cluster}.namespaces of the configuration are read or changed.`,
      },
    );
  }
  return { cluster, namespace, kind, name };
}

/** What is said of a target in the record of attempts. */
export function attemptedOn(what: Target): string {
  return targetKey(what);
}

/** Where the request names no revision, the runbook does. */
export function wantedTo(given: RollbackTo | undefined, byRunbook: unknown): RollbackTo {
  return given ?? (byRunbook as RollbackTo);
}
