import type {
  KubernetesActivities,
  LookActivities,
  MeasurementActivities,
  TrafficActivities,
} from './contract.ts';

/** What a look is made of; each part may fail for itself. */
export type LookParts = Pick<TrafficActivities, 'readBreaker' | 'checkFallback'> &
  Pick<MeasurementActivities, 'judgeHarm'> &
  Pick<KubernetesActivities, 'readTemplateHash'>;

/** How far back the fallback's own harm is looked at: the guide's window. */
const FALLBACK_WINDOW_MS = 5 * 60_000;

/** One look at all that the watch of a diverted target needs: one activity, since a diversion may last for days. */
export function createLookAtTarget(parts: LookParts): LookActivities {
  return {
    async lookAtTarget({ target, wanted, fallbackHarm, readTemplate }) {
      const { fallback } = wanted;
      const its = { ...target, kind: 'Deployment' as const, name: fallback ?? '' };
      const [projection, serving, harm, running] = await Promise.all([
        settled(parts.readBreaker({ target, wanted })),
        fallback === undefined ? undefined : settled(parts.checkFallback({ target, fallback })),
        fallback === undefined || fallbackHarm === undefined
          ? undefined
          : settled(parts.judgeHarm({ target: its, windowMs: FALLBACK_WINDOW_MS, ...fallbackHarm })),
        readTemplate ? settled(parts.readTemplateHash({ target })) : undefined,
      ]);
      return {
        projection: projection.value,
        fallbackProblems: serving?.value?.problems,
        fallbackHarm: harm?.value,
        templateHash: running?.value?.templateHash,
        failed: [projection, serving, harm, running].flatMap((part) => part?.failed ?? []),
      };
    },
  };
}

async function settled<T>(work: Promise<T>): Promise<{ value?: T; failed?: string }> {
  try {
    return { value: await work };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}
